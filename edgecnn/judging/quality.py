"""Quality beyond top-1, from the same logits: top-5, macro-F1, calibration, agreement, and each class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors.gates import LOGITS_DO_NOT_MATCH, NO_IMAGES
from edgecnn.judging.accuracy import Answers, check_answers, check_same_pixels, share_of
from edgecnn.judging.intervals import (
    ACCURACY_CONFIDENCE,
    NON_INFERIORITY_CONFIDENCE,
    Groups,
    LeaveOneOut,
    Worth,
    independent_at_most,
    paired_group_effect,
    sample_worth,
    share_interval,
    tango_bounds,
    two_centre_interval,
    two_sided_z,
)
from edgecnn.judging.logits import read_logits
from edgecnn.values.figures import Accuracy, ClassFigures, ClassReport, Quality, Regression, UnitLosses
from edgecnn.values.verdict import Interval

CLASSES_FOR_TOP5 = 6
"""Least classes for top-5: with five classes, every prediction is among the first five."""


def quality(
    answers: Answers,
    labels: NDArray[Any],
    names: Sequence[str],
    baseline: Answers | None = None,
    folds: NDArray[np.intp] | None = None,
) -> Quality:
    """Return the quality of one candidate on the test split beyond top-1.

    Args:
        answers: logits (images, classes).
        labels: class indices (images,), integers.
        names: of the classes, in the order of the logits.
        baseline: the fp32 baseline network's outputs for the same pixels; None for the baseline itself.
        folds: fold of each image's network, (images,); None for one network.

    Raises:
        NO_IMAGES, ONE_CLASS_ANSWERED, LogitsNotFinite, LOGITS_DO_NOT_MATCH: as ``accuracy`` does, and if the number of names
            differs from the number of classes.
    """
    check_answers(answers, labels)
    classes = answers.logits.shape[1]
    if len(names) != classes:
        raise LOGITS_DO_NOT_MATCH(candidate=answers.candidate, ours=f"logits of {classes} classes", theirs=f"{len(names)} names")
    reading = read_logits(answers.logits, labels)
    counts = class_counts(labels, reading.predicted, classes)
    f1 = macro_f1(labels, reading.predicted, counts)
    ece = calibration_error(reading.confidence, reading.place == 0)
    if f1 is None or ece is None:
        raise NO_IMAGES(candidate=answers.candidate, split="test")
    theirs: NDArray[np.intp] | None = None
    if baseline is not None:
        check_answers(baseline, labels)
        check_same_pixels(answers, baseline)
        theirs = baseline.logits.argmax(axis=1)
    pairs = Pairs(labels, reading.place == 0, None if theirs is None else theirs == labels, answers.groups, folds)
    top5 = share_of(reading.place < 5, answers.groups) if classes >= CLASSES_FOR_TOP5 else None
    absent: dict[str, str] = {}
    if top5 is None:
        absent["top5"] = f"there are {classes} classes, so each is among the first five"
    if theirs is None:
        absent["agreement"] = "there is no baseline network to agree with"
    return Quality(
        top5=top5,
        macro_f1=f1,
        ece=ece,
        agreement=None if theirs is None else share_of(reading.predicted == theirs, answers.groups),
        classes=class_report(names, counts, pairs),
        absent=absent,
    )


def adjusted_over_candidates(tests: Mapping[str, Accuracy | None]) -> dict[str, Accuracy | None]:
    """Return the accuracies of a build's candidates with class losses tested over all candidates together.

    The report names a loss of any candidate, so each candidate is another chance of a false alarm.
    """
    known = [(name, test, test.quality) for name, test in tests.items() if test is not None and test.quality is not None]
    reports = adjusted_reports([figures.classes for _, _, figures in known])
    adjusted = {
        name: test.model_copy(update={"quality": figures.model_copy(update={"classes": report})})
        for (name, test, figures), report in zip(known, reports, strict=True)
    }
    return {**tests, **adjusted}


BINS = 15
"""Bins of equal width over 0…1, each including its upper end, as in Guo et al. and most published figures."""


def calibration_error(
    confidences: NDArray[np.float64], right: NDArray[Any], confidence: float = NON_INFERIORITY_CONFIDENCE
) -> Interval | None:
    """Return the expected calibration error of the first answer over 15 bins, 0…1; None without images.

    Let d be the differences confidence - accuracy by bin, weighted by share of images. The error is Σ|d| = s·d for the true
    signs s. Upper bound: s·d is at most the estimate plus s·(d - d̂), whose variance is at most the mean squared residual for
    any s. Lower bound: chance adds at most Σ|d̂ - d|, of which mean and spread are subtracted. Both bounds allow for wrong
    answers too rare to appear in the sample, as Wilson's interval does. They bound the error over these bins; inside a bin,
    errors may still cancel.

    Args:
        confidences: the largest softmax probability of each image, 0…1.
        right: whether each first answer is right.
        confidence: two-sided; each bound is wrong in at most half of the remaining cases.

    Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 2.
    """
    images = len(confidences)
    if images < 1:
        return None
    residual = confidences - right
    bins = np.clip(np.ceil(confidences * BINS).astype(np.intp) - 1, 0, BINS - 1)
    estimate = float(np.abs(np.bincount(bins, residual, BINS)).sum()) / images
    squares = np.bincount(bins, residual * residual, BINS)
    z = two_sided_z(confidence)
    spread = z * math.sqrt(float(squares.sum()) + z * z / 4) / images
    by_chance = float(np.sqrt(2 / math.pi * squares).sum()) / images
    low = max(0.0, estimate - by_chance - spread)
    high = min(1.0, estimate + z * z / 2 / images + spread)
    return Interval(estimate=estimate, low=low, high=high, confidence=confidence)


@dataclass(frozen=True, eq=False)
class ByClass:
    """Counts by class, int64 (classes,)."""

    images: NDArray[np.int64]
    right: NDArray[np.int64]
    named: NDArray[np.int64]
    """Images that were predicted as this class, rightly or wrongly."""

    @property
    def f1(self) -> NDArray[np.float64]:
        """2 right / (images + named); 0 without either."""
        f1: NDArray[np.float64] = 2 * self.right / np.maximum(self.images + self.named, 1)
        return f1


def class_counts(labels: NDArray[Any], predicted: NDArray[np.intp], classes: int) -> ByClass:
    """Count images (images,) by true and by predicted class."""
    return ByClass(
        images=np.bincount(labels, minlength=classes),
        right=np.bincount(labels[labels == predicted], minlength=classes),
        named=np.bincount(predicted, minlength=classes),
    )


def macro_f1(
    labels: NDArray[Any], predicted: NDArray[np.intp], counts: ByClass, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> Interval | None:
    """Return the mean F1 over the classes that have images, 0…1; None without images.

    A class without images has no recall and therefore no F1; predicting such a class is still an error of the true class.

    Variance and bias come from the jackknife: the mean without each image. (At 20 images per class, the mean is half a point
    too low.) Small classes without errors would make the images count as too many independent ones, so they count at most as the
    number for which every class has the same error rate.
    """
    present = counts.images > 0
    if not present.any():
        return None
    classes = int(present.sum())
    estimate = float(counts.f1[present].sum()) / classes
    mean = LeaveOneOut(estimate, estimate + _f1_changes(labels, predicted, counts) / classes)
    alike = classes * classes / float((1 / counts.images[present]).sum())
    return two_centre_interval(mean, alike, None, confidence)


def _f1_changes(labels: NDArray[Any], predicted: NDArray[np.intp], counts: ByClass) -> NDArray[np.float64]:
    """Return the change of the F1 summed over classes with images, if each image were left out: (images,)."""
    both = counts.images + counts.named
    f1 = np.where(counts.images > 0, counts.f1, 0.0)
    hit = 2 * np.maximum(counts.right - 1, 0) / np.maximum(both - 2, 1) - f1
    miss = np.where(counts.images > 0, 2 * counts.right / np.maximum(both - 1, 1), 0.0) - f1
    change: NDArray[np.float64] = np.where(labels == predicted, hit[labels], miss[labels] + miss[predicted])
    return change


Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images (images,), the same for both networks."""

    labels: NDArray[Any]
    right: NDArray[np.bool_]
    """Images that the candidate gets right."""
    theirs: NDArray[np.bool_] | None
    """Images that the baseline network gets right; None without a baseline."""
    groups: Groups | None = None
    """Group of each image; None if they are independent."""
    folds: NDArray[np.intp] | None = None
    """Fold of each image's network; None for one network."""

    def losses(self, classes: int) -> tuple[Counts, Counts]:
        """Return the images of each class, (classes,), that only the baseline and only the candidate gets right."""
        assert self.theirs is not None
        lost, gained = self.theirs & ~self.right, self.right & ~self.theirs
        return np.bincount(self.labels[lost], minlength=classes), np.bincount(self.labels[gained], minlength=classes)

    def class_pairs(self, index: int) -> Pairs:
        """Return the pairs of one class."""
        some = self.labels == index
        theirs, groups = (None if values is None else values[some] for values in (self.theirs, self.groups))
        return Pairs(self.labels[some], self.right[some], theirs, groups)


def class_report(names: Sequence[str], counts: ByClass, pairs: Pairs) -> ClassReport:
    """Return the figures of the classes, in the order of the counts."""
    f1 = counts.f1
    columns = zip(names, counts.images.tolist(), counts.right.tolist(), strict=True)
    alone = tuple(
        ClassFigures(
            name=name,
            images=images,
            right=right,
            recall=_recall(pairs, index, right, images),
            f1=float(f1[index]) if images else None,
        )
        for index, (name, images, right) in enumerate(columns)
    )
    return ClassReport(classes=alone) if pairs.theirs is None else _compared(alone, counts.images, pairs)


def _recall(pairs: Pairs, index: int, right: int, images: int) -> Interval | None:
    if images < 1:
        return None
    own = None if pairs.groups is None else pairs.class_pairs(index)
    worth = Worth() if own is None else sample_worth(own.right, own.groups, ACCURACY_CONFIDENCE)
    return share_interval(right, images, worth, ACCURACY_CONFIDENCE)


def _compared(alone: Sequence[ClassFigures], images: Counts, pairs: Pairs) -> ClassReport:
    lost, gained = pairs.losses(len(alone))
    drops, units = _drops(pairs, lost, gained, images), unit_losses(pairs, len(alone))
    classes = tuple(
        figures.model_copy(
            update={"lost": int(lost[index]), "gained": int(gained[index]), "drop_pp": drops[index], "units": units[index]}
        )
        for index, figures in enumerate(alone)
    )
    return compared_report(classes)


def compared_report(classes: Sequence[ClassFigures]) -> ClassReport:
    """Return the report of classes that were compared with the baseline network, with p values adjusted over these classes."""
    lost, gained, images = (
        np.array([getattr(figures, field) or 0 for figures in classes], np.int64) for field in ("lost", "gained", "images")
    )
    some, most = images > 0, most_drops(lost, gained, images)
    least = least_drops(lost[some], gained[some], images[some])
    report = ClassReport(
        classes=tuple(classes),
        compared=int(some.sum()),
        worst_drop_pp=Interval(
            estimate=100 * max(0.0, float(((lost - gained)[some] / images[some]).max())),
            low=100 * max(0.0, float(least.max())),
            high=100 * max(0.0, float(most.max())),
            confidence=NON_INFERIORITY_CONFIDENCE,
        ),
        widest=classes[int(most.argmax())].name,
    )
    return adjusted_reports([report])[0]


def unit_losses(pairs: Pairs, classes: int) -> list[UnitLosses | None]:
    """Return how many folds, or groups, of each class lost or gained; None for each class if images are independent.

    The unit is the fold or group, because networks differ from each other and images of a group are alike.

    Source: Obuchowski, Statistics in Medicine 17 (1998) 1495-1507, for paired answers in clusters; here by their signs.
    """
    together = pairs.groups if pairs.folds is None else pairs.folds
    if together is None or pairs.theirs is None:
        return [None] * classes
    _, unit = np.unique(together, return_inverse=True)
    class_pairs, place = np.unique(np.stack([pairs.labels, unit.ravel()]), axis=1, return_inverse=True)
    net = np.bincount(place.ravel(), pairs.theirs.astype(float) - pairs.right)
    count, lost, gained = (
        np.bincount(class_pairs[0][some], minlength=classes).tolist() for some in (slice(None), net > 0.5, net < -0.5)
    )
    kind = "group" if pairs.folds is None else "fold"
    return [UnitLosses(kind=kind, count=count[of], lost=lost[of], gained=gained[of]) for of in range(classes)]


def adjusted_reports(reports: Sequence[ClassReport]) -> list[ClassReport]:
    """Return the reports of all candidates of a build with p values adjusted over candidates and classes together."""
    compared = [
        (place, index)
        for place, report in enumerate(reports)
        for index, figures in enumerate(report.classes)
        if report.compared and figures.images
    ]
    signs = [_signs(reports[place].classes[index]) for place, index in compared]
    lost, gained = (np.array([sign[which] for sign in signs], np.int64) for which in (0, 1))
    p_values = dict(zip(compared, adjusted_p(lost, gained).tolist(), strict=True))
    candidates, needed = sum(report.compared > 0 for report in reports), lost_to_show(len(compared))
    return [
        report
        if not report.compared
        else report.model_copy(
            update={
                "candidates": candidates,
                "lost_to_show": needed,
                "classes": tuple(
                    _adjusted(figures, p_values.get((place, index)), needed) for index, figures in enumerate(report.classes)
                ),
            }
        )
        for place, report in enumerate(reports)
    ]


def _signs(figures: ClassFigures) -> tuple[int, int, int]:
    """Return lost and gained independent units, and the number of units of the class."""
    if (units := figures.units) is not None:
        return units.lost, units.gained, units.count
    return figures.lost or 0, figures.gained or 0, figures.images


def _adjusted(figures: ClassFigures, p_adjusted: float | None, needed: int) -> ClassFigures:
    few: Regression = "too few images" if figures.units is None else FEW[figures.units.kind]
    regression: Regression = "not shown" if _signs(figures)[2] >= needed else few
    if p_adjusted is not None and p_adjusted <= FAMILY_ALPHA and _loses(figures):
        regression = "shown"
    return figures.model_copy(update={"p_adjusted": p_adjusted, "regression": regression})


def _loses(figures: ClassFigures) -> bool:
    """Whether the class loses images in total, which more losing than gaining groups or folds do not show."""
    drop = figures.drop_pp
    if drop is None:
        return False
    return drop.low > 0 if figures.units is not None and figures.units.kind == "group" else drop.estimate > 0


FEW: Final[Mapping[str, Regression]] = {"group": "too few groups", "fold": "too few folds"}


def _drops(pairs: Pairs, lost: Counts, gained: Counts, images: Counts) -> list[Interval | None]:
    """Return each class's drop, by groups if there are groups; None without images."""
    some, z = np.maximum(images, 1), two_sided_z(NON_INFERIORITY_CONFIDENCE)
    low, high = tango_bounds(lost, gained, some, z)
    if pairs.groups is not None:
        worths = [_drop_worth(pairs.class_pairs(index)) for index in range(len(images))]
        ends = [
            np.array([worth.independent_to_fail(count) for worth, count in zip(worths, some, strict=True)]),
            np.array([worth.independent_to_pass(count) for worth, count in zip(worths, some, strict=True)]),
        ]
        (low, _), (_, high) = (tango_bounds(lost * end / some, gained * end / some, end, z) for end in ends)
    columns = zip(((lost - gained) / some).tolist(), low.tolist(), high.tolist(), images.tolist(), strict=True)
    return [
        Interval(estimate=100 * estimate, low=100 * below, high=100 * above, confidence=NON_INFERIORITY_CONFIDENCE)
        if count
        else None
        for estimate, below, above, count in columns
    ]


def _drop_worth(own: Pairs) -> Worth:
    if not len(own.right) or own.theirs is None:
        return Worth()
    return Worth(paired_group_effect(own.theirs, own.right, own.groups), independent_at_most(own.groups))


FAMILY_ALPHA = 0.05
"""Largest rate at which any class is named although no class lost."""


def sign_test(lost: Counts, gained: Counts) -> NDArray[np.float64]:
    """Return the chance that a fair coin shows at least ``lost`` heads in ``lost + gained`` throws; 1 if nothing was lost.

    It is a regularised incomplete beta function. ``scipy.special`` is imported here, so that ``plan`` does not wait for it.
    """
    from scipy.special import betainc

    some = np.maximum(lost, 1)
    return np.where(lost > 0, betainc(some, gained + 1, 0.5), 1.0)


def adjusted_p(lost: Counts, gained: Counts) -> NDArray[np.float64]:
    """Return the smallest family-wise error rate at which each class's loss is shown: one-sided, (classes,).

    Sources: Holm, Scandinavian Journal of Statistics 6 (1979) 65-70; Westfall and Wolfinger, The American Statistician 51
    (1997) 3-8, for attained levels.
    """
    alone = sign_test(lost, gained)
    order = np.argsort(alone, kind="stable")
    ascending = alone[order]
    discordant, which = np.unique((lost + gained)[order], return_inverse=True)
    attained = np.zeros(len(alone))
    for kind, throws in enumerate(discordant):
        of_kind = which.ravel() == kind
        remaining = of_kind[::-1].cumsum()[::-1]
        attained += remaining * _attained(ascending, int(throws))
    adjusted = np.empty(len(alone))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(attained))
    return adjusted


def _attained(levels: NDArray[np.float64], throws: int) -> NDArray[np.float64]:
    """Return the chance that the p value of a class with this many discordant images is at most each of ``levels``."""
    heads = np.arange(throws, -1, -1)
    possible = np.concatenate([[0.0], sign_test(heads, throws - heads)])
    # A tail that is computed in two ways may differ in its last bits, and must count as equal.
    return possible[np.searchsorted(possible, levels * (1 + 1e-9), side="right") - 1]


def lost_to_show(classes: int) -> int:
    """Return the lost images, with none gained, that show the loss of a class: 8 with ten classes, 15 with a thousand."""
    return math.ceil(math.log2(max(classes, 1) / FAMILY_ALPHA))


def least_drops(
    lost: Counts, gained: Counts, images: Counts, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> NDArray[np.float64]:
    """Return Tango's lower bounds of every class's drop, -1…1, each at its share of the error (Bonferroni).

    All of them hold together about as often as one bound at ``confidence``.
    """
    low, _ = tango_bounds(lost, gained, images, two_sided_z(1 - (1 - confidence) / len(images)))
    return low


def most_drops(
    lost: Counts, gained: Counts, images: Counts, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> NDArray[np.float64]:
    """Return Tango's upper bound of each class's drop, 0…1, not adjusted for the number of classes; 1 without images.

    The largest of these bounds holds for the largest drop without adjustment, because it is at least the bound of the class with
    the largest drop.
    """
    some = images > 0
    _, high = tango_bounds(lost, gained, np.maximum(images, 1), two_sided_z(confidence))
    return np.where(some, high, 1.0)
