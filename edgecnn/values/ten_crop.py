"""Ten views of every image against the one that ships (``edgecnn ten-crop BUILD --json``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.verdict import Interval


class TenCrop(Value):
    """Schema edgecnn.ten-crop/1. Of the float network, on the images of the role ``report``; no kit answers so."""

    schema_: Literal["edgecnn.ten-crop/1"] = Field(default="edgecnn.ten-crop/1", alias="schema")
    build: str
    network: str
    images: PositiveInt
    single_top1: Interval
    """0…1, of the centre crop: what kits are shown."""
    ten_top1: Interval
    """0…1, of the mean of the probabilities of four corners, the centre, and their mirror images."""
    gain_pp: Interval
    """Of ten views over one on the same images, in percentage points; paired."""
    gained: NonNegativeInt
    """Images that only ten views get right."""
    lost: NonNegativeInt
    """Images that only the centre gets right."""
    macs: NonNegativeInt
    """Multiply-adds for one image as kits are shown it."""
    ten_macs: NonNegativeInt
    without_room: NonNegativeInt
    """Images that are no larger than the crop once they are resized: there the ten views are two."""
