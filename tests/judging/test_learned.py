"""A network whose accuracy is not shown to beat chance passes nothing, in whichever verb it is judged."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.judging.accuracy import Answers
from edgecnn.judging.average_precision import chance_precision
from edgecnn.judging.gates import exit_code_of, overall
from edgecnn.judging.intervals import wilson
from edgecnn.judging.judgement import (
    LEAST_IMAGES,
    Chance,
    beats_chance,
    chance_of,
    commonest_share,
    is_at_chance,
    judge_candidate,
    learned_result,
    not_learned,
    weakness_of,
)
from edgecnn.judging.resolution import two_digits
from edgecnn.values.figures import Accuracy, ClassReport, Groups, LabelFigures
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import a_class, a_gate, a_multi_label, a_quality, an_accuracy, an_interval, facts

DEFAULT = a_gate(required="advisory")


def right_on(right: int, *images: int, **changes: object) -> CandidateFacts:
    """A candidate that is right on so many of the test images, which are so many of each class."""
    classes = tuple(a_class(f"c{place}", images=count) for place, count in enumerate(images))
    quality = a_quality(classes=ClassReport(classes=classes))
    return facts(
        "onnxruntime-fp32", is_baseline=True, test=an_accuracy(right=right, images=sum(images), quality=quality, **changes)
    )


def ranked(estimate: float, low: float, high: float) -> CandidateFacts:
    """A multi-label candidate of that mAP."""
    return facts(
        "onnxruntime-fp32", is_baseline=True, multi_label=a_multi_label(None, map=an_interval(estimate, low, high, 0.95))
    )


def test_chance_is_the_share_of_the_most_frequent_class() -> None:
    assert chance_of(right_on(90, *[10] * 10)) == Chance(0.1, "always predicting 'c0'")
    assert chance_of(right_on(90, 20, 70, 10)) == Chance(0.7, "always predicting 'c1'")
    assert chance_of(right_on(9, 10, 0)) == Chance(1.0, "always predicting 'c0'"), "images of one class show nothing"
    assert commonest_share([0, 3, 1]) == 0.75


def test_chance_of_labels_is_the_mean_precision_of_a_random_ranking() -> None:
    chance = chance_of(ranked(0.8, 0.7, 0.9))
    assert chance is not None
    assert chance.level == pytest.approx((chance_precision(400, 120) + chance_precision(400, 60)) / 2)


@pytest.mark.parametrize(
    ("right", "images", "verdict", "code"),
    [
        (117, [100] * 10, Verdict.UNSURE, ExitCode.UNSURE),  # 11.7 % on ten classes
        (150, [100] * 10, Verdict.PASS, ExitCode.OK),
        (290, [100] * 10, Verdict.PASS, ExitCode.OK),
        (50, [100] * 10, Verdict.FAIL, ExitCode.GATE_FAILED),  # shown to be worse than chance
        (900, [900, 50, 50], Verdict.UNSURE, ExitCode.UNSURE),  # 90 %, by one answer to everything
        (950, [900, 50, 50], Verdict.PASS, ExitCode.OK),
        (7, [4, 4, 4], Verdict.UNSURE, ExitCode.UNSURE),  # 58 % of twelve images
        (12, [4, 4, 4], Verdict.PASS, ExitCode.OK),
        (0, [4, 4, 4], Verdict.FAIL, ExitCode.GATE_FAILED),
    ],
)
def test_only_an_accuracy_that_is_shown_to_beat_chance_passes(
    right: int, images: list[int], verdict: Verdict, code: ExitCode
) -> None:
    results = judge_candidate((DEFAULT,), right_on(right, *images))
    assert (overall(results), exit_code_of(results)) == (verdict, code)
    assert [result.gate.stated_by for result in results] == [*(["chance"] if verdict is not Verdict.PASS else []), "default"]


@pytest.mark.parametrize(("low", "high", "verdict"), [(0.2, 0.5, "UNSURE"), (0.3, 0.5, "PASS"), (0.1, 0.2, "FAIL")])
def test_the_same_of_several_labels_an_image(low: float, high: float, verdict: str) -> None:
    gate = a_gate("map_drop_pp", required="advisory")
    assert overall(judge_candidate((gate,), ranked((low + high) / 2, low, high))) == verdict


def test_the_sentence_has_the_figures_and_how_many_images_would_settle_it() -> None:
    found = not_learned(right_on(117, *[100] * 10))
    assert found is not None
    assert all(fact in found.reason for fact in ("11.7 % [9.9, 13.8]", "'c0'", "10.0 %", "2,600 "))
    assert (found.gate.metric, found.gate.bound, found.images_to_settle) == ("top1", 0.1, 2551)
    labels = not_learned(ranked(0.22, 0.2, 0.5))
    assert labels is not None
    assert (labels.gate.metric, labels.images_to_settle) == ("map", None)
    assert "22.0 % [20.0, 50.0]" in labels.reason


def test_images_in_groups_settle_less() -> None:
    alone, grouped = (
        not_learned(right_on(117, *[100] * 10, groups=groups))
        for groups in (None, Groups(groups=100, top1_effect=2.0, drop_effect=2.0))
    )
    assert alone is not None
    assert grouped is not None
    assert grouped.images_to_settle == 10 * (alone.images_to_settle or 0), "the 1,000 images are worth 100 for a PASS"
    assert f" of {two_digits((grouped.images_to_settle or 0) // 10):,} groups" in grouped.reason


@pytest.mark.parametrize("known", [{}, {"test": an_accuracy(right=100)}], ids=["not evaluated", "without classes"])
def test_without_figures_nothing_is_said(known: dict[str, Accuracy]) -> None:
    row = facts(**known)
    assert (chance_of(row), not_learned(row), weakness_of(row)) == (None, None, None)


def test_a_bound_of_the_user_is_judged_beside_it_and_not_taken_for_it() -> None:
    bound = a_gate("top1", 0.5, side="min")
    results = judge_candidate((bound,), right_on(117, *[100] * 10))
    assert [(each.gate.bound, each.verdict) for each in results] == [(0.1, Verdict.UNSURE), (0.5, Verdict.FAIL)]
    assert overall(results) is Verdict.FAIL
    assert learned_result(results) is results[0]
    assert learned_result(judge_candidate((bound,), right_on(300, *[100] * 10))) is None


def test_no_accuracy_beats_no_chance() -> None:
    assert not beats_chance(None, 0.1)
    assert not beats_chance(an_interval(0.2, 0.1, 0.3), 0.1), "the bound itself is not above it"
    assert beats_chance(an_interval(0.2, 0.11, 0.3), 0.1)


def recalled(right: int, *recalls: tuple[int, int]) -> CandidateFacts:
    """Right on so many images altogether, and (right, images) of each class."""
    classes = tuple(a_class(f"c{place}", images=count, recall=wilson(n, count)) for place, (n, count) in enumerate(recalls))
    quality = a_quality(classes=ClassReport(classes=classes))
    return facts(test=an_accuracy(right=right, images=sum(count for _, count in recalls), quality=quality))


def test_a_class_that_is_never_recognised_makes_a_result_weak_where_enough_images_show_it() -> None:
    weak = weakness_of(recalled(80, (40, 40), (40, 40), (0, LEAST_IMAGES)))
    assert weak is not None
    assert (weak.never, weak.classes, weak.several_labels) == (("c2",), 3, False)
    assert weakness_of(recalled(80, (40, 40), (40, 40), (0, LEAST_IMAGES - 1))) is None
    assert weakness_of(recalled(81, (40, 40), (40, 40), (1, LEAST_IMAGES))) is None


@pytest.mark.parametrize(("right", "weak"), [(290, True), (420, True), (450, False), (900, False)])
def test_an_accuracy_less_than_two_fifths_of_the_way_from_chance_is_weak(right: int, weak: bool) -> None:
    assert (weakness_of(recalled(right, *[(right // 10, 100)] * 10)) is not None) is weak


def test_a_label_that_no_image_got_is_never_recognised() -> None:
    label = LabelFigures(
        name="hat", images=60, threshold=0.5, average_precision=0.2, precision=None, recall=wilson(0, 60), f1=0.0
    )
    several = a_multi_label()
    weak = weakness_of(facts(multi_label=several.model_copy(update={"labels": (several.labels[0], label)})))
    assert weak is not None
    assert (weak.never, weak.several_labels) == (("hat",), True)


@pytest.mark.parametrize("classes", [100, 300, 1000])
def test_a_guesser_with_one_image_a_class_rarely_passes_as_learned(classes: int) -> None:
    random = np.random.default_rng(8)
    right = random.binomial(classes, 1 / classes, 4_000)
    passing = {hits: not_learned(right_on(int(hits), *[1] * classes)) is None for hits in np.unique(right)}
    rate = sum(passing[hits] for hits in right) / len(right)
    assert rate < 0.03, "two-sided 95 %; the score interval alone gives 8 %"
    assert not_learned(right_on(12, *[1] * classes)) is None


def test_a_network_at_chance_level_is_not_advised_to_test_ever_more_images() -> None:
    chance, default = judge_candidate((DEFAULT,), right_on(1005, *[1000] * 10))
    assert (chance.gate.stated_by, chance.verdict, chance.images_to_settle) == ("chance", Verdict.UNSURE, None)
    assert default.images_to_settle is None
    few = judge_candidate((DEFAULT,), right_on(7, 4, 4, 4))[0].images_to_settle
    assert few is not None and few <= 30 * 12, "a few more images than there are still help"


@pytest.mark.parametrize(("right", "expected"), [(101, True), (117, True), (150, False)])
def test_predictions_on_validation_are_compared_with_chance(right: int, expected: bool) -> None:
    labels = np.arange(1000) % 10
    named = np.where(np.arange(1000) < right, labels, (labels + 1) % 10)
    answers = Answers("a", np.eye(10, dtype=np.float32)[named], Fidelity.MEASURED, "here", "0" * 64)
    assert is_at_chance(answers, labels) is expected
