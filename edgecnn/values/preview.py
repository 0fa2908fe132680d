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
    """Its original: the path in the data, the demo's name of it, or that of a composed one in its step's folder."""
    composed_of: tuple[str, str] | None = Field(default=None, exclude_if=lambda files: files is None)
    """Of a composed one: the cut-out and the background, each in its own folder."""
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
    composed_rows: tuple[PositiveInt, ...] = ()
    """Of the sheet: those whose originals were composed. They are what a build composes, to the pixel."""
