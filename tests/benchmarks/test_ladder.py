from __future__ import annotations

import csv
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.ladder import columns, photographs, race
from benchmarks.ladder.columns import Entrant
from benchmarks.ladder.networks import AS_TRAINED, Built, ladder_seconds, made_every_rung, none_answered_before, resized_plan
from benchmarks.ladder.own_environments import mnn_fp32, mnn_int8
from benchmarks.ladder.results import Column, Phase, RunMedian
from benchmarks.ladder.rival import Network
from benchmarks.ladder.rivals import RIVALS
from benchmarks.ladder.widened import WidenedStage
from benchmarks.ladder.worker import timed
from edgecnn.graph.export import export_onnx, torch_logits
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.judging.regret import LOOKS
from edgecnn.planning.candidates import BASELINE, aware_candidates
from edgecnn.planning.plan import Plan, plan
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import to_feed
from edgecnn.stages.images import PrepareStage
from edgecnn.stages.trunk import ExportStage
from edgecnn.store.store import Store
from edgecnn.values.artifact import Cached, Ran
from edgecnn.values.figures import Accuracy
from edgecnn.values.layers import MacTable
from edgecnn.values.preprocessing import Normalization
from tests.building.resolutions import INT8, resolved
from tests.render.reports import a_report, a_row
from tests.store.test_profiles import KIT, a_profile


def of_images(lost: int) -> Accuracy:
    """1,000 images of which the baseline gets 900 right, and this one so many fewer."""
    labels = np.zeros(1000, np.int64)

    def answers(right: int) -> Answers:
        logits = np.zeros((1000, 2), np.float32)
        logits[:right, 0] = 1
        logits[right:, 1] = 1
        return Answers("x", logits, "p", "here")

    return accuracy(answers(900 - lost), labels, "test", answers(900))


def column(name: str, ms: float, *, whose: str = "rival", lost: int = 0, final: bool = True) -> Column:
    phases: list[tuple[Phase, int]] = [("screen", 3), *([("final", 8)] if final else [])]  # type: ignore[list-item]
    runs = tuple(RunMedian(phase=phase, round=n, position=0, median_ms=ms) for phase, rounds in phases for n in range(rounds))
    return Column.model_validate({"id": name, "title": name, "whose": whose, "accuracy": of_images(lost), "runs": runs})


def selecting(name: str, ms: float) -> Column:
    runs = tuple(RunMedian(phase="select", round=n, position=0, median_ms=ms) for n in range(LOOKS[0]))
    return column(name, ms, whose="edgecnn").model_copy(update={"runs": runs})


def runs_in(name: str, ms: float, *, unsteady: bool = False) -> Entrant:
    """One of ours whose processes take so long, now and then a third longer."""
    now = itertools.cycle((1.0, 1.3, 0.8) if unsteady else (1.0,))
    return Entrant(column(name, ms, whose="edgecnn", final=False), lambda: [round(ms * 1e6 * next(now))] * 3)


def a_built(folder: Path) -> Built:
    """Whose one rung is fp32."""
    return Built(folder, a_report(a_row("onnxruntime-fp32")), plan(resolved()))


class TestTheLargerLadder:
    def trained(self) -> Plan:
        return plan(resolved())

    def test_has_the_trained_weights_and_other_pixels(self) -> None:
        before = self.trained()
        after = resized_plan(before, 224, ["onnxruntime-fp32", "onnxruntime-int8"])
        export, train, prepare = after.step("export"), before.step("train"), after.step("prepare")
        assert export is not None and train is not None and prepare is not None
        assert isinstance(export.stage, ExportStage) and isinstance(prepare.stage, PrepareStage)
        assert (export.stage.resolution_px, prepare.stage.pixels.crop_px) == ((224, 224), (224, 224))
        assert export.stage.inputs == {"weights": train.key, "pixels": prepare.key}

    def test_every_input_is_made_by_an_earlier_step_or_is_a_source(self) -> None:
        after = resized_plan(self.trained(), 224, ["onnxruntime-fp32", "onnxruntime-int8", "onnxruntime-int8-mixed-4"])
        known = set(after.resolved.sources)
        for step in after.steps:
            assert known.issuperset(step.stage.inputs.values()), step.id
            known.add(step.key)

    def test_keeps_the_ranking_of_the_trained_one(self) -> None:
        before = self.trained()
        after = resized_plan(before, 224, ["onnxruntime-fp32", "onnxruntime-int8", "onnxruntime-int8-mixed-2"])
        ranks = [step.key for step in before.steps if step.stage.kind == "rank"]
        assert [step.key for step in after.steps if step.stage.kind == "rank"] == ranks
        mixed = after.step("quantize:onnxruntime-int8-mixed-2")
        assert mixed is not None and mixed.stage.inputs["ranking"] == ranks[0]

    def test_climbs_the_rungs_that_the_build_climbed_and_no_other(self) -> None:
        after = resized_plan(self.trained(), 224, ["onnxruntime-fp32", "onnxruntime-int8-mixed-4"])
        assert [(rung.mends, [each.id for each in rung.candidates]) for rung in after.rungs] == [
            (None, ["onnxruntime-fp32"]),
            (None, ["onnxruntime-int8-mixed-4"]),
        ]

    def test_the_trained_trunk_is_there_under_a_name_of_its_own(self) -> None:
        before = self.trained()
        after = resized_plan(before, 224, ["onnxruntime-fp32"])
        trained, export = after.step(f"export{AS_TRAINED}"), before.step("export")
        assert trained is not None and export is not None and trained.key == export.key

    def test_what_was_trained_for_int8_is_widened_and_not_trained_again(self) -> None:
        recipe = resolved().recipe
        asked = recipe.model_copy(update={"quantize": recipe.quantize.model_copy(update={"aware": True})})
        aware = aware_candidates((INT8,))[0]
        before = plan(resolved(asked, candidates=(BASELINE, INT8, aware)))
        after = resized_plan(before, 224, ["onnxruntime-fp32", aware.id])
        learned, widened, quantize = before.step("aware"), after.step("aware"), after.step(f"quantize:{aware.id}")
        assert learned is not None and widened is not None and quantize is not None
        assert isinstance(widened.stage, WidenedStage) and widened.stage.inputs["model"] == learned.key
        assert quantize.stage.inputs["model"] == widened.key
        known = set(after.resolved.sources)
        for step in after.steps:
            assert known.issuperset(step.stage.inputs.values()), step.id
            known.add(step.key)


def test_a_widened_file_answers_as_the_network_does_at_that_side(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()
    for name in ("trunk", "pixels/golden", "out"):
        (tmp_path / name).mkdir(parents=True)
    export_onnx(network, ImageSize.square(64), tmp_path / "trunk" / "model.onnx")
    golden = np.random.default_rng(0).integers(0, 256, (5, 96, 96, 3), np.uint8)
    np.save(tmp_path / "pixels" / "golden" / "pixels.npy", golden)
    normalization = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    stage = WidenedStage(inputs={}, side_px=96, normalization=normalization)
    stage.make({"model": tmp_path / "trunk", "pixels": tmp_path / "pixels"}, tmp_path / "out", Quiet())
    feed = to_feed(golden, "float32", "NCHW", normalization.mean, normalization.std)
    assert np.allclose(np.load(tmp_path / "out" / "golden_logits.npy"), torch_logits(network, feed), atol=1e-5)
    macs = MacTable.model_validate_json((tmp_path / "out" / "macs.json").read_text())
    assert sum(layer.macs for layer in macs.layers) == 48 * 48 * 8 * 27 + 8 * 4


class TestTheRace:
    def test_everyone_runs_once_a_round_and_who_fails_is_out_with_the_reason(self) -> None:
        called: list[str] = []

        def broken() -> list[int]:
            raise RuntimeError("no such operator")

        def works() -> list[int]:
            called.append("a")
            return [1_000_000, 2_000_000, 9_000_000]

        entrants = [Entrant(column("a", 1), works), Entrant(column("b", 1), broken), Entrant(column("c", 1), None)]
        found = race.run_rounds("x", "screen", range(3), entrants, Quiet())
        assert found.keys() == {"a", "b"} and found["b"] == "no such operator" and len(called) == 3
        runs = found["a"]
        assert isinstance(runs, list) and [(run.round, run.median_ms) for run in runs] == [(0, 2.0), (1, 2.0), (2, 2.0)]

    def test_a_column_that_broke_off_has_no_runs(self) -> None:
        joined = race.add_runs({"a": column("a", 1)}, {"a": "no such operator"})
        assert joined["a"].runs == () and joined["a"].reason == "failed: no such operator"

    def test_ours_that_was_chosen_and_rivals_that_were_near_run_in_the_final_rounds(self) -> None:
        screened = [
            column("near", 1.3, final=False),
            column("best", 1.1, final=False),
            column("far", 2.3, final=False),
            column("wrong", 0.6, lost=50, final=False),
            column("ort-fp32", 4.0, final=False),
        ]
        assert race.selected(screened, "ours", None) == race.Selected("ours", None, ("ours", "near", "best", "ort-fp32"))
        both = race.selected(screened[-1:], "ours", "ours-relu6")
        assert both == race.Selected("ours", "ours-relu6", ("ours", "ours-relu6", "ort-fp32"))

    def test_nobody_inside_the_budget_is_said(self) -> None:
        for ours, theirs in ((None, column("b", 1.0)), ("ours", column("b", 1.0, lost=50))):
            with pytest.raises(SystemExit, match="nothing inside the accuracy budget ran"):
                race.selected([theirs], ours, "ours-relu6")

    def test_ours_race_for_as_long_as_a_build_s_would_and_who_breaks_off_is_out(self) -> None:
        entrants = [runs_in("int8", 2.0), runs_in("bf16", 2.01, unsteady=True), runs_in("fp32", 6.0)]
        entrants.append(Entrant(column("broken", 1.0, whose="edgecnn"), lambda: [][0]))
        ran = race.race_for_the_choice("x", entrants, Quiet())
        counts = {name: len(runs) for name, runs in ran.items() if isinstance(runs, list)}
        assert counts["fp32"] == LOOKS[0] and counts["int8"] == counts["bf16"] > LOOKS[0]
        assert isinstance(ran["broken"], str)
        assert race.race_for_the_choice("x", [runs_in("alone", 1.0)], Quiet()).keys() == {"alone"}

    def test_within_one_percent_the_higher_precision_is_chosen_as_a_build_would(self, tmp_path: Path) -> None:
        report = a_report(*(a_row(name) for name in ("onnxruntime-fp32", "onnxruntime-int8", "openvino-int8")))
        built = Built(tmp_path, report, plan(resolved()))
        ran = [selecting("onnxruntime-fp32", 2.01), selecting("onnxruntime-int8", 2.0), selecting("openvino-int8", 2.3)]
        assert race.chosen(ran, True, built) == "onnxruntime-fp32"
        assert race.chosen(ran[1:], True, built) == "onnxruntime-int8"
        assert race.chosen(ran, False, built) is None

    def test_no_rival_left_is_said(self) -> None:
        with pytest.raises(SystemExit, match="no rival inside the accuracy budget came through"):
            race.best_rival([column("a", 1.0, final=False), column("b", 1.0, lost=50), column("c", 1.0, whose="edgecnn")])

    def test_ratios_are_of_final_rounds_alone(self) -> None:
        slow, fast = column("a", 3.0), column("b", 2.0)
        screened = tuple(run.model_copy(update={"median_ms": 90.0}) for run in slow.runs if run.phase == "screen")
        slow = slow.model_copy(update={"runs": (*screened, *(run for run in slow.runs if run.phase == "final"))})
        ratio = race.paired(slow, fast)
        assert ratio is not None and (ratio.low, ratio.estimate, ratio.high) == pytest.approx((1.5, 1.5, 1.5))

    def test_a_timed_call_is_counted_as_often_as_was_asked(self) -> None:
        calls: list[object] = []

        def call(feed: NDArray[np.float32]) -> NDArray[np.float32]:
            calls.append(feed)
            return feed

        assert len(timed(call, np.zeros(1, np.float32), {"warmup_s": 0, "samples": 5, "max_s": 60})) == 5
        assert len(calls) == 6
        assert len(timed(call, np.zeros(1, np.float32), {"warmup_s": 0, "samples": 5, "max_s": 0})) == 1


class TestSeconds:
    def test_are_of_a_call_that_made_every_rung(self) -> None:
        ran, cached = Ran(seconds=1, why=()), Cached()
        assert made_every_rung({"train": cached, "quantize:a": ran, "quantize:b": ran})
        assert not made_every_rung({"train": cached, "quantize:a": ran, "quantize:b": cached})
        assert not made_every_rung({"train": ran})
        assert not made_every_rung({"train": cached, "surgery": cached, "quantize:a": ran}), "its training was not paid for"

    def test_are_of_a_call_that_asked_every_kit(self, tmp_path: Path) -> None:
        store = Store.open(tmp_path)
        store.profiles.add(a_profile(observed_at="2026-11-30T10:00:00+00:00"))
        assert none_answered_before(datetime(2026, 11, 30, 10, tzinfo=UTC), [KIT], store.profiles)
        later = datetime(2026, 11, 30, 10, 0, 1, tzinfo=UTC)
        assert not none_answered_before(later, [KIT], store.profiles), (
            "the kit came out as it was before, and so were its answers"
        )
        assert none_answered_before(later, ["0" * 64], store.profiles)

    def test_are_of_just_these_rungs(self, tmp_path: Path) -> None:
        built = a_built(tmp_path)
        assert ladder_seconds(built) is None
        (tmp_path / "ladder.json").write_text('{"beside_training_s": 12.5, "rungs": ["onnxruntime-fp32"]}')
        assert built.rungs == ("onnxruntime-fp32",) and ladder_seconds(built) == 12.5
        (tmp_path / "ladder.json").write_text('{"beside_training_s": 12.5, "rungs": ["onnxruntime-fp32", "openvino-int8"]}')
        assert ladder_seconds(built) is None, "it says nothing of how long this ladder took"


class TestPhotographs:
    def test_roles_are_pooled_and_classes_kept(self, tmp_path: Path) -> None:
        for name in ("train/hat/a.jpg", "validation/hat/b.JPG", "train/shoe/c.png", "train/shoe/notes.txt"):
            file = tmp_path / "photos" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        assert photographs.pool(tmp_path / "photos", tmp_path / "pooled.csv") == 3
        rows = list(csv.reader((tmp_path / "pooled.csv").open()))
        assert rows[0] == ["path", "label"]
        assert sorted((Path(path).name, label) for path, label in rows[1:]) == [
            ("a.jpg", "hat"),
            ("b.JPG", "hat"),
            ("c.png", "shoe"),
        ]

    def test_an_empty_folder_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(SystemExit, match="no photographs"):
            photographs.pool(tmp_path, tmp_path / "pooled.csv")


class TestARivalInAnEnvironmentOfItsOwn:
    """ExecuTorch, MNN and Olive ask for other versions than edgecnn."""

    def network(self, folder: Path, python: str = "") -> Network:
        pixels = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
        np.save(folder / "calibration.pixels.npy", pixels)
        half = (0.5, 0.5, 0.5)
        return Network("lenet-5", 10, "weights", "model.onnx", str(folder), half, half, 4, mnn_python=python)

    def python(self, folder: Path, script: str) -> str:
        made = folder / "python"
        made.write_text(f'#!/bin/sh\necho "$@" > {folder}/words\n{script}\n')
        made.chmod(0o755)
        return str(made)

    def test_is_not_run_where_its_python_is_not_named(self, tmp_path: Path) -> None:
        rival = next(each for each in RIVALS if each.id == "mnn-int8")
        with pytest.raises(RuntimeError, match="^not asked for: --mnn names the Python of its environment$"):
            columns._rival(rival, self.network(tmp_path), self.network(tmp_path), tmp_path)

    def test_is_timed_by_that_python(self, tmp_path: Path) -> None:
        network = self.network(tmp_path, self.python(tmp_path, "echo '{\"samples_ns\": [7]}'"))
        rival = next(each for each in RIVALS if each.id == "mnn-fp32")
        assert columns._worker("time", rival, network, tmp_path) == {"samples_ns": [7]}
        assert (tmp_path / "words").read_text().startswith("-m benchmarks.ladder.worker ")

    def test_gets_the_calibration_images_and_how_they_are_normalized(self, tmp_path: Path) -> None:
        network = self.network(tmp_path, self.python(tmp_path, f"cp $4 {tmp_path}/asked.json"))
        mnn_int8(network, tmp_path)
        asked = json.loads((tmp_path / "asked.json").read_text())
        assert (asked["mean"], asked["used_image_num"], asked["width"]) == ([127.5] * 3, 3, 4)
        assert asked["normal"] == pytest.approx([1 / 127.5] * 3)
        assert (tmp_path / "words").read_text().split()[1:] == [
            "model.onnx",
            f"{tmp_path}/model.mnn",
            f"{tmp_path}/settings.json",
        ]

    def test_that_fails_says_its_last_line(self, tmp_path: Path) -> None:
        network = self.network(tmp_path, self.python(tmp_path, "echo no such operator >&2; exit 3"))
        with pytest.raises(RuntimeError, match="^mnn: no such operator$"):
            mnn_fp32(network, tmp_path)
