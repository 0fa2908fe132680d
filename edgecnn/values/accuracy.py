"""Top-1 of one candidate on one split, and what it loses against fp32."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.figures import Folds, Groups, Quality
from edgecnn.values.verdict import Fidelity, Interval


class Accuracy(Value):
    """Top-1 on one split, 0…1, with a 95 % score interval, and the paired drop against fp32 in percentage points.

    The drop's interval is two-sided 90 %, so that each of its bounds is the one-sided 95 % that the gate is judged by.
    """

    split: Literal["validation", "test"]
    images: int
    top1: Interval
    drop_pp: Interval | None
    """Positive: worse than the baseline network. None for the baseline itself."""
    discordant: int | None
    """Images that exactly one of the two networks gets right."""
    fidelity: Fidelity
    machine: str
    pixels: str
    lost: int | None = None
    """Discordant images that the baseline network gets right."""
    gained: int | None = None
    """Discordant images that this candidate gets right."""
    folds: Folds | None = Field(default=None, exclude_if=lambda folds: folds is None)
    """Of cross-validation: every figure here is of the test images of all folds, each answered by the network of its fold.
    ``pixels`` are those of the first."""
    groups: Groups | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Where test images came in groups. Over folds, the effects are in ``folds``."""
    quality: Quality | None = None
    """What top-1 does not say, by class too: of the test split alone, since nothing is chosen by it."""

    @property
    def share(self) -> Interval:
        """What the network is judged by first."""
        return self.top1

    @property
    def top1_effect(self) -> float:
        """How many times the variance of independent images that of top-1 is."""
        within = self.folds or self.groups
        return 1.0 if within is None else within.top1_effect

    @property
    def drop_effect(self) -> float:
        """The same of the drop."""
        within = self.folds or self.groups
        return 1.0 if within is None else within.drop_effect
