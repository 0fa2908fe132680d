"""The ladder's tables: who was best, what each loses, and what was not climbed; results come back as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ladder import race, table
from benchmarks.ladder.results import Column, Layer, NetworkResult, Share, read_all, write
from benchmarks.marked_sections import put
from edgecnn.values.verdict import Interval
from tests.benchmarks.test_ladder import column, selecting


def a_result(network: str = "resnet-18", *columns: Column) -> NetworkResult:
    given = columns or (column("ort-fp32", 3.0), column("ov-nncf", 1.1), column("ort-int8", 0.9, lost=20))
    shares = Share(macs={"int8": 1.0}, time={"int8": 0.75, "fp32": 0.25}, bytes=None)
    ours = column("openvino-int8", 1.0, whose="edgecnn", lost=2).model_copy(update={"residency": shares, "size_mib": 2.5})
    unclimbed = Column(id="mixed-2", title="mixed-2", whose="edgecnn", accuracy=None, reason="not climbed: loses nothing")
    fp32 = Column(id="onnxruntime-fp32", title="onnxruntime-fp32", whose="edgecnn", accuracy=None, size_mib=10.0)
    found = {each.id: each for each in (ours, fp32, unclimbed, *given)}
    return NetworkResult(
        network=network,
        measured_at="2026-11-20T20:00:00+00:00",
        machine="a processor with 2 cores",
        versions={"onnxruntime": "1.31.1"},
        load_average=0.25,
        trained_px=64,
        raced_px=224,
        weights="from scratch",
        top1_fp32=Interval(estimate=0.9, low=0.89, high=0.91, confidence=0.95),
        train_s=200,
        ladder_s=100,
        columns=tuple(found.values()),
        chosen="openvino-int8",
        best_rival=race.best_rival(found.values()),
        ratio=race.paired(found[race.best_rival(found.values())], ours),
        ratio_to_base=race.paired(found["ort-fp32"], ours),
        layers=(Layer(name="conv|1", op="Convolution", precision="int8", time_share=0.5),),
        layers_total=60,
    )


class TestTheTables:
    def test_the_benchmark_marks_the_best_rival_and_those_that_lose_too_much(self) -> None:
        text = table.benchmark([a_result()])
        row = next(line for line in text.splitlines() if line.startswith("| resnet-18"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[0] == "resnet-18" and "3.00" in cells and "0.90 ✗" in cells and "**1.10**" in cells
        assert cells[-3:] == ["**1.00** openvino-int8", "1.100 [1.100, 1.100]", "3.000 [3.000, 3.000]"]

    def test_the_mean_is_geometric(self) -> None:
        other = a_result("resnet-50", column("ort-fp32", 12.0), column("ov-nncf", 1.1))
        mean = table.geometric_mean([a_result(), other])
        assert mean is not None and mean.estimate == pytest.approx(6.0)

    def test_what_was_reached_is_counted(self) -> None:
        slow = a_result("resnet-50", column("ort-fp32", 3.0), column("ov-nncf", 0.9))
        text = table.overall([a_result(), slow])
        assert "0.97 or above on 1 of 2 networks" in text and "at least 1.1 on 1: resnet-18" in text

    def test_what_surgery_reached_is_said_beside_with_what_was_changed(self) -> None:
        given = a_result()
        relu6 = column("openvino-int8-relu6", 0.5, whose="edgecnn", lost=4)
        relu6 = relu6.model_copy(update={"surgery": "SiLU replaced by ReLU6, re-trained 4 epochs"})
        columns = (*given.columns, relu6)
        ratio = race.paired(given.column(given.best_rival), relu6)
        done = given.model_copy(update={"columns": columns, "changed": relu6.id, "ratio_changed": ratio})
        text = table.benchmark([done])
        assert "openvino-int8-relu6 (SiLU replaced by ReLU6, re-trained 4 epochs) takes 0.50 ms at 224 px;" in text
        assert "a drop of +0.40 [" in text and "rival of the network as given / edgecnn 2.200 [" in text
        assert "After surgery" not in table.benchmark([given])
        lost = done.model_copy(update={"changed": None, "ratio_changed": None})
        assert "After surgery, resnet-18: nothing inside the budget ran." in table.benchmark([lost])

    def test_every_rung_has_a_row_also_one_that_was_not_climbed(self) -> None:
        lines = table.ladder([a_result()]).splitlines()
        assert lines[2] == "Trained at 64 px in 200 s, the whole ladder beside that in 100 s; raced at 224 px."
        assert lines[6].startswith("| **openvino-int8** | 89.80 % [")
        assert "| 1.00 | 2.5 (25.0 %) | 100 % int8 | 75 % int8, 25 % fp32 | – |" in lines[6]
        assert lines[8] == "| mixed-2 | – | – | – | – | – | – | – | – | not climbed: loses nothing |"

    def test_rungs_that_were_not_climbed_for_one_reason_share_a_row(self) -> None:
        why = "not climbed: loses nothing"
        rungs = [Column(id=name, title=name, whose="edgecnn", accuracy=None, reason=why) for name in ("mixed-4", "mixed-8")]
        text = table.ladder([a_result("x", column("ort-fp32", 3.0), *rungs)])
        assert text.splitlines()[-1].startswith("| mixed-2, mixed-4, mixed-8 | – |") and text.count(why) == 1

    def test_the_layers_that_take_time_are_named(self) -> None:
        text = table.layers([a_result()])
        assert text.splitlines()[-1] == "| resnet-18 | openvino-int8 | conv/1 (Convolution, int8) 50.0 %; of 60 layers |".replace(
            " %", "%"
        )

    def test_a_time_is_of_the_final_rounds_or_marked(self) -> None:
        ours = column("openvino-int8", 1.0, whose="edgecnn", lost=2)
        ours = ours.model_copy(update={"runs": (*ours.runs, *selecting("again", 0.2).runs)})
        text = table.benchmark(
            [a_result("resnet-18", column("ort-fp32", 3.0), column("ov-nncf", 1.1), column("ort-int8", 0.9, final=False), ours)]
        )
        assert "| **1.00** openvino-int8 |" in text, "rounds in which it was chosen flatter it"
        assert "| 0.90 † |" in text and "| **1.10** |" in text

    def test_a_section_is_renewed_in_place(self) -> None:
        text = "a\n<!-- ladder -->\nold\n<!-- end ladder -->\nb\n"
        assert put(text, "ladder", "new \\1") == "a\n<!-- ladder -->\nnew \\1\n<!-- end ladder -->\nb\n"
        with pytest.raises(SystemExit, match="no place for layers"):
            put(text, "layers", "x")

    def test_the_readme_has_a_place_for_every_section(self) -> None:
        text = table.README.read_text(encoding="utf-8")
        for name in (*table.sections_of([a_result()], Path("absent.json")), "photographs"):
            put(text, name, "x")


class TestResults:
    def test_come_back_as_they_were_written_in_the_order_asked_for(self, tmp_path: Path) -> None:
        for name in ("b", "a"):
            write(a_result(name), tmp_path / f"{name}.json")
        assert read_all(tmp_path, ("a", "absent", "b")) == [a_result("a"), a_result("b")]

    def test_the_schema_beside_them_is_theirs(self) -> None:
        assert table.SCHEMA.read_text(encoding="utf-8") == table.schema(), "python -m benchmarks.ladder.table --schema"
