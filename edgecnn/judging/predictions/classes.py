"""Every class by itself: what it kept, what it lost against the baseline network, and whether that loss is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_bounds, two_sided_z, wilson
from edgecnn.judging.predictions.macro_f1 import ByClass
from edgecnn.values.figures import ClassFigures, ClassReport, Regression
from edgecnn.values.verdict import Interval


@dataclass(frozen=True, eq=False)
class Losses:
    """Images of each class that exactly one of two networks gets right, int64 (classes,)."""

    lost: NDArray[np.int64]
    """By the baseline network alone."""
    gained: NDArray[np.int64]
    """By the candidate alone."""


def losses_by_class(labels: NDArray[Any], right: NDArray[np.bool_], theirs_right: NDArray[np.bool_], classes: int) -> Losses:
    """Count the discordant images (images,) of each class."""
    return Losses(
        lost=np.bincount(labels[theirs_right & ~right], minlength=classes),
        gained=np.bincount(labels[right & ~theirs_right], minlength=classes),
    )


def class_report(names: Sequence[str], counts: ByClass, losses: Losses | None) -> ClassReport:
    """The classes by name, in the order of the counts; ``losses`` is None where there is no baseline network."""
    f1 = counts.f1
    columns = zip(names, counts.images.tolist(), counts.right.tolist(), strict=True)
    alone = tuple(
        ClassFigures(name=name, images=images, right=right, recall=wilson(right, images), f1=float(f1[index]) if images else None)
        for index, (name, images, right) in enumerate(columns)
    )
    return ClassReport(classes=alone) if losses is None else _compared(alone, counts.images, losses)


def _compared(alone: Sequence[ClassFigures], images: NDArray[np.int64], losses: Losses) -> ClassReport:
    lost, gained = losses.lost, losses.gained
    seen = np.flatnonzero(images)
    needed = lost_to_show(len(seen))
    p_values = dict(zip(seen.tolist(), adjusted_p(lost[seen], gained[seen]).tolist(), strict=True))
    drops = _drops(losses, images)
    classes = tuple(
        each.model_copy(
            update={
                "lost": int(lost[index]),
                "gained": int(gained[index]),
                "drop_pp": drops[index],
                "p_adjusted": p_values.get(index),
                "regression": _regression(p_values.get(index), each.images, needed),
            }
        )
        for index, each in enumerate(alone)
    )
    most = most_drops(lost, gained, images)
    return ClassReport(
        classes=classes,
        compared=len(seen),
        lost_to_show=needed,
        worst_drop_pp=_worst(lost[seen], gained[seen], images[seen], float(most.max())),
        widest=alone[int(most.argmax())].name,
    )


def _worst(lost: NDArray[np.int64], gained: NDArray[np.int64], images: NDArray[np.int64], most: float) -> Interval:
    least = least_drops(lost, gained, images)
    return Interval(
        estimate=100 * max(0.0, float(((lost - gained) / images).max())),
        low=100 * max(0.0, float(least.max())),
        high=100 * max(0.0, most),
        confidence=NON_INFERIORITY_CONFIDENCE,
    )


def _regression(p_adjusted: float | None, images: int, needed: int) -> Regression:
    if p_adjusted is not None and p_adjusted <= FAMILY_ALPHA:
        return "shown"
    return "not shown" if images >= needed else "too few images"


def _drops(losses: Losses, images: NDArray[np.int64]) -> list[Interval | None]:
    lost, gained = losses.lost, losses.gained
    some, confidence = np.maximum(images, 1), NON_INFERIORITY_CONFIDENCE
    low, high = tango_bounds(lost, gained, some, two_sided_z(confidence))
    columns = zip(((lost - gained) / some).tolist(), low.tolist(), high.tolist(), images.tolist(), strict=True)
    return [
        Interval(estimate=100 * estimate, low=100 * below, high=100 * above, confidence=confidence) if count else None
        for estimate, below, above, count in columns
    ]


FAMILY_ALPHA = 0.05
"""How often at most any class is named, where none lost."""

Counts = NDArray[np.int64]


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
