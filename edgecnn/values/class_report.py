"""What each class kept and lost: an average over 10,000 images hides a class that lost a fifth of its own."""

from __future__ import annotations

from typing import Literal

from edgecnn.values.base import Value
from edgecnn.values.verdict import Interval

Regression = Literal["shown", "not shown", "too few images"]


class ClassFigures(Value):
    """One class on one split; from ``lost`` on, against the baseline network, and None where there is none."""

    name: str
    images: int
    right: int
    recall: Interval | None
    """Share of its images that got its name, 0…1, with Wilson's interval at two-sided 95 %; None of no images."""
    f1: float | None
    """Harmonic mean of recall and precision, 0…1; None of no images."""
    lost: int | None = None
    """Its images that the baseline network gets right and this candidate wrong."""
    gained: int | None = None
    """Its images that this candidate gets right and the baseline network wrong."""
    drop_pp: Interval | None = None
    """Paired, in percentage points of its images, positive for worse; two-sided 90 %, for this class alone."""
    p_adjusted: float | None = None
    """Of the exact one-sided sign test on its discordant images, after Holm over all classes; below 0.05 is shown."""
    regression: Regression | None = None


class ClassReport(Value):
    """Every class of one candidate on one split, in the order of the classes."""

    classes: tuple[ClassFigures, ...]
    compared: int = 0
    """Classes with images, over which the p values are adjusted; 0 where there was no baseline network to compare with."""
    lost_to_show: int | None = None
    """So many images lost and none gained are shown whatever the other classes do; a smaller class has too few images."""
    worst_drop_pp: Interval | None = None
    """The largest drop of any class, 0 where none drops: two-sided 90 %, holding for all classes at once. ``low`` is 0 where
    no class is shown to lose; ``high`` is 100 where a class has no images, because nothing is known of it."""
    widest: str | None = None
    """The class that ``high`` comes from."""

    def shown(self) -> tuple[ClassFigures, ...]:
        """Classes with a shown regression, the largest drop first."""
        found = [
            (each, each.drop_pp.estimate) for each in self.classes if each.regression == "shown" and each.drop_pp is not None
        ]
        return tuple(each for each, _ in sorted(found, key=lambda pair: -pair[1]))

    def too_small(self) -> tuple[ClassFigures, ...]:
        """Classes of which no regression need show, were it ever so large."""
        return tuple(each for each in self.classes if each.regression == "too few images")
