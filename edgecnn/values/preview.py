"""What was drawn for a sheet of augmented pictures, as ``edgecnn data preview --json`` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, PositiveInt

from edgecnn.values.augmentation import Augmentations
from edgecnn.values.base import Value


class DrawnRow(Value):
    """One row of the list, for one picture."""

    kind: str
    applied: bool
    values: Mapping[str, float]
    """What was drawn, by name; empty where it was not applied. ``seed`` stands for noise that is drawn point by point."""


class PreviewedPicture(Value):
    """One augmented picture."""

    image: str
    """Its original: the path in the data, or the demo's name of it."""
    class_name: str
    row: PositiveInt
    column: PositiveInt
    """Of the sheet; the originals stand before column 1."""
    drawn: tuple[DrawnRow, ...]
    """In the list's order."""


class AugmentationPreview(Value):
    """Originals beside what training would show, and what was drawn for each."""

    schema_: Literal["edgecnn.preview/1"] = Field(default="edgecnn.preview/1", alias="schema")
    data: str
    resolution_px: PositiveInt
    seed: int
    augment: Augmentations
    """What was asked for, defaults filled in."""
    sheet: str
    pictures: tuple[PreviewedPicture, ...]
