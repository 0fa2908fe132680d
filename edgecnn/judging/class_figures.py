"""Every class by itself: what it kept, what it lost against the baseline network, and whether that loss is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.class_regressions import FAMILY_ALPHA, adjusted_p, least_drops, lost_to_show, most_drops
from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_bounds, two_sided_z, wilson
from edgecnn.judging.macro_f1 import ByClass
from edgecnn.values.class_report import ClassFigures, ClassReport, Regression
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


# ---------------------------------------------------------------------------------------------------------------------


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
