"""What a training writes down of itself. No clock is in it: an interrupted and resumed training leaves the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.scale import Inheritance
from edgecnn.values.stage import Plotting, Progress
from edgecnn.values.synthesis import MadeShare
from edgecnn.values.training import Balance, LearningPrecision, TeacherFacts


def ordinal(index: int) -> int:
    """The number of an epoch or a batch as people count, from 1; files and draws hold its index, from 0."""
    return index + 1


class EpochFacts(Value):
    """One pass over the training images."""

    epoch: int
    """Its index in the phase, from 0."""
    train_loss: float
    validation_top1: float | None
    """0…1. None where the images shown were smaller than the shipped resolution: that network is not a candidate yet."""
    validation_recall: float | None = Field(default=None, exclude_if=lambda recall: recall is None)
    """0…1, the mean over classes of the share of a class's images that are right; only where classes were made to count alike."""
    validation_map: float | None = Field(default=None, exclude_if=lambda value: value is None)
    """0…1, mean average precision of multi-label images, in place of ``validation_top1``."""
    learning_rate: float
    """At the end of the epoch."""
    resolution_px: Resolution
    learning_groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Groups of blocks that learned beside the head; only where they begin one after another."""

    @property
    def number(self) -> int:
        """Of the epoch in its phase, from 1."""
        return ordinal(self.epoch)

    @property
    def standing(self) -> float | None:
        """What epochs are compared by, 0…1."""
        if self.validation_map is not None:
            return self.validation_map
        return self.validation_top1 if self.validation_recall is None else self.validation_recall

    @property
    def figures(self) -> dict[str, float]:
        """What of it is drawn as a curve; of a rectangle its shorter side."""
        facts = self.model_dump(exclude={"epoch", "resolution_px"}, exclude_none=True)
        return {name: float(value) for name, value in facts.items()} | {"resolution_px": float(self.resolution_px.short_px)}


def tell_epochs(tell: Progress, phase: str, epochs: Sequence[EpochFacts]) -> None:
    """Draw the curves of a phase, where they are drawn at all."""
    if isinstance(tell, Plotting):
        for facts in epochs:
            tell.plot(phase, facts.number, facts.figures)


class PhaseFacts(Value):
    """A phase and its epochs."""

    name: str
    precision: LearningPrecision = Field(default="fp32", exclude_if=lambda precision: precision == "fp32")
    """That its steps computed in."""
    epochs: tuple[EpochFacts, ...]


class BestFacts(Value):
    """Which epoch's weights are the result."""

    phase: str
    epoch: int
    """Its index in the phase, from 0; 0 also of a head that was fitted in one step, whose phase has no epochs."""
    validation_top1: float | None
    validation_recall: float | None = Field(default=None, exclude_if=lambda recall: recall is None)
    """As of the epoch; so is the next."""
    validation_map: float | None = Field(default=None, exclude_if=lambda value: value is None)

    @property
    def number(self) -> int:
        """Of the epoch in its phase, from 1."""
        return ordinal(self.epoch)

    @property
    def standing(self) -> float:
        """What another epoch has to exceed, 0…1."""
        if self.validation_map is not None:
            return self.validation_map
        return (self.validation_top1 or 0.0) if self.validation_recall is None else self.validation_recall


class BalanceFacts(Value):
    """That classes were made to count alike, how, and how unlike they were."""

    how: Balance
    images: tuple[int, ...]
    """Training images by class."""


class History(Value):
    """``history.json``."""

    phases: tuple[PhaseFacts, ...]
    best: BestFacts | None
    """None where no epoch was asked for: the result is what training would have begun with."""
    stopped: str
    """Why it ended: all epochs done, or the patience used up."""
    initial: Mapping[str, str | None]
    """Where it began: source and sha256 of the starting weights."""
    transfer: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """What was learned anew and why, where it was not simply every layer."""
    inheritance: Inheritance | None = Field(default=None, exclude_if=lambda value: value is None)
    """Of a scaled network alone: how much of it these weights had."""
    teacher: TeacherFacts | None = Field(default=None, exclude_if=lambda facts: facts is None)
    balance: BalanceFacts | None = Field(default=None, exclude_if=lambda facts: facts is None)
    gpu: str | None = Field(default=None, exclude_if=lambda gpu: gpu is None)
    """That computed the steps and the frozen features; None where the processor did."""
    not_repeatable: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    """Operations of which torch has no repeatable form on that GPU: the same training may come to other bits."""
    made: MadeShare | None = Field(default=None, exclude_if=lambda facts: facts is None)
    """How many of the images were composed; None where none was."""
