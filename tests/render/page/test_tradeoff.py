from __future__ import annotations

from typing import Any

import pytest

from edgecnn.render.page.charts.figure import Figure
from edgecnn.render.page.charts.tradeoff import Point, front_points, tradeoff_chart
from edgecnn.render.page.charts.vega import Extent
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_latency, an_accuracy, an_interval, facts
from tests.render.page.measured import a_desktop
from tests.render.page.reading import rows_with
from tests.render.reports import a_report


def a_point(name: str, ms: float, top1: float) -> Point:
    return Point(number=1, facts=facts(name), cost=an_interval(ms), top1=an_interval(top1))


def a_row(name: str, ms: float | None, top1: float | None, **changes: Any) -> CandidateFacts:
    latency = a_latency(None, reason="not raced", runs=0) if ms is None else a_latency(an_interval(ms, ms * 0.9, ms * 1.1))
    accuracy = None if top1 is None else an_accuracy(top1=an_interval(top1, top1 - 0.01, top1 + 0.01, 0.95))
    return facts(name, latency=latency, test=accuracy, **changes)


def drawn(*rows: CandidateFacts) -> Figure:
    found = tradeoff_chart(a_report(*rows))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([("a-x", 1, 0.9), ("b-x", 2, 0.95)], ["a-x", "b-x"]),
        ([("a-x", 1, 0.9), ("b-x", 2, 0.9)], ["a-x"]),
        ([("a-x", 1, 0.9), ("b-x", 1, 0.95)], ["b-x"]),
        ([("a-x", 3, 0.99), ("b-x", 2, 0.9), ("c-x", 1, 0.95)], ["c-x", "a-x"]),
    ],
)
def test_the_front_holds_whom_nothing_cheaper_reaches(points: list[tuple[str, float, float]], front: list[str]) -> None:
    names = {"a-x": "onnxruntime-fp32", "b-x": "onnxruntime-int8", "c-x": "openvino-int8"}
    found = front_points([a_point(names[name], ms, top1) for name, ms, top1 in points])
    assert [point.facts.candidate.id for point in found] == [names[name] for name in front]


def test_the_sentence_names_the_front_and_who_is_behind_it() -> None:
    figure = drawn(a_row("onnxruntime-fp32", 2.0, 0.9, is_baseline=True), a_row("onnxruntime-int8", 1.0, 0.95))
    assert 0 <= figure.says.index("onnxruntime-int8") < figure.says.index("onnxruntime-fp32")


def test_where_nothing_was_timed_size_stands_in_and_is_said_to_predict_no_speed() -> None:
    figure = drawn(a_row("onnxruntime-fp32", None, 0.9, size_mib=40.0), a_row("onnxruntime-int8", None, 0.9, size_mib=10.0))
    assert [source.mark.word for source in figure.sources] == ["measured", "measured", "missing"]
    assert {row["size"] for row in rows_with(figure, "label")} == {"40.0 MiB", "10.0 MiB"}


def test_who_has_no_figure_is_left_out_with_the_reason() -> None:
    figure = drawn(a_row("onnxruntime-fp32", 2.0, 0.9), a_row("onnxruntime-int8", None, 0.9), a_row("openvino-int8", 1.0, None))
    assert [note.split()[0] for note in figure.notes] == ["onnxruntime-int8", "openvino-int8", "rtx-4090,"]
    assert [[cell == "missing" for cell in cells[2:4]] for cells in figure.table.rows] == [
        [False, False], [False, True], [True, False],
    ]  # fmt: skip


def test_nothing_is_drawn_where_nobody_was_evaluated() -> None:
    assert tradeoff_chart(a_report(facts("onnxruntime-fp32"))) is None


def test_an_emulated_accuracy_has_another_shape_and_says_so() -> None:
    emulated = an_accuracy(fidelity=Fidelity.EMULATED)
    row = facts("tensorrt-fp16", latency=a_latency(an_interval(1.0)), test=emulated)
    (found,) = rows_with(drawn(row), "label")
    assert (found["shape"], found["from"]) == ("diamond", "accuracy emulated")


def test_the_chosen_one_and_the_baseline_are_named_so() -> None:
    figure = drawn(a_row("onnxruntime-fp32", 2.0, 0.9, is_baseline=True), a_row("onnxruntime-int8", 1.0, 0.95, chosen=True))
    assert [row["label"] for row in rows_with(figure, "label")] == ["onnxruntime-fp32 (baseline)", "onnxruntime-int8 ★ chosen"]


def test_costs_that_lie_far_apart_are_drawn_on_a_logarithmic_axis() -> None:
    assert Extent(1, 100, logarithmic=True).share(10) == pytest.approx(0.5)
    assert Extent(0, 10).share(2.5) == 0.25
    wide = drawn(a_row("onnxruntime-fp32", 90.0, 0.9), a_row("onnxruntime-int8", 1.0, 0.95))
    assert '"type": "log"' in str(wide.spec).replace("'", '"')


@pytest.mark.parametrize("ms", [0.0, 1e-6, 1e6])
def test_a_single_point_without_a_width_still_has_an_axis(ms: float) -> None:
    assert drawn(facts("onnxruntime-fp32", latency=a_latency(an_interval(ms)), test=an_accuracy())) is not None


def test_the_desktop_gpu_stands_beside_the_front_and_never_on_it() -> None:
    rows = (a_row("onnxruntime-fp32", 2.0, 0.9, is_baseline=True), a_row("onnxruntime-int8", 1.0, 0.95))
    figure = tradeoff_chart(a_report(*rows, baseline=a_desktop()))
    assert figure is not None
    (point,) = [row for row in rows_with(figure, "label") if row["precision"] == "desktop-gpu"]
    assert (point["label"], point["shape"], point["x"], point["y"]) == ("rtx-4090", "square", 0.8, 90.0)
    assert "rtx-4090" not in figure.says
    assert figure.table.rows[-1][0] == "rtx-4090"
    assert figure.legend == ("fp32", "int8", "desktop-gpu")
