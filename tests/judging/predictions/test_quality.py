import time
from dataclasses import replace

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import (
    LOGITS_DO_NOT_MATCH,
    NO_IMAGES,
    ONE_CLASS_ANSWERED,
    LogitsNotFinite,
)
from edgecnn.judging.accuracy import Answers
from edgecnn.judging.intervals import tango_drop_pp, wilson
from edgecnn.judging.quality import adjusted_over_candidates, quality
from edgecnn.values.figures import UnitLosses
from tests.judging.made import an_accuracy

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox")


def answering(classes, *, candidate="onnxruntime-int8", pixels="p", width=6):
    logits = np.eye(width, dtype=np.float32)[np.array(classes, dtype=np.int64)]
    return Answers(candidate=candidate, logits=logits, pixels=pixels, machine="AMD EPYC")


def fp32(classes, **more):
    return answering(classes, candidate="onnxruntime-fp32", **more)


def by_name(found):
    return {each.name: each for each in found.classes.classes}


LABELS = np.repeat(np.arange(6), [200, 200, 200, 200, 200, 3])
RIGHT = LABELS.copy()


def losing(name, lost, gained=0):
    """The baseline is wrong on the last ``gained`` images of the class, this candidate on the first ``lost``."""
    ours, theirs = LABELS.copy(), LABELS.copy()
    label = NAMES.index(name)
    of_class = np.flatnonzero(label == LABELS)
    ours[of_class[:lost]] = (label + 1) % 6
    theirs[of_class[len(of_class) - gained :]] = (label + 1) % 6
    return quality(answering(ours), LABELS, NAMES, fp32(theirs))


def test_the_class_that_lost_a_fifth_is_named_with_its_points():
    found = losing("cat", 45, 5)
    (cat,) = found.classes.shown()
    assert (cat.name, cat.images, cat.lost, cat.gained) == ("cat", 200, 45, 5)
    assert cat.drop_pp == tango_drop_pp(45, 5, 200)
    assert cat.recall == wilson(155, 200)
    assert cat.p_adjusted < 1e-7
    assert found.classes.worst_drop_pp.estimate == 20
    assert 5 < found.classes.worst_drop_pp.low < 20


def test_other_classes_are_not_named_and_those_too_small_say_so():
    found = losing("cat", 45)
    assert {each.name: each.regression for each in found.classes.classes} == {
        "ant": "not shown", "bee": "not shown", "cat": "shown", "dog": "not shown", "eel": "not shown", "fox": "too few images",
    }  # fmt: skip
    assert [each.name for each in found.classes.too_small()] == ["fox"]
    assert (found.classes.compared, found.classes.lost_to_show) == (6, 7)


def test_a_gain_is_no_regression():
    found = losing("cat", 0, 60)
    assert found.classes.shown() == ()
    assert by_name(found)["cat"].drop_pp.estimate == -30
    assert (found.classes.worst_drop_pp.low, found.classes.worst_drop_pp.estimate) == (0, 0)


def test_shown_classes_stand_in_the_order_of_their_loss():
    ours = LABELS.copy()
    for label, lost in ((0, 30), (3, 80), (4, 50)):
        ours[np.flatnonzero(label == LABELS)[:lost]] = 5
    found = quality(answering(ours), LABELS, NAMES, fp32(RIGHT))
    assert [each.name for each in found.classes.shown()] == ["dog", "eel", "ant"]


def test_the_largest_bound_comes_from_the_class_of_which_least_is_known():
    worst = losing("cat", 45)
    assert worst.classes.widest == "fox"
    assert worst.classes.worst_drop_pp.high == pytest.approx(tango_drop_pp(0, 0, 3).high)


def test_a_class_without_images_leaves_the_worst_drop_open():
    some = LABELS != 2
    found = quality(answering(RIGHT[some]), LABELS[some], NAMES, fp32(RIGHT[some]))
    cat = by_name(found)["cat"]
    assert (cat.images, cat.recall, cat.f1, cat.drop_pp, cat.p_adjusted) == (0, None, None, None, None)
    assert cat.regression == "too few images"
    assert (found.classes.worst_drop_pp.high, found.classes.widest, found.classes.compared) == (100, "cat", 5)


def test_agreement_counts_equal_answers_right_or_wrong():
    labels = np.array([0, 1, 2, 3])
    found = quality(answering([0, 2, 3, 3]), labels, NAMES, fp32([0, 2, 1, 0]))
    assert found.agreement == wilson(2, 4, 0.90)


def test_the_baseline_itself_agrees_with_nothing_and_lost_nothing():
    found = quality(fp32(RIGHT), LABELS, NAMES)
    assert found.agreement is None
    assert found.absent == {"agreement": "there is no baseline network to agree with"}
    assert (found.classes.worst_drop_pp, found.classes.compared, found.classes.shown()) == (None, 0, ())
    assert {each.regression for each in found.classes.classes} == {None}


def test_top_5_is_told_of_six_classes_and_absent_of_five():
    logits = np.array([[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1]], dtype=np.float32)
    answers = Answers(candidate="onnxruntime-int8", logits=logits, pixels="p", machine="m")
    assert quality(answers, np.array([4, 5]), NAMES).top5 == wilson(1, 2, 0.90)
    few = quality(answering([0, 1], width=5), np.array([0, 1]), NAMES[:5])
    assert (few.top5, few.absent["top5"]) == (None, "there are 5 classes, so each is among the first five")


def test_every_interval_over_the_split_is_the_one_its_gate_is_judged_by():
    found = losing("cat", 45)
    intervals = (found.top5, found.macro_f1, found.ece, found.agreement, found.classes.worst_drop_pp)
    assert {each.confidence for each in intervals} == {0.90}


@pytest.mark.parametrize(
    ("answers", "labels", "names", "error", "says"),
    [
        (answering([]), np.array([], dtype=np.int64), NAMES, NO_IMAGES, "0 test images"),
        (answering([0], width=1), np.array([0]), ("ant",), ONE_CLASS_ANSWERED, "1 class"),
        (answering([0]), np.array([0]), NAMES[:5], LOGITS_DO_NOT_MATCH, "logits of 6 classes cannot be compared with 5 names"),
        (answering([0, 1]), np.array([0]), NAMES, LOGITS_DO_NOT_MATCH, r"logits of shape \(2, 6\)"),
    ],
)
def test_what_cannot_be_judged_is_refused(answers, labels, names, error, says):
    with pytest.raises(EdgecnnError, match=says, check=error.made):
        quality(answers, labels, names)


def test_a_broken_baseline_is_named_itself():
    broken = fp32([0, 1])
    broken.logits[1, 3] = np.nan
    with pytest.raises(LogitsNotFinite, match="the logits of onnxruntime-fp32 for image 1 contain nan"):
        quality(answering([0, 1]), np.array([0, 1]), NAMES, broken)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (fp32([0, 1], pixels="q"), "to pixels p cannot be compared with those of onnxruntime-fp32 to pixels q"),
        (fp32([0, 1], width=7), r"of shape \(2, 6\) cannot be compared with those of onnxruntime-fp32 of shape \(2, 7\)"),
    ],
)
def test_a_baseline_of_other_images_or_classes_is_refused(other, says):
    with pytest.raises(EdgecnnError, match=says, check=LOGITS_DO_NOT_MATCH.made):
        quality(answering([0, 1]), np.array([0, 1]), NAMES, other)


@pytest.mark.parametrize(("images", "classes"), [(10_000, 10), (5_000, 1_000)])
def test_it_is_no_wait_in_a_cached_build(images, classes):
    rng = np.random.default_rng(8)
    theirs = rng.normal(size=(images, classes)).astype(np.float32)
    ours = theirs + rng.normal(scale=0.1, size=theirs.shape).astype(np.float32)
    answers = [Answers(candidate=name, logits=logits, pixels="p", machine="m") for name, logits in (("a", ours), ("b", theirs))]
    names = [f"class {index}" for index in range(classes)]
    began = time.perf_counter()
    quality(answers[0], rng.integers(0, classes, images), names, answers[1])
    assert time.perf_counter() - began < 1  # 0.02 and 0.1 s on two shared cores, and 0.6 s for 50,000 images of 1,000 classes


def test_losses_are_adjusted_over_the_candidates_of_a_build_and_what_was_not_compared_stays():
    alone = losing("cat", 8)
    tests = {"a": an_accuracy(quality=alone), "b": an_accuracy(quality=losing("dog", 1)), "fp32": None}
    found = adjusted_over_candidates(tests)
    assert [report.name for report in alone.classes.shown()] == ["cat"]
    assert (found["fp32"], found["a"].quality.classes.candidates) == (None, 2)
    assert by_name(found["a"].quality)["cat"].p_adjusted >= by_name(alone)["cat"].p_adjusted
    assert found["a"].quality.classes.lost_to_show == 8


def test_a_class_has_intervals_and_counts_of_its_groups():
    """40 groups of 15 images; of the first class, five of 20 groups are lost."""
    of, labels = np.repeat(np.arange(40), 15), np.repeat([0, 1], 300)
    wrong = (of % 4 == 0) & (labels == 0)
    ours, theirs = (replace(answering(said, width=2), groups=of) for said in (np.where(wrong, 1 - labels, labels), labels))
    first = quality(ours, labels, ("cat", "dog"), theirs).classes.classes[0]
    assert first.units == UnitLosses(kind="group", count=20, lost=5, gained=0)
    assert first.recall.low == pytest.approx(wilson(15, 20).low, abs=0.03)
    assert first.drop_pp.high == pytest.approx(tango_drop_pp(5, 0, 20).high, abs=2)
