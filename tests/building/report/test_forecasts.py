"""Candidates of a device that is away have a forecast, which nothing judges; those of one that is here have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.building.build import PlannedBuild
from edgecnn.building.forecasts import CandidateForecasts, PlannedKit, built_forecasts, planned_kit
from edgecnn.devices.files import device_named
from edgecnn.judging.gates import EffectiveGates
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import plan
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.report import candidate_rows
from edgecnn.render.screens.planning import show_plan
from edgecnn.render.screens.report import show_report
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime
from edgecnn.values.forecast import Forecast
from edgecnn.values.recipe import GateChoice
from edgecnn.values.verdict import Fidelity, Gate, Verdict
from tests.building.resolutions import INT8, resolved
from tests.building.scenes import ELSEWHERE, Staging, a_report_of, a_request, an_artifact

PI = device_named("raspberry-pi-5")
NCNN = Candidate(id="ncnn-fp16", runtime=Runtime.NCNN, precision=Precision.FP16)
NATIVE = resolved().preprocessing.model_copy(
    update={"pixels": resolved().preprocessing.pixels.model_copy(update={"crop_px": ImageSize.square(224)})}
)
ROW = {"device": PI, "attachment": ELSEWHERE, "candidates": (BASELINE, INT8, NCNN), "preprocessing": NATIVE}

SHAPES = {"image": (1, 3, 64, 64), "logits": (1, 1000, 32, 32)}


def planned_forecasts(**changes: Any) -> CandidateForecasts:
    return planned_kit(resolved(**{**ROW, **changes})).forecasts


def staged(tmp_path: Path, **changes: Any) -> Staging:
    found = Staging(tmp_path / "build", **{**ROW, **changes})
    for name in (BASELINE.id, INT8.id, NCNN.id):
        found.answered(name, 900)
    return found


def test_a_candidate_that_a_table_supports_has_a_forecast_and_the_others_say_why() -> None:
    found = planned_forecasts()
    assert set(found.by_candidate) == {NCNN.id}
    forecast = found.by_candidate[NCNN.id]
    assert (forecast.device, forecast.network, forecast.fidelity) == (PI.name, "mobilenet-v3-small", Fidelity.PREDICTED)
    assert forecast.p50_ms.low < forecast.p50_ms.estimate < forecast.p50_ms.high
    assert found.absent[INT8.id] == "no public table has onnxruntime on raspberry-pi-5"


def test_a_forecast_with_fewer_threads_than_a_build_says_so() -> None:
    found = planned_forecasts(device=device_named("rk3588"))
    forecast = found.by_candidate[NCNN.id]
    assert forecast.threads == 4
    assert forecast.note is not None and forecast.note.endswith("with 4 threads; a build uses all 8 cores")
    assert planned_forecasts().by_candidate[NCNN.id].note is None


def test_what_is_attached_is_measured_and_has_no_forecast() -> None:
    assert planned_kit(resolved()) == PlannedKit()


def test_no_kit_is_promised_under_a_gate_on_size_because_a_smaller_one_may_ship() -> None:
    without, bounded = planned_kit(resolved(**ROW)), planned_kit(resolved(**ROW), 5.0)
    assert (without.kit is None, bounded.kit is None) == (False, True)
    assert bounded.forecasts == without.forecasts


def test_at_another_resolution_a_plan_forecasts_less_work_without_an_export() -> None:
    pixels = NATIVE.pixels.model_copy(update={"crop_px": ImageSize.square(160)})
    small = planned_forecasts(preprocessing=NATIVE.model_copy(update={"pixels": pixels})).by_candidate[NCNN.id]
    assert small.resolution_px == ImageSize.square(160)
    assert small.p50_ms.estimate < planned_forecasts().by_candidate[NCNN.id].p50_ms.estimate


@pytest.mark.parametrize("changes", [{"method": Method.MIXED}, {"precision": Precision.BF16}])
def test_a_candidate_of_other_arithmetic_than_a_tables_has_no_forecast(changes: dict[str, Any]) -> None:
    other = NCNN.model_copy(update={"id": "other", **changes})
    assert "other" in planned_forecasts(candidates=(BASELINE, other)).absent


def test_a_report_has_the_forecast_with_its_mark_and_its_gates_stay_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = a_request(tmp_path / "out", device=PI).model_copy(update={"gates": GateChoice(min={"images_per_s": 1.0})})
    report = a_report_of(staged(tmp_path), request)
    row = next(each for each in report.candidates if each.candidate.id == NCNN.id)
    assert row.forecast is not None and row.latency is not None and row.latency.p50_ms is None
    assert [(gate.verdict, gate.fidelity) for gate in row.gates] == [(Verdict.MISSING, Fidelity.MISSING)]
    assert report.model_dump(mode="json")["candidates"][2]["forecast"]["fidelity"] == "predicted"
    show_report(report)
    for text in (capsys.readouterr().out, report_markdown(report)):
        assert "▲" in text and "does not count towards any gate" in text
    cells = next(drawn.cells for drawn in candidate_rows(report) if drawn.facts.candidate.id == NCNN.id)
    (p50,) = (cell for cell in cells if "does not count towards any gate" in cell.detail)
    assert p50.estimate.startswith("▲ ")


def test_a_plan_shows_the_forecast_and_what_it_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan(resolved(**ROW))
    about = {"test_set": "", "out": Path("out"), "expected": planned_kit(planned.resolved)}
    shown = PlannedBuild(plan=planned, steps=(), gates=EffectiveGates(gates=()), **about)
    show_plan(shown)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ships without the device: ncnn-fp16, ▲ ") for line in lines)
    assert "no forecast: onnxruntime-fp32, onnxruntime-int8: no public table has onnxruntime on raspberry-pi-5" in lines
    assert shown.facts()["forecasts"][NCNN.id]["device"] == PI.name
    assert shown.facts()["kit"]["candidate"] == NCNN.id


@pytest.mark.parametrize(
    ("metric", "bound", "line"),
    [
        ("p50_ms", 0.001, "  predicted to miss p50_ms ≤ 0.001"),
        ("p50_ms", 10000.0, None),
        ("drop_pp", 0.01, "test images cannot show that: at least 27,053 are needed for a PASS"),
        ("size_mib", 5.0, "ships without the device: known after the export, because size_mib ≤ 5 decides too"),
    ],
)
def test_a_plan_says_which_gates_the_forecast_and_the_images_contradict(
    metric: str, bound: float, line: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(resolved(**ROW))
    expected = planned_kit(planned.resolved, bound if metric == "size_mib" else None)
    gates = EffectiveGates(gates=(Gate(metric=metric, side="max", bound=bound, required="advisory"),))
    show_plan(PlannedBuild(plan=planned, steps=(), gates=gates, test_set="", out=Path("out"), expected=expected))
    lines = capsys.readouterr().out.splitlines()
    said = [each for each in lines if "miss" in each or each.endswith(line or "miss")]
    assert len(said) == (line is not None) and all(each.endswith(line or "") for each in said)


def test_a_network_that_is_no_row_is_counted_from_its_file(tmp_path: Path) -> None:
    scaled = resolved().arch.model_copy(update={"scale": "width=0.5"})
    stage = staged(tmp_path, arch=scaled)
    assert built_forecasts(stage.seen) == CandidateForecasts(), "nothing was exported yet"
    folder = tmp_path / "export"
    artifact = an_artifact("export", folder)
    image, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in SHAPES.items())
    weights = numpy_helper.from_array(np.zeros((1000, 3, 7, 7), np.float32), "w")
    nodes = [helper.make_node("Conv", ["image", "w"], ["logits"], strides=[2, 2], pads=[3, 3, 3, 3])]
    graph = helper.make_graph(nodes, "g", [image], [made], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "model.onnx")
    stage.execution.artifacts["export"] = artifact
    stage.made()
    found = built_forecasts(stage.seen)
    said = found.by_candidate.get(NCNN.id) or found.absent[NCNN.id]
    assert found.absent[INT8.id] == "no public table has onnxruntime on raspberry-pi-5"
    assert isinstance(said, Forecast) and said.network == "mobilenet-v3-small"


def test_a_report_without_any_forecast_says_why(tmp_path: Path) -> None:
    without = {**ROW, "candidates": (BASELINE, INT8)}
    found = Staging(tmp_path / "build", **without)
    for name in (BASELINE.id, INT8.id):
        found.answered(name, 900)
    report = a_report_of(found, a_request(tmp_path / "out", device=PI))
    assert "no forecast of latency: no public table has onnxruntime on raspberry-pi-5" in report.notices
