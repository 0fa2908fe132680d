"""What a training writes down of itself. No clock is in it: an interrupted and resumed training leaves the same bytes."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.scale import Inheritance


class EpochFacts(Value):
    """One pass over the training images."""

    epoch: int
    train_loss: float
    choose_top1: float | None
    """0…1. None where the images shown were smaller than the shipped resolution: that network is not a candidate yet."""
    learning_rate: float
    """At the end of the epoch."""
    resolution_px: int


class PhaseFacts(Value):
    """A phase and its epochs."""

    name: str
    epochs: tuple[EpochFacts, ...]


class BestFacts(Value):
    """Which epoch's weights are the result."""

    phase: str
    epoch: int
    choose_top1: float


class History(Value):
    """``history.json``."""

    phases: tuple[PhaseFacts, ...]
    best: BestFacts | None
    """None where no epoch was asked for: the result is what training would have begun with."""
    stopped: str
    """Why it ended: all epochs done, or the patience used up."""
    initial: Mapping[str, str | None]
    """Where it began: source and sha256 of the starting weights."""
    transfer: str | None = Field(default=None, exclude_if=lambda said: said is None)
    """What was learned anew and why, where it was not simply every layer."""
    inheritance: Inheritance | None = Field(default=None, exclude_if=lambda said: said is None)
    """Of a scaled network alone: how much of it these weights had."""
