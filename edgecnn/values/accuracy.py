"""Top-1 of one candidate on one split, and what it loses against fp32; without labels, how often the two agree."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.figures import Folds, Groups, Quality
from edgecnn.values.label_figures import MultiLabelAccuracy
from edgecnn.values.verdict import Fidelity, Interval


class Accuracy(Value):
    """Top-1 on one split, 0…1, with a 95 % score interval, and the paired drop against fp32 in percentage points.

    The drop's interval is two-sided 90 %, so that each of its bounds is the one-sided 95 % that the gate is judged by.
    """

    split: Literal["validation", "test"]
    images: int
    top1: Interval
    drop_pp: Interval | None
    """Positive: worse than the baseline network. None for the baseline itself."""
    discordant: int | None
    """Images that exactly one of the two networks gets right."""
    fidelity: Fidelity
    machine: str
    pixels: str
    lost: int | None = None
    """Discordant images that the baseline network gets right."""
    gained: int | None = None
    """Discordant images that this candidate gets right."""
    folds: Folds | None = Field(default=None, exclude_if=lambda folds: folds is None)
    """Of cross-validation: every figure here is of the test images of all folds, each answered by the network of its fold.
    ``pixels`` are those of the first."""
    groups: Groups | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Where test images came in groups. Over folds, the effects are in ``folds``."""
    quality: Quality | None = None
    """What top-1 does not say, by class too: of the test split alone, since nothing is chosen by it."""

    @property
    def share(self) -> Interval:
        """What the network is judged by first."""
        return self.top1

    @property
    def dependence(self) -> str | None:
        """What an interval must allow for where test images are not independent; None where they are."""
        if self.folds is not None:
            return "networks that differ from fold to fold"
        return None if self.groups is None else "groups whose images are alike"

    @property
    def shown_quality(self) -> Quality | None:
        """The quality, with an estimate alone where an interval takes images for independent that are not.

        Over folds that is every interval of a class. In groups a class has its own, save in a report of before groups were kept.
        """
        if self.quality is None or self.dependence is None:
            return self.quality
        classes = self.quality.classes
        if self.folds is not None or (self.groups is not None and self.groups.independent is None):
            alone = tuple(
                figures.model_copy(update={"recall": _alone(figures.recall), "drop_pp": _alone(figures.drop_pp)})
                for figures in classes.classes
            )
            classes = classes.model_copy(update={"classes": alone})
        classes = classes.model_copy(update={"worst_drop_pp": _alone(classes.worst_drop_pp)})
        kept = {"macro_f1": self.quality.macro_f1.alone, "ece": self.quality.ece.alone, "classes": classes}
        return self.quality.model_copy(update=kept)

    @property
    def top1_effect(self) -> float:
        """How many times the variance of independent images that of top-1 is."""
        within = self.folds or self.groups
        return 1.0 if within is None else within.top1_effect

    @property
    def independent_at_most(self) -> float:
        """Independent images that the test images are worth for a PASS: without limit unless they came in groups."""
        return math.inf if self.groups is None else self.groups.independent or self.groups.groups

    @property
    def drop_effect(self) -> float:
        """The same of the drop."""
        within = self.folds or self.groups
        return 1.0 if within is None else within.drop_effect


def _alone(figure: Interval | None) -> Interval | None:
    return None if figure is None else figure.alone


class Agreement(Value):
    """Share of images with fp32's own answer, 0…1, with a 95 % score interval.

    Accuracy can have fallen by no more than the share of other answers, and nothing says how many of those are wrong.
    """

    split: Literal["validation", "test"]
    images: int
    same: Interval
    effect: float = Field(default=1.0, exclude_if=lambda effect: effect == 1)
    """How many times the variance of independent images that of the share is: more than 1 where images came in groups."""
    independent: float | None = Field(default=None, exclude_if=lambda independent: independent is None)
    """Where images came in groups, for a PASS they are worth at most so many independent ones."""
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """In how many they came; None where they are independent, and in a report of before this was kept."""
    fidelity: Fidelity
    machine: str
    pixels: str

    @property
    def differing_pp(self) -> float:
        """Other answers than fp32's, in percentage points of the images: no drop of accuracy can be larger."""
        return 100 * (1 - self.same.estimate)


def group_count(seen: Accuracy | MultiLabelAccuracy | Agreement) -> int | None:
    """Groups that the images came in; None where they are independent."""
    return seen.groups.groups if isinstance(seen.groups, Groups) else seen.groups
