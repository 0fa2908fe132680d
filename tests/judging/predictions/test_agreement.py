"""Images that nobody labelled show agreement with fp32: an interval of its own, and never an accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import LOGITS_DO_NOT_MATCH, LogitsNotFinite
from edgecnn.judging.accuracy import NO_LABELS, Answers, agreement
from edgecnn.judging.choice import eligibility_of, reasons_of
from edgecnn.judging.gates import Circumstances, EffectiveGates, StatedBounds, gates_for, judge
from edgecnn.judging.reasons import worded
from edgecnn.values.reason import Differs
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, Verdict
from tests.judging.made import a_candidate


def answers(firsts: list[int], name: str = "onnxruntime-int8", pixels: str = "p") -> Answers:
    return Answers(candidate=name, logits=np.eye(3, dtype=np.float32)[firsts], pixels=pixels, machine="AMD EPYC")


FP32 = answers([0, 1, 2] * 100, "onnxruntime-fp32")
SOME = answers([0, 1, 2] * 96 + [1, 2, 0] * 4)


def unlabelled(seen: Answers) -> CandidateFacts:
    return CandidateFacts(
        candidate=a_candidate(seen.candidate),
        agreement=agreement(seen, "test", FP32),
        agreement_on_validation=agreement(seen, "validation", FP32),
        kit="k",
    )


def test_agreement_is_the_share_of_the_same_first_class_with_its_interval() -> None:
    found = agreement(SOME, "test", FP32)
    assert found.images == 300 and found.same.estimate == 0.96 and found.same.confidence == 0.95
    assert found.same.low == pytest.approx(0.9315, abs=1e-3) and found.same.high == pytest.approx(0.9769, abs=1e-3)
    assert found.differing_pp == pytest.approx(4)
    itself = agreement(FP32, "test")
    assert itself.same.estimate == itself.same.low == 1.0


def test_answers_to_other_pixels_and_no_numbers_agree_with_nothing() -> None:
    with pytest.raises(EdgecnnError, check=LOGITS_DO_NOT_MATCH.made):
        agreement(answers([0, 1, 2] * 100, pixels="q"), "test", FP32)
    broken = answers([0, 1, 2] * 100)
    broken.logits[4, 0] = np.nan
    with pytest.raises(LogitsNotFinite):
        agreement(broken, "test", FP32)


def test_a_gate_on_accuracy_is_missing_and_says_why() -> None:
    for metric, side in (("top1", "min"), ("drop_pp", "max"), ("macro_f1", "min"), ("worst_class_drop_pp", "max")):
        found = judge(Gate(metric=metric, side=side, bound=0.5, required="always"), unlabelled(SOME))  # type: ignore[arg-type]
        assert found.verdict is Verdict.MISSING and found.figure is None
        assert found.reason.startswith(NO_LABELS) and "--min agreement=0.99" in found.reason


@pytest.mark.parametrize(("bound", "verdict"), [(0.9, Verdict.PASS), (0.96, Verdict.UNSURE), (0.99, Verdict.FAIL)])
def test_a_gate_on_agreement_is_judged_by_the_whole_interval(bound: float, verdict: Verdict) -> None:
    found = judge(Gate(metric="agreement", side="min", bound=bound, required="always"), unlabelled(SOME))
    assert found.verdict is verdict and found.reason.startswith("agreement with fp32 96.0 % [93.7, 97.5] at 90 %")


def test_without_labels_the_default_gate_and_the_budget_are_of_agreement() -> None:
    (gate,) = gates_for(StatedBounds(GateChoice()), Circumstances(labelled=False))
    assert (gate.metric, gate.side, gate.bound, gate.required) == ("agreement", "min", 0.99, "advisory")
    assert EffectiveGates(gates=(gate,), labelled=False).budget_pp == 1.0
    assert EffectiveGates(gates=(gate.model_copy(update={"bound": 0.95}),), labelled=False).budget_pp == 5.0
    assert EffectiveGates(gates=(gate.model_copy(update={"bound": 0.95}),)).budget_pp == 1.0


def test_other_answers_stand_for_the_drop_that_cannot_be_larger() -> None:
    facts = unlabelled(SOME)
    assert not eligibility_of([facts], 1.0, None).inside and eligibility_of([facts], 4.5, None).inside
    assert facts.agreement_on_validation is not None
    said = worded(
        Differs(split="validation", same=facts.agreement_on_validation.same, bound_pp=1.0, images=300), "onnxruntime-int8"
    )
    assert said == (
        "exceeds the budget on validation: it agrees with fp32 on 96.0 % [93.1, 97.7] at 95 % of 300 images; without labels, "
        "a budget of 1 pp requires 99 %"
    )
    in_groups = facts.agreement_on_validation.model_copy(update={"groups": 20})
    grouped = facts.model_copy(update={"agreement_on_validation": in_groups})
    reason = reasons_of(eligibility_of([grouped], 1.0, None), {})["onnxruntime-int8"]
    assert "at 95 % of 300 images of 20 groups; without labels" in worded(reason, "onnxruntime-int8")


def test_of_several_labels_an_image_all_of_them_have_to_be_the_same() -> None:
    """The first label alone is the same of every image; a second one reaches its threshold on some, in one network."""
    bounds = {"a": 0.5, "b": 0.5}
    fp32 = np.array([[3.0, -3.0]] * 90 + [[3.0, 2.0]] * 10, np.float32)
    int8 = np.array([[3.0, -3.0]] * 95 + [[3.0, 2.0]] * 5, np.float32)
    ours, theirs = (Answers(candidate=name, logits=each, pixels="p", machine="m") for name, each in (("i", int8), ("f", fp32)))
    assert agreement(ours, "test", theirs, bounds).same.estimate == 0.95
    assert agreement(ours, "test", theirs).same.estimate == 1.0
