from __future__ import annotations

from edgecnn.building.observe import finalists
from edgecnn.values.candidate import Candidate, Precision, Runtime

CANDIDATES = (
    Candidate(id="onnxruntime-fp32", runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32),
    Candidate(id="onnxruntime-int8", runtime=Runtime.ONNXRUNTIME, precision=Precision.INT8),
    Candidate(id="openvino-fp32", runtime=Runtime.OPENVINO, precision=Precision.FP32),
    Candidate(id="openvino-bf16", runtime=Runtime.OPENVINO, precision=Precision.BF16),
    Candidate(id="openvino-int8", runtime=Runtime.OPENVINO, precision=Precision.INT8),
)
ALL = tuple(candidate.id for candidate in CANDIDATES)
MS = {"onnxruntime-fp32": 4.0, "onnxruntime-int8": 1.2, "openvino-fp32": 3.9, "openvino-bf16": 2.0, "openvino-int8": 1.0}


def test_the_baseline_the_best_float_and_the_best_two_race() -> None:
    assert finalists(MS, ALL, CANDIDATES) == ("onnxruntime-fp32", "openvino-bf16", "openvino-int8", "onnxruntime-int8")


def test_what_is_over_the_accuracy_budget_does_not_race_however_fast() -> None:
    inside = [name for name in ALL if name != "openvino-int8"]
    assert "openvino-int8" not in finalists(MS, inside, CANDIDATES)


def test_the_baseline_races_even_when_it_is_slowest_and_nothing_else_is_inside() -> None:
    assert finalists(MS, (), CANDIDATES) == ("onnxruntime-fp32",)


def test_what_did_not_finish_its_screening_run_does_not_race() -> None:
    screened = {name: ms for name, ms in MS.items() if name != "openvino-bf16"}
    assert finalists(screened, ALL, CANDIDATES) == ("onnxruntime-fp32", "openvino-fp32", "openvino-int8", "onnxruntime-int8")


def test_whoever_one_screening_run_cannot_tell_from_the_fastest_races_too() -> None:
    screened = {
        "onnxruntime-fp32": 0.83,
        "onnxruntime-int8": 0.74,
        "openvino-fp32": 0.94,
        "openvino-bf16": 0.83,
        "openvino-int8": 0.8,
    }
    assert finalists(screened, ALL, CANDIDATES) == ("onnxruntime-fp32", "onnxruntime-int8", "openvino-int8", "openvino-bf16")


def test_no_more_than_four_of_many_alike_race_beside_the_baseline() -> None:
    alike = {f"openvino-int8-{number}": 1.0 + number / 100 for number in range(8)}
    members = tuple(Candidate(id=name, runtime=Runtime.OPENVINO, precision=Precision.INT8) for name in alike)
    racing = finalists({**alike, "onnxruntime-fp32": 4.0}, (*alike, "onnxruntime-fp32"), (*members, CANDIDATES[0]))
    assert racing == ("onnxruntime-fp32", "openvino-int8-0", "openvino-int8-1", "openvino-int8-2", "openvino-int8-3")
