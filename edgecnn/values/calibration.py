"""Whether the images that INT8 ranges were taken from look like those that candidates are chosen on."""

from __future__ import annotations

from typing import Literal

from edgecnn.values.base import Value


class ChannelShift(Value):
    """One statistic of one channel in which the two sets differ, in pixel levels of 0 to 255."""

    channel: Literal["red", "green", "blue"]
    statistic: Literal["level", "contrast", "variety"]
    """Means over images of: an image's own mean; the spread inside it; how far its mean lies from the median image's."""
    calibrate: float
    choose: float
    spreads: float
    """The difference, in standard deviations of that statistic among the images of ``choose``."""


class CalibrationFacts(Value):
    """The calibration images of one build."""

    images: int
    classes: int
    """Among them."""
    classes_of: int
    """That the network tells apart."""
    compared: bool
    """Whether there were enough images on both sides to hold their channels against each other."""
    shifts: tuple[ChannelShift, ...] = ()
