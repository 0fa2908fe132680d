"""Doubted labels, the hardest classes, and the effect of more images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.dataset import Alike, SplitRole
from edgecnn.values.verdict import Interval


class DoubtedLabel(Value):
    """An image whose label is probably wrong."""

    file: str
    """Path relative to the root of the data."""
    role: SplitRole
    label: str
    suggested: str
    label_probability: float
    """0…1, out of sample."""
    suggested_probability: float


class ClassOutlook(Value):
    """How well a class is recognised, and the effect of more of its images."""

    name: str
    images: NonNegativeInt
    recall: Interval | None
    """0…1, cross-validated, of the linear probe."""
    doubted: NonNegativeInt
    gain_pp: Interval | None
    """Recall that ``MORE`` more images of this class alone would add, in percentage points; None for a class that was not judged.
    """


class ConfusedPair(Value):
    """Images of one class that the probe assigns to another class."""

    label: str
    predicted: str
    images: PositiveInt
    examples: tuple[str, ...]
    """Their paths, the surest first."""


class LabelDoubt(Value):
    """Schema edgecnn.label-doubt/1. All accuracies are those of a linear probe on the features of the build's network."""

    schema_: Literal["edgecnn.label-doubt/1"] = Field(default="edgecnn.label-doubt/1", alias="schema")
    build: str
    network: str
    root: str
    """Of the images."""
    roles: tuple[SplitRole, ...]
    """Splits whose images were judged."""
    images: PositiveInt
    folds: PositiveInt
    top1: Interval
    """0…1, cross-validated."""
    top1_at_twice: Interval
    """The forecast for twice the images of every class."""
    more_images: PositiveInt
    """Of a class, for ``gain_pp``."""
    doubted: tuple[DoubtedLabel, ...]
    """The most doubtful first."""
    classes: tuple[ClassOutlook, ...]
    """The lowest recall first."""
    not_judged: tuple[str, ...]
    """Classes with too few images to judge their labels."""
    pairs: tuple[ConfusedPair, ...]
    """The most frequent first."""
    near: tuple[Alike, ...]
    """Images that look alike and are in several classes."""
    excluded: tuple[str, ...]
    """Images that the build excluded because the same bytes are in several classes or splits."""
    list_file: str | None
    """A list for ``--data``, relative to the folder of this file; None for the demo, whose images are not files."""
    list_sha256: str | None
    build_command: str | None = Field(default=None, exclude_if=lambda command: command is None)
    """The command of the build, for the corrected list; None without a list, and in older files."""
    features_trained: bool = Field(default=False, exclude_if=lambda trained: not trained)
    """Whether every layer of the network was trained on these labels, so that its features may fit wrong ones."""
