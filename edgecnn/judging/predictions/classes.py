"""Every class by itself: what it kept, what it lost against the baseline network, whether that is shown; and macro-F1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import ACCURACY_CONFIDENCE, NON_INFERIORITY_CONFIDENCE, tango_bounds, two_sided_z
from edgecnn.judging.predictions.independent_images import (
    Groups,
    LeaveOneOut,
    Worth,
    drop_effect,
    independent_at_most,
    sample_worth,
    share_interval,
    two_centre_interval,
)
from edgecnn.values.figures import ClassFigures, ClassReport, Regression, UnitLosses
from edgecnn.values.verdict import Interval


@dataclass(frozen=True, eq=False)
class ByClass:
    """Counts of each class, int64 (classes,)."""

    images: NDArray[np.int64]
    right: NDArray[np.int64]
    named: NDArray[np.int64]
    """How many images got its name, rightly or not."""

    @property
    def f1(self) -> NDArray[np.float64]:
        """2 right / (images + named); 0 where nothing is either."""
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
    """The mean F1 over the classes that have images, 0…1; None of no images.

    A class without images has no recall, hence no F1; an answer that names it is still an error of the class it takes from.

    Variance and bias are the jackknife's: what the mean would be without each image. (At 20 images a class the mean comes out
    half a point too low.) Small classes in which no error was seen would make the images worth too many independent ones, so that
    they are worth at most the number at which every class errs alike.
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
    """How much the sum of F1 over the classes with images would change without each image."""
    both = counts.images + counts.named
    f1 = np.where(counts.images > 0, counts.f1, 0.0)
    hit = 2 * np.maximum(counts.right - 1, 0) / np.maximum(both - 2, 1) - f1
    miss = np.where(counts.images > 0, 2 * counts.right / np.maximum(both - 1, 1), 0.0) - f1
    change: NDArray[np.float64] = np.where(labels == predicted, hit[labels], miss[labels] + miss[predicted])
    return change


Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images (images,), the same ones for both networks."""

    labels: NDArray[Any]
    right: NDArray[np.bool_]
    """Which the candidate answers rightly."""
    theirs: NDArray[np.bool_] | None
    """Which the baseline network does; None where there is none."""
    groups: Groups | None = None
    """Which came together; None where they are independent."""
    folds: NDArray[np.intp] | None = None
    """By which network of a cross-validation each was answered; None of one network."""

    def losses(self, classes: int) -> tuple[Counts, Counts]:
        """Images of each class (classes,) that the baseline network alone gets right, and that the candidate alone does."""
        assert self.theirs is not None
        lost, gained = self.theirs & ~self.right, self.right & ~self.theirs
        return np.bincount(self.labels[lost], minlength=classes), np.bincount(self.labels[gained], minlength=classes)

    def class_pairs(self, index: int) -> Pairs:
        """Those of one class."""
        some = self.labels == index
        theirs, groups = (None if values is None else values[some] for values in (self.theirs, self.groups))
        return Pairs(self.labels[some], self.right[some], theirs, groups)


def class_report(names: Sequence[str], counts: ByClass, pairs: Pairs) -> ClassReport:
    """The classes by name, in the order of the counts."""
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
    some, most = images > 0, most_drops(lost, gained, images)
    report = ClassReport(
        classes=classes,
        compared=int(some.sum()),
        worst_drop_pp=_worst(lost[some], gained[some], images[some], float(most.max())),
        widest=alone[int(most.argmax())].name,
    )
    return adjusted_reports([report])[0]


def _worst(lost: Counts, gained: Counts, images: Counts, most: float) -> Interval:
    least = least_drops(lost, gained, images)
    return Interval(
        estimate=100 * max(0.0, float(((lost - gained) / images).max())),
        low=100 * max(0.0, float(least.max())),
        high=100 * max(0.0, most),
        confidence=NON_INFERIORITY_CONFIDENCE,
    )


def unit_losses(pairs: Pairs, classes: int) -> list[UnitLosses | None]:
    """Of each class the folds, else the groups, that lost or gained: networks differ by themselves, and the images of a group are
    alike. None each where images are independent.

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
    """The same reports, of the candidates of one build, with p values adjusted over their candidates and classes together."""
    compared = [(place, index) for place, report in enumerate(reports) for index in _compared_classes(report)]
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


def _compared_classes(report: ClassReport) -> list[int]:
    return [index for index, figures in enumerate(report.classes) if report.compared and figures.images]


def _signs(figures: ClassFigures) -> tuple[int, int, int]:
    """Lost and gained of what is counted as independent, and how many of those the class has."""
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
    """Whether the class loses images as a whole, which more losing than gaining groups or folds do not say: one may gain more."""
    drop = figures.drop_pp
    if drop is None:
        return False
    return drop.low > 0 if figures.units is not None and figures.units.kind == "group" else drop.estimate > 0


FEW: Final[Mapping[str, Regression]] = {"group": "too few groups", "fold": "too few folds"}


def _drops(pairs: Pairs, lost: Counts, gained: Counts, images: Counts) -> list[Interval | None]:
    """Of each class alone, by groups where there are such; None of no images."""
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
    return Worth(drop_effect(own.theirs, own.right, own.groups), independent_at_most(own.groups))


FAMILY_ALPHA = 0.05
"""How often at most any class is named, where none lost."""


def sign_test(lost: Counts, gained: Counts) -> NDArray[np.float64]:
    """The chance that a fair coin shows at least ``lost`` heads in ``lost + gained`` throws; 1 of nothing lost.

    By the regularised incomplete beta function. ``scipy.special`` is imported here, so that ``plan``, which judges nothing, does
    not wait for it.
    """
    from scipy.special import betainc

    some = np.maximum(lost, 1)
    return np.where(lost > 0, betainc(some, gained + 1, 0.5), 1.0)


def adjusted_p(lost: Counts, gained: Counts) -> NDArray[np.float64]:
    """Of each class, the smallest family-wise rate at which its loss is shown: one-sided, (classes,).

    Sources: Holm, Scandinavian Journal of Statistics 6 (1979) 65-70; Westfall and Wolfinger, The American Statistician 51 (1997)
    3-8, for attained levels.
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
    """The chance that the p value of a class with so many discordant images is at most each of ``levels``."""
    heads = np.arange(throws, -1, -1)
    possible = np.concatenate([[0.0], sign_test(heads, throws - heads)])
    # The same tail by two routes may differ in its last bits, and must count as equal.
    return possible[np.searchsorted(possible, levels * (1 + 1e-9), side="right") - 1]


def lost_to_show(classes: int) -> int:
    """How many images, lost with none gained, show a class whatever the others do: 8 of ten classes, 15 of a thousand."""
    return math.ceil(math.log2(max(classes, 1) / FAMILY_ALPHA))


def least_drops(
    lost: Counts, gained: Counts, images: Counts, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> NDArray[np.float64]:
    """Lower bounds of every class's drop, -1…1, holding for all classes at once: Tango's, each at its share of the error.

    Any of them is wrong about as often as one bound of a single interval at ``confidence`` may be (Bonferroni).
    """
    low, _ = tango_bounds(lost, gained, images, two_sided_z(1 - (1 - confidence) / len(images)))
    return low


def most_drops(
    lost: Counts, gained: Counts, images: Counts, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> NDArray[np.float64]:
    """Upper bounds of every class's drop, 0…1, each for itself (Tango's); 1 where a class has no images.

    That the largest of them holds for the largest drop needs no adjustment: it does where the one bound holds that belongs to
    the class with the largest drop.
    """
    some = images > 0
    _, high = tango_bounds(lost, gained, np.maximum(images, 1), two_sided_z(confidence))
    return np.where(some, high, 1.0)
