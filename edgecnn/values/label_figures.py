"""What is reported of a multi-label network: mean average precision, F1, and every label by itself at its threshold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.verdict import Fidelity, Interval


class LabelFigures(Value):
    """One label on one split, at the threshold that ships."""

    name: str
    images: int
    """That have it."""
    threshold: float
    """Of the probability from which on an image gets it, 0…1."""
    average_precision: float | None
    """0…1; None of no images."""
    precision: Interval | None
    """Share of the images that got it that have it, 0…1, with Wilson's interval at two-sided 95 %; None where none got it."""
    recall: Interval | None
    """Share of the images that have it that got it, likewise; None of no images."""
    f1: float | None
    """Harmonic mean of the two, 0…1; None of no images."""


class MultiLabelAccuracy(Value):
    """Of one split. Intervals are by image, from the exact delete-one jackknife; save for ``map`` and single labels they are
    two-sided 90 %: each bound is the one-sided 95 % of a gate."""

    split: Literal["validation", "test"]
    images: int
    map: Interval
    """Mean average precision over the labels that have images, 0…1, at two-sided 95 %."""
    map_bounds: Interval | None = None
    """The same at two-sided 90 %; None in a report of before this was kept."""
    trials: float
    """As well as ``map`` is known would a share be known of so many images."""
    drop_pp: Interval | None
    """Of ``map`` against the baseline network, paired, in percentage points, positive for worse. None for the baseline itself."""
    drop_images: float | None = None
    """So many images, of so many groups, would each count as much for the drop as one does that is answered as another."""
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Where images came in groups, as frames of one video do: of how many the intervals are."""
    micro_f1: Interval
    """F1 of all decisions of all labels together, 0…1."""
    macro_f1: Interval
    """Mean F1 over the labels that have images, 0…1."""
    agreement: Interval | None
    """Share of images that get the very labels that the baseline network gives, 0…1; None for the baseline itself."""
    labels: tuple[LabelFigures, ...] = ()
    """Empty of what a bundle remembers."""
    fidelity: Fidelity
    machine: str
    pixels: str

    @property
    def share(self) -> Interval:
        """What the network is judged by first: ``map``, as top-1 is of one class an image."""
        return self.map

    @property
    def left_out(self) -> tuple[str, ...]:
        """Labels that no image of the split has, of which neither average precision nor recall is known."""
        return tuple(each.name for each in self.labels if not each.images)
