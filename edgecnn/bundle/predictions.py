"""What a bundle says of photographs: on the command line, and to the local page."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value


class LabelShare(Value):
    """One label and its probability, 0…1: by softmax, or of a multi-label network its own."""

    label: str
    probability: float


class Predicted(Value):
    """One photograph; the most probable label first. Of a multi-label network all that reach their thresholds, perhaps none."""

    file: str
    labels: tuple[LabelShare, ...]


class Unreadable(Value):
    """A file that is no picture, or a damaged one."""

    file: str
    because: str


class Predictions(Value):
    """``edgecnn predict BUNDLE PHOTOS --json``, schema edgecnn.predictions/1."""

    schema_: Literal["edgecnn.predictions/1"] = Field(default="edgecnn.predictions/1", alias="schema")
    bundle: str
    name: str
    version: int
    candidate: str
    """Whose kit answered."""
    kit: str
    """sha256 of its manifest."""
    knobs: dict[str, str]
    predictions: tuple[Predicted, ...]
    unreadable: tuple[Unreadable, ...]
    skipped: tuple[str, ...] = Field(default=(), exclude_if=lambda skipped: not skipped)
    """Hidden files and folders that hold images, and those of file managers, each with its images and why."""


class Served(Value):
    """Which model answers."""

    bundle: str
    """As it was named on the command line."""
    name: str
    version: int
    candidate: str
    """Whose kit answers."""
    classes: int
    warnings: tuple[str, ...] = ()
    """What stays open about the bundle, such as whose it is."""


class Answer(Value):
    """The most probable labels first, and where the time went: one request, and no benchmark."""

    labels: tuple[LabelShare, ...]
    decode_ms: float
    """From the file's bytes to the model's pixels: decoding, turning upright, resizing, cropping."""
    inference_ms: float
    """From these pixels to probabilities."""
    several: bool = Field(default=False, exclude_if=lambda several: not several)
    """Whether these are all the labels that reach their thresholds, of a multi-label network, perhaps none."""
