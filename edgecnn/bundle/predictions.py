"""Predictions for images, on the command line and on the local page."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.bundle.manifest import Unlearned
from edgecnn.values.base import Value
from edgecnn.values.sandbox import Confinement


class LabelShare(Value):
    """A label and its probability, 0…1: by softmax, or independent in a multi-label network."""

    label: str
    probability: float


class Predicted(Value):
    """Labels of one image, the most probable first. A multi-label network returns those above their thresholds, perhaps none."""

    file: str
    labels: tuple[LabelShare, ...]


class Unreadable(Value):
    """A file that is not an image, or a damaged one."""

    file: str
    because: str


class Predictions(Value):
    """``edgecnn predict BUNDLE PHOTOS --json``, schema edgecnn.predictions/1."""

    schema_: Literal["edgecnn.predictions/1"] = Field(default="edgecnn.predictions/1", alias="schema")
    bundle: str
    sha256: str
    """SHA-256 of the ``bundle.json`` that lists every file that was used."""
    name: str
    version: int
    candidate: str
    """Candidate whose kit predicts."""
    kit: str
    """SHA-256 of its manifest, as the session loaded it."""
    confinement: Confinement
    """The sandbox in which the kit ran."""
    knobs: dict[str, str]
    unlearned: Unlearned | None = Field(default=None, exclude_if=lambda facts: facts is None)
    """Facts of a kit whose network is not shown to have learned; None for other kits."""
    predictions: tuple[Predicted, ...]
    unreadable: tuple[Unreadable, ...]
    skipped: tuple[str, ...] = Field(default=(), exclude_if=lambda skipped: not skipped)
    """Phrases for skipped files and folders, each with its number of images and the reason."""


class Served(Value):
    """The served model."""

    bundle: str
    """Path of the bundle on the command line."""
    name: str
    version: int
    candidate: str
    """Candidate whose kit predicts."""
    unlearned: Unlearned | None = Field(default=None, exclude_if=lambda facts: facts is None)
    """Facts of a kit whose network is not shown to have learned; None for other kits."""
    classes: int
    confinement: Confinement
    """The sandbox in which the kit runs."""
    warnings: tuple[str, ...] = ()
    """Open questions about the bundle, such as its origin."""


class Answer(Value):
    """The most probable labels first, and the times of one request, which are not a benchmark."""

    labels: tuple[LabelShare, ...]
    decode_ms: float
    """Time of decoding, rotation, resizing and cropping."""
    inference_ms: float
    """Time from pixels to probabilities."""
    several: bool = Field(default=False, exclude_if=lambda several: not several)
    """Whether the network is multi-label, so that these are all labels above their thresholds, perhaps none."""
