"""How often a candidate answers as fp32 does, of images that nobody labelled: all that they can show, and no accuracy."""

from __future__ import annotations

from typing import Literal

from edgecnn.values.base import Value
from edgecnn.values.verdict import Fidelity, Interval


class Agreement(Value):
    """Share of images with fp32's own answer, 0…1, with a 95 % score interval.

    Accuracy can have fallen by no more than the share of other answers, and nothing says how many of those are wrong.
    """

    split: Literal["choose", "report"]
    images: int
    same: Interval
    fidelity: Fidelity
    machine: str
    pixels: str

    @property
    def differing_pp(self) -> float:
        """Other answers than fp32's, in percentage points of the images: no drop of accuracy can be larger."""
        return 100 * (1 - self.same.estimate)
