"""Quantization-aware candidates: planned when asked for, from one training, and lost together where that fails."""

from __future__ import annotations

from typing import ClassVar

import pytest

from edgecnn.building.execute import Execution, StageContext, execute
from edgecnn.planning import candidates as module
from edgecnn.planning.candidates import BASELINE, aware_candidates, aware_unavailable
from edgecnn.planning.plan import Plan, Step, plan
from edgecnn.values.artifact import Blocked, Unavailable
from edgecnn.values.candidate import Candidate, Method, Precision, Rung, Runtime, Scheme, graph_of
from edgecnn.values.recipe import Recipe
from tests.building.resolutions import INT8, TRT_FP16, resolved, summary
from tests.building.test_execute import VERSIONS, Toy, ToyPrepare, ToyQuantize, words, workshop

__all__ = ["workshop"]
OPENVINO = INT8.model_copy(update={"id": "openvino-int8", "runtime": Runtime.OPENVINO, "session_options": {"A": "b"}})
TRT_INT8 = Candidate(
    id="tensorrt-int8",
    runtime=Runtime.TENSORRT,
    precision=Precision.INT8,
    method=Method.POST_TRAINING,
    scheme=Scheme(activation_dtype="int8", activation_symmetric=True, bias="float"),
    needs_engine=True,
)
AWARE = aware_candidates((BASELINE, INT8, OPENVINO, TRT_FP16))


class ToyAware(Toy):
    kind: ClassVar[str] = "aware"


def planned() -> Plan:
    return plan(resolved(candidates=(BASELINE, INT8, OPENVINO, *AWARE)))


def test_each_cpu_runtimes_int8_has_one_in_unsigned_activations_with_its_own_session() -> None:
    assert [each.id for each in AWARE] == ["onnxruntime-int8-aware", "openvino-int8-aware"]
    assert {each.precision for each in AWARE} == {Precision.INT8}
    assert [each.session_options for each in AWARE] == [{}, {"A": "b"}]
    assert len({each.scheme for each in AWARE if each.scheme is not None}) == 1
    assert [graph_of(each) for each in (INT8, *AWARE)] == ["export", "aware", "aware"]


def test_a_processor_whose_byte_products_saturate_trains_seven_bit_weights() -> None:
    assert INT8.scheme is not None
    narrow = INT8.model_copy(update={"scheme": INT8.scheme.model_copy(update={"reduced_range": True})})
    (made,) = aware_candidates((narrow,))
    assert made.scheme is not None
    assert made.scheme.reduced_range


def test_the_rung_is_the_last_and_both_candidates_come_from_one_training() -> None:
    found = planned()
    assert [rung.name for rung in found.rungs if rung.mends is None] == ["fp32", "int8", "aware"]
    assert found.rungs[-1].name == "aware"
    step = found.step("aware")
    assert step is not None
    assert [each.id for each in found.steps if each.stage.kind == "aware"] == ["aware"]
    for candidate in AWARE:
        quantize = found.step(f"quantize:{candidate.id}")
        assert quantize is not None
        assert quantize.stage.inputs["model"] == step.key
    order = [each.id for each in found.steps]
    assert order.index("aware") < order.index("quantize:onnxruntime-int8-aware")


def test_tensorrt_s_int8_learns_its_own_roundings_in_a_training_of_its_own() -> None:
    (learned,) = aware_candidates((TRT_INT8,))
    assert (learned.id, learned.needs_engine, learned.scheme) == ("tensorrt-int8-aware", True, TRT_INT8.scheme)
    found = plan(resolved(candidates=(BASELINE, INT8, TRT_INT8, *aware_candidates((INT8, TRT_INT8)))))
    assert [each.id for each in found.steps if each.stage.kind == "aware"] == ["aware", "aware-float-bias"]
    assert [each.id for each in found.rungs[-1].candidates] == ["onnxruntime-int8-aware", "tensorrt-int8-aware"]
    for candidate in found.rungs[-1].candidates:
        quantize, training = found.step(f"quantize:{candidate.id}"), found.step(graph_of(candidate))
        assert quantize is not None
        assert training is not None
        assert quantize.stage.inputs["model"] == training.key
    twin = found.step("package-twin:tensorrt-int8-aware")
    assert twin is not None
    assert set(twin.stage.inputs) == {"model", "pixels", "kit"}


def test_asking_for_it_changes_no_other_key() -> None:
    before = {step.id: step.key for step in plan(resolved(candidates=(BASELINE, INT8, OPENVINO))).steps}
    after = {step.id: step.key for step in planned().steps}
    assert before == {name: key for name, key in after.items() if name in before}
    assert {name for name in after if name not in before} == {
        "aware",
        *(f"{kind}:{candidate.id}" for kind in ("quantize", "package") for candidate in AWARE),
    }


def with_toys(aware_ends: str) -> Plan:
    """prepare, then the two candidates of a training that both need and neither owns."""
    prepare = _step(ToyPrepare(name="prepare"), "prepare")
    shared = _step(ToyAware(name="aware", ends=aware_ends, inputs={"before": prepare.key}), "aware")
    branches = [_step(ToyQuantize(name=each.id, inputs={"before": shared.key}), f"quantize:{each.id}", each.id) for each in AWARE]
    return Plan(resolved=resolved(), steps=(prepare, shared, *branches), rungs=(Rung(name="aware", candidates=AWARE),))


def _step(stage: Toy, step_id: str, candidate: str | None = None) -> Step:
    return Step(id=step_id, stage=stage, key=stage.key(VERSIONS), candidate=candidate)


def test_the_shared_training_runs_once_and_only_when_its_rung_is_climbed(workshop: StageContext) -> None:
    execution = execute(Execution(plan=with_toys("well")), workshop)
    assert words(execution) == dict.fromkeys(
        ["prepare", "aware", "quantize:onnxruntime-int8-aware", "quantize:openvino-int8-aware"], "ran"
    )
    assert "aware" not in words(execute(Execution(plan=with_toys("well")), workshop, "export"))


def test_a_training_that_fails_ends_its_own_candidates_and_no_build(workshop: StageContext) -> None:
    execution = execute(Execution(plan=with_toys("broken")), workshop)
    assert words(execution)["aware"] == "failed"
    assert {execution.outcomes[f"quantize:{each.id}"] for each in AWARE} == {Blocked(by="aware")}


def test_without_torchao_or_training_images_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = summary().model_copy(update={"counts": {**summary().counts, "train": 0}})
    assert aware_unavailable(Recipe(), empty) == Unavailable(
        why="there are no training images", command="edgecnn data inspect demo"
    )
    monkeypatch.setattr(module, "installed_version", lambda name: None)
    lacking = Unavailable(why="torchao is not installed", command='pip install "edgecnn[aware]"')
    assert aware_unavailable(Recipe(), summary()) == lacking


def test_a_float_candidate_is_never_trained_for_int8() -> None:
    float_only: tuple[Candidate, ...] = (BASELINE, TRT_FP16)
    assert aware_candidates(float_only) == ()
