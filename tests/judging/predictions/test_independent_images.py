"""Images in groups are worth fewer independent ones, by as much as those of a group are alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.errors.wording import counted
from edgecnn.judging.accuracy import Answers, accuracy, agreement, share_of
from edgecnn.judging.gates import judge
from edgecnn.judging.intervals import group_effect, independent_at_most, wilson
from edgecnn.judging.multi_label import multi_label_accuracy
from edgecnn.render.figures import agreement_sentence
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, Interval
from tests.judging.made import a_candidate, a_quality

GROUPS, EACH = 40, 15
OF = np.repeat(np.arange(GROUPS), EACH)


def alike(random: np.random.Generator, share: float, how: float) -> NDArray[np.bool_]:
    """(images,): true of ``share`` of them, with a correlation of ``how`` within a group (beta-binomial)."""
    odds = 1 / how - 1
    return random.random(OF.size) < np.repeat(random.beta(share * odds, (1 - share) * odds, GROUPS), EACH)


def judged(random: np.random.Generator, groups: NDArray[np.int64] | None) -> Accuracy:
    """fp32 is right on nine of ten images and INT8 loses 3 pp; by group either hangs together."""
    theirs = alike(random, 0.9, 0.3)
    right = theirs & ~alike(random, 0.03 / 0.9, 0.3)
    truth, logits = np.zeros(OF.size, np.int64), [np.stack([each, ~each], axis=1).astype(np.float32) for each in (right, theirs)]
    ours, fp32 = (Answers(name, each, "p", "m", groups=groups) for name, each in zip(("int8", "fp32"), logits, strict=True))
    return accuracy(ours, truth, "test", fp32)


def test_intervals_hold_of_images_in_groups_that_do_not_hold_of_them_as_independent_ones() -> None:
    """600 images of 40 groups, 300 times; each bound may err one time in twenty, and by three standard errors more."""

    def errs(groups: NDArray[np.int64] | None) -> tuple[float, float]:
        random = np.random.default_rng(3)
        found = [judged(random, groups) for _ in range(300)]
        below = np.mean([each.drop_pp.high < 3 for each in found if each.drop_pp is not None])
        return float(below), float(np.mean([not each.top1.low <= 0.87 <= each.top1.high for each in found]))

    drop, top1 = errs(OF)
    assert drop <= 0.05 + 0.038 and top1 <= 0.05 + 0.038
    assert min(errs(None)) > 0.15


def test_independent_images_are_worth_themselves_and_images_of_one_answer_a_group_one_each() -> None:
    random = np.random.default_rng(4)
    each = random.random(OF.size) < 0.8
    assert group_effect(each, None) == group_effect(each, np.arange(OF.size)) == 1
    assert group_effect(each, OF) < 1.6
    assert group_effect(np.repeat(each[:GROUPS], EACH), OF) == pytest.approx(EACH, rel=0.15)
    assert group_effect(np.ones(OF.size, bool), OF) == EACH, "that all are alike does not say how alike those of a group are"
    assert group_effect(each, np.zeros(OF.size, np.int64)) == OF.size


def test_the_gates_are_judged_by_what_groups_leave_and_what_knows_of_no_groups_is_open() -> None:
    found = judged(np.random.default_rng(5), OF)
    assert found.groups is not None and found.drop_pp is not None and found.groups.drop_effect > 2
    row = CandidateFacts(candidate=a_candidate("onnxruntime-int8"), test=found.model_copy(update={"quality": a_quality()}))
    result = judge(Gate(metric="drop_pp", side="max", bound=8.0, required="always"), row)
    assert result.figure is not None and result.figure.high == pytest.approx(found.drop_pp.high)
    assert f"of {counted(GROUPS, 'group')} of images" in result.reason
    for metric in ("macro_f1", "ece"):
        open_ = judge(Gate(metric=metric, side="min" if metric == "macro_f1" else "max", bound=0.5, required="always"), row)
        assert open_.verdict.value == "UNSURE" and "it has no interval that accounts for groups of similar images" in open_.reason


@pytest.mark.parametrize("labels", [1, 3, 5, 7])
def test_of_a_network_that_ranks_perfectly_rounding_decides_nothing(labels: int) -> None:
    random = np.random.default_rng(7)
    has = random.random((OF.size, labels)) < 0.3
    logits = np.where(has, 3.0, -3.0) + 0.1 * random.normal(size=has.shape)
    ours, fp32 = (Answers(name, logits.astype(np.float32), "p", "m", groups=OF) for name in ("int8", "fp32"))
    names = [f"label {number}" for number in range(labels)]
    found = multi_label_accuracy(ours, has.astype(np.uint8), dict.fromkeys(names, 0.5), "test", fp32)
    assert found.drop_pp is not None and found.drop_images is not None and found.drop_pp.high > 5, "40 groups show no less"
    assert found.drop_images == pytest.approx(found.trials) and found.trials <= GROUPS


def test_several_labels_an_image_in_groups_are_worth_fewer_too() -> None:
    random = np.random.default_rng(6)
    has = np.repeat(random.random((GROUPS, 3)) < 0.4, EACH, axis=0)
    logits = has * 2.0 + np.repeat(random.normal(size=(GROUPS, 3)), EACH, axis=0) + 0.1 * random.normal(size=has.shape)
    rounded = logits + np.repeat(random.normal(size=(GROUPS, 3)), EACH, axis=0) * 0.3

    def widths(groups: NDArray[np.int64] | None) -> list[float]:
        ours, fp32 = (
            Answers(name, each.astype(np.float32), "p", "m", groups=groups)
            for name, each in (("int8", rounded), ("fp32", logits))
        )
        found = multi_label_accuracy(ours, has.astype(np.uint8), dict.fromkeys("abc", 0.7), "test", fp32)
        assert found.drop_pp is not None and found.agreement is not None
        return [each.high - each.low for each in (found.map, found.drop_pp, found.micro_f1, found.agreement, *shares(found))]

    def shares(found: MultiLabelAccuracy) -> list[Interval]:
        return [share for label in found.labels for share in (label.precision, label.recall) if share is not None]

    assert all(grouped > 1.8 * alone for grouped, alone in zip(widths(OF), widths(None), strict=True))


def test_errors_in_one_image_a_group_do_not_make_its_other_images_independent() -> None:
    """Ten groups of 40 err in one image each, fp32 too, which shows no likeness: all still pass as of 40 images."""
    random = np.random.default_rng(11)
    has = random.random((OF.size, 3)) < 0.5
    right, image = 8.0 * has - 4 + random.random(has.shape), np.arange(OF.size)[:, None] % (4 * EACH)
    logits, rounded = (np.where(image == wrong, -right, right) for wrong in (EACH, 0))
    alone, grouped = (
        multi_label_accuracy(
            Answers("int8", rounded.astype(np.float32), "p", "m", groups=groups),
            has.astype(np.uint8), dict.fromkeys("abc", 0.5), "test",
            Answers("fp32", logits.astype(np.float32), "p", "m", groups=groups),
        )
        for groups in (None, OF)
    )  # fmt: skip
    for metric in ("map_bounds", "micro_f1", "macro_f1"):
        of_all, of_groups = getattr(alone, metric), getattr(grouped, metric)
        most = wilson(of_all.estimate * GROUPS, GROUPS, 0.9)
        assert most is not None and of_groups.low <= most.low < of_all.low - 0.03
    assert alone.drop_pp is not None and grouped.drop_pp is not None
    above = [found.high - found.estimate for found in (alone.drop_pp, grouped.drop_pp)]
    assert above[1] > 2.5 * above[0]


def thirds(groups: int) -> NDArray[np.int64]:
    """A third of all images are of one group, the others of one size."""
    return np.concatenate([np.zeros(EACH * (groups - 1) // 2, np.int64), 1 + np.repeat(np.arange(groups - 1), EACH)])


def uneven(groups: int) -> NDArray[np.int64]:
    """Of lognormal sizes."""
    sizes = np.exp(np.random.default_rng(8).normal(2.2, 1.0, groups))
    return np.repeat(np.arange(groups), np.maximum(1, np.rint(sizes)).astype(int))


@pytest.mark.parametrize("how", [0.05, 0.3, 0.999])
@pytest.mark.parametrize("of", [np.repeat(np.arange(20), 30), uneven(40), thirds(20), thirds(200)], ids=len)
def test_at_the_bound_groups_pass_and_fail_at_most_as_stated(of: NDArray[np.int64], how: float) -> None:
    """Of 400 builds; with the variance alone as many as 15 % pass, and 13 % fail."""
    random, odds, bound = np.random.default_rng(9), 1 / how - 1, 0.9
    shares = random.beta(bound * odds, (1 - bound) * odds, (400, int(of[-1]) + 1))[:, of]
    intervals = [share_of(right, of) for right in random.random(shares.shape) < shares]
    assert np.mean([interval.low >= bound for interval in intervals if interval]) <= 0.05 + 0.02
    assert np.mean([interval.high < bound for interval in intervals if interval]) <= 0.05 + 0.03


@pytest.mark.parametrize("of", [np.repeat(np.arange(20), 30), uneven(40), thirds(40)], ids=len)
def test_a_drop_that_single_groups_have_passes_no_bound(of: NDArray[np.int64]) -> None:
    """One group in ten loses half of its images; of 20 groups, 12 % have none such."""
    random, labels = np.random.default_rng(10), np.zeros(len(of), np.int64)
    passed = 0
    for _ in range(60):
        lost = (random.random(int(of[-1]) + 1) < 0.1)[of] & (random.random(len(of)) < 0.5)
        logits = [np.stack([~wrong, wrong], 1).astype(np.float32) for wrong in (lost, lost & False)]
        ours, fp32 = (Answers("x", each, "p", "m", groups=of) for each in logits)
        found = accuracy(ours, labels, "test", fp32)
        passed += found.drop_pp is not None and found.drop_pp.high <= 5
    assert passed == 0


def test_uneven_groups_are_worth_fewer_independent_images() -> None:
    assert independent_at_most(None) == math.inf
    assert independent_at_most(OF) == GROUPS
    assert independent_at_most(np.arange(50)) == 50
    assert independent_at_most(thirds(400)) == pytest.approx(9, abs=0.2)


def test_268_groups_without_a_loss_are_what_a_drop_of_a_point_takes() -> None:
    def judged_drop(groups: int) -> Accuracy:
        of = np.repeat(np.arange(groups), 30)
        ours, fp32 = (Answers(name, np.eye(2, dtype=np.float32)[of % 1], "p", "m", groups=of) for name in ("int8", "fp32"))
        return accuracy(ours, of % 1, "test", fp32)

    for groups, verdict in ((268, "PASS"), (267, "UNSURE")):
        row = CandidateFacts(candidate=a_candidate("onnxruntime-int8"), test=judged_drop(groups))
        assert judge(Gate(metric="drop_pp", side="max", bound=1.0, required="always"), row).verdict.value == verdict


@pytest.mark.parametrize("images", [30, 60])
def test_agreement_without_labels_is_capped_by_groups_as_well(images: int) -> None:
    of = np.repeat(np.arange(images // 3), 3)
    ours, fp32 = (Answers(name, np.eye(2, dtype=np.float32)[of % 1], "p", "m", groups=of) for name in ("int8", "fp32"))
    seen = agreement(ours, "test", fp32)
    alone = [share_of(np.ones(images // 3, bool), None, confidence) for confidence in (0.95, 0.90)]
    assert (seen.independent, seen.same) == (images // 3, alone[0])
    row = CandidateFacts(candidate=a_candidate("onnxruntime-int8"), agreement=seen)
    result = judge(Gate(metric="agreement", side="min", bound=0.9, required="always"), row)
    assert result.figure == alone[1]
    groups = counted(images // 3, "group")
    assert seen.groups == images // 3 and f"(of {groups} of images)" in result.reason
    assert f" of {images} images of {groups} without labels" in agreement_sentence(seen)
