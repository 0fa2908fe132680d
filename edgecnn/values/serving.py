"""What `edgecnn serve` says of itself, and answers for one photograph."""

from __future__ import annotations

from edgecnn.values.base import Value
from edgecnn.values.predictions import LabelShare


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
