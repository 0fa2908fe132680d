"""What top-1 does not say of one candidate's answers."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.values.base import Value
from edgecnn.values.class_report import ClassReport
from edgecnn.values.verdict import Interval


class Quality(Value):
    """Of one split. Intervals, save those of single classes, are two-sided 90 %: each bound is the one-sided 95 % of a gate."""

    top5: Interval | None
    """Share of images whose class is among the five largest logits, 0…1."""
    macro_f1: Interval
    """Mean F1 over the classes that have images, 0…1."""
    ece: Interval
    """Expected calibration error, 0…1: how far confidence and accuracy are apart, over 15 bins of equal width."""
    agreement: Interval | None
    """Share of images to which the baseline network gives the same first answer, right or wrong, 0…1."""
    classes: ClassReport
    absent: Mapping[str, str] = {}
    """Name of a figure to why it is None."""
