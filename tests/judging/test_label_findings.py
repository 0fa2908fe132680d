"""Gates of a multi-label network: on mAP, its drop and F1; and none on what only one class an image has."""

from __future__ import annotations

import math

import pytest

from edgecnn.judging.choice import drop_on_validation
from edgecnn.judging.findings import images_to_settle
from edgecnn.judging.gates import Circumstances, EffectiveGates, StatedBounds, gates_for, judge
from edgecnn.judging.metrics import METRICS
from edgecnn.judging.resolution import POWER_Z
from edgecnn.values.figures import MultiLabelAccuracy
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, Verdict
from tests.judging.made import a_candidate, a_class, a_gate, a_multi_label, a_quality, an_accuracy, an_interval, facts


def a_row(seen: MultiLabelAccuracy, name: str = "onnxruntime-int8") -> CandidateFacts:
    baseline = seen.drop_pp is None
    return CandidateFacts(candidate=a_candidate(name), is_baseline=baseline, multi_label=seen, multi_label_on_validation=seen)


def verdict(metric: str, bound: float, seen: MultiLabelAccuracy) -> tuple[Verdict, str]:
    side = "max" if METRICS[metric].better == "lower" else "min"
    result = judge(Gate(metric=metric, side=side, bound=bound, required="always"), a_row(seen))
    return result.verdict, result.reason


@pytest.mark.parametrize(("drop", "says"), [((0.4, 0.1, 0.7), "PASS"), ((1.4, 1.1, 1.7), "FAIL"), ((0.9, 0.2, 1.6), "UNSURE")])
def test_the_whole_interval_of_the_drop_of_map_decides(drop: tuple[float, float, float], says: str) -> None:
    assert verdict("map_drop_pp", 1.0, a_multi_label(drop))[0].value == says


def test_the_baseline_passes_by_definition() -> None:
    assert verdict("map_drop_pp", 1.0, a_multi_label(None))[0] is Verdict.PASS
    assert verdict("agreement", 0.99, a_multi_label(None))[0] is Verdict.PASS


def test_map_is_judged_at_the_confidence_of_a_gate() -> None:
    assert verdict("map", 0.765, a_multi_label())[0] is Verdict.PASS
    assert verdict("map", 0.79, a_multi_label())[0] is Verdict.UNSURE
    assert verdict("map", 0.765, a_multi_label())[1] == "mAP 80.0 % [76.9, 82.8] at 90 % meets map ≥ 0.765"
    old = a_multi_label().model_copy(update={"map_bounds": None})
    assert "[77.0, 83.0] at 95 %" in verdict("map", 0.765, old)[1], "an old report has the wider interval alone"


@pytest.mark.parametrize(("metric", "bound"), [("micro_f1", 0.66), ("macro_f1", 0.56), ("agreement", 0.91)])
def test_f1_and_agreement_have_gates(metric: str, bound: float) -> None:
    assert verdict(metric, bound, a_multi_label())[0] is Verdict.PASS
    assert verdict(metric, bound + 0.02, a_multi_label())[0] is Verdict.UNSURE
    assert verdict(metric, min(1.0, bound + 0.08), a_multi_label())[0] is Verdict.FAIL


@pytest.mark.parametrize("metric", ["drop_pp", "top1", "top5", "ece", "worst_class_drop_pp"])
def test_what_one_class_an_image_has_is_not_of_a_multi_label_model(metric: str) -> None:
    found, reason = verdict(metric, 0.5, a_multi_label())
    assert found is Verdict.MISSING
    assert all(name in reason for name in (metric, "map_drop_pp", "map", "micro_f1", "macro_f1", "agreement"))


@pytest.mark.parametrize("metric", ["map_drop_pp", "map", "micro_f1"])
def test_what_several_labels_have_is_not_of_any_other_model(metric: str) -> None:
    row = CandidateFacts(candidate=a_candidate("onnxruntime-int8"), test=an_accuracy())
    side = "max" if METRICS[metric].better == "lower" else "min"
    result = judge(Gate(metric=metric, side=side, bound=0.5, required="always"), row)
    assert result.verdict is Verdict.MISSING
    assert metric in result.reason


def test_the_default_gate_and_the_budget_of_the_choice_are_those_of_the_drop_of_map() -> None:
    (gate,) = gates_for(StatedBounds(GateChoice()), Circumstances(multi_label=True))
    assert (gate.metric, gate.side, gate.bound, gate.required) == ("map_drop_pp", "max", 1.0, "advisory")
    stated = gates_for(StatedBounds(GateChoice(max={"map_drop_pp": 2.5})), Circumstances(multi_label=True))
    assert (EffectiveGates(gates=(gate,)).budget_pp, EffectiveGates(gates=stated).budget_pp) == (1.0, 2.5)
    assert drop_on_validation(a_row(a_multi_label((0.4, 0.1, 0.7)))) == 0.4
    assert drop_on_validation(a_row(a_multi_label(None), "onnxruntime-fp32")) == 0.0


@pytest.mark.parametrize(("drop", "bound"), [(0.0, 1.0), (0.4, 1.0), (3.0, 1.0)])
def test_with_so_many_images_of_the_same_kind_the_drop_is_settled(drop: float, bound: float) -> None:
    def seen(images: int) -> MultiLabelAccuracy:
        """Half of the images count as much as one does; the jackknife's part is 2 pp of 100 images, more of those for power."""
        unseen = 100 * 1.645**2 / images
        half = unseen + math.sqrt(4 * 100 * (1 + (POWER_Z / 1.645 if images > 100 else 0)) ** 2 / images + unseen**2)
        figure = an_interval(drop, drop - half, drop + half, 0.9)
        return a_multi_label().model_copy(update={"drop_pp": figure, "images": images, "drop_images": images / 2})

    needed = images_to_settle("map_drop_pp", bound, seen(100))
    assert needed is not None
    settled = seen(needed).drop_pp
    assert settled is not None and abs(settled.high - drop) == pytest.approx(abs(bound - drop), rel=0.02)


def test_a_mean_over_labels_that_no_test_image_has_covers_every_value_that_they_may_have() -> None:
    seen = a_multi_label()
    unseen = seen.labels[0].model_copy(update={"name": "scarf", "images": 0, "average_precision": None})
    row = facts(multi_label=seen.model_copy(update={"labels": (*seen.labels, unseen)}))
    whole = facts(multi_label=seen)
    for metric, bound in (("map", 0.7), ("macro_f1", 0.5)):
        gate = a_gate(metric, bound, side="min")
        assert judge(gate, whole).verdict is Verdict.PASS
        result = judge(gate, row)
        assert (result.verdict, result.images_to_settle) == (Verdict.UNSURE, None)
        assert "'scarf'" in result.reason
        assert judge(a_gate(metric, 0.99, side="min"), row).verdict is Verdict.FAIL, "even a perfect label would not help"
    assert judge(a_gate("map_drop_pp", 1.0), whole).verdict is Verdict.PASS
    assert judge(a_gate("map_drop_pp", 1.0), row).verdict is Verdict.UNSURE


def test_the_same_of_macro_f1_with_one_class_an_image() -> None:
    quality = a_quality()
    unseen = a_class("Scarf", images=0, right=0, recall=None, drop_pp=None)
    classes = quality.classes.model_copy(update={"classes": (*quality.classes.classes, unseen)})
    row = facts(test=an_accuracy(quality=quality.model_copy(update={"classes": classes})))
    gate = a_gate("macro_f1", 0.8, side="min")
    assert judge(gate, facts(test=an_accuracy(quality=quality))).verdict is Verdict.PASS
    result = judge(gate, row)
    assert result.verdict is Verdict.UNSURE and "'Scarf'" in result.reason
