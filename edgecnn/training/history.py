"""The history of a training. It contains no times, so an interrupted and resumed training writes the same bytes."""

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
    """Return the number of an epoch or a batch, counted from 1; files and random draws use the index from 0."""
    return index + 1


class EpochFacts(Value):
    """Figures of one epoch."""

    epoch: int
    """Index in the phase, from 0."""
    train_loss: float
    validation_top1: float | None
    """0…1. None if the epoch's images were smaller than the shipped resolution, since that network cannot be the result."""
    validation_recall: float | None = Field(default=None, exclude_if=lambda recall: recall is None)
    """Mean recall over the classes, 0…1; only if classes are balanced."""
    validation_map: float | None = Field(default=None, exclude_if=lambda value: value is None)
    """Mean average precision, 0…1; in place of ``validation_top1`` for multi-label images."""
    validation_loss: float | None = Field(default=None, exclude_if=lambda loss: loss is None)
    """Mean cross-entropy in nats, without label smoothing; None as ``validation_top1``, and in trainings of earlier versions."""
    learning_rate: float
    """Learning rate at the end of the epoch."""
    resolution_px: Resolution
    learning_groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Number of layer groups that were trained in addition to the head; only if groups are unfrozen one after another."""

    @property
    def number(self) -> int:
        """Number of the epoch in its phase, from 1."""
        return ordinal(self.epoch)

    @property
    def score(self) -> float | None:
        """Figure by which epochs are compared, 0…1."""
        score: float | None = getattr(self, ranking_figure(self))
        return score

    @property
    def figures(self) -> dict[str, float]:
        """Figures that are plotted. For a rectangular resolution, the shorter side is plotted."""
        facts = self.model_dump(exclude={"epoch", "resolution_px"}, exclude_none=True)
        return {name: float(value) for name, value in facts.items()} | {"resolution_px": float(self.resolution_px.short_px)}


def tell_epochs(tell: Progress, phase: str, epochs: Sequence[EpochFacts]) -> None:
    """Report figures of epochs if ``tell`` plots curves."""
    if isinstance(tell, Plotting):
        for facts in epochs:
            tell.plot(phase, facts.number, facts.figures)


class PhaseFacts(Value):
    """A finished phase."""

    name: str
    precision: LearningPrecision = Field(default="fp32", exclude_if=lambda precision: precision == "fp32")
    """Precision of training steps."""
    epochs: tuple[EpochFacts, ...]


class BestFacts(Value):
    """The epoch whose weights are the result."""

    phase: str
    epoch: int
    """Index in the phase, from 0. It is 0 for a head that was fitted in one step, whose phase has no epochs."""
    validation_top1: float | None
    validation_recall: float | None = Field(default=None, exclude_if=lambda recall: recall is None)
    validation_map: float | None = Field(default=None, exclude_if=lambda value: value is None)

    @property
    def number(self) -> int:
        """Number of the epoch in its phase, from 1."""
        return ordinal(self.epoch)

    @property
    def score(self) -> float:
        """Figure that another epoch is compared with, 0…1."""
        score: float | None = getattr(self, ranking_figure(self))
        return score or 0.0


def ranking_figure(facts: EpochFacts | BestFacts) -> str:
    """Return the name of the field by which epochs are compared."""
    if facts.validation_map is not None:
        return "validation_map"
    return "validation_top1" if facts.validation_recall is None else "validation_recall"


class BalanceFacts(Value):
    """Method by which classes were balanced, and their sizes."""

    how: Balance
    images: tuple[int, ...]
    """Training images by class."""


class History(Value):
    """Content of ``history.json``."""

    phases: tuple[PhaseFacts, ...]
    best: BestFacts | None
    """None if the recipe asks for no epochs; the result is then the initial network."""
    stopped: str
    """Reason for stopping, such as all epochs done, or no better epoch within the patience."""
    initial: Mapping[str, str | None]
    """Kind, source and SHA-256 of the starting weights."""
    transfer: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """Which layers were trained and why, unless all were."""
    inheritance: Inheritance | None = Field(default=None, exclude_if=lambda value: value is None)
    """Share of a scaled network that the starting weights contained."""
    teacher: TeacherFacts | None = Field(default=None, exclude_if=lambda facts: facts is None)
    balance: BalanceFacts | None = Field(default=None, exclude_if=lambda facts: facts is None)
    gpu: str | None = Field(default=None, exclude_if=lambda gpu: gpu is None)
    """GPU that computed training steps and frozen features; None for the CPU."""
    not_repeatable: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    """Operations without a deterministic algorithm on that GPU. Because of them, the same training may give other bits."""
    made: MadeShare | None = Field(default=None, exclude_if=lambda facts: facts is None)
    """Number of composed images; None if there were none."""
