"""Phases of a training as values: how long, at which learning rate and sizes, and which layers learn. ``loop.py`` runs them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Any, Literal

from torch import nn

from edgecnn.training.settings import AwareSettings, SurgerySettings, TrainSettings, default_augmentation
from edgecnn.values.augmentation import Augmentation
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.training import Balance, LearningPrecision

LAST_SHARE = 1 / 3
"""Of the groups before the head: what ``--transfer last`` lets learn."""


def block_groups(network: nn.Module, head: nn.Module, beside: Collection[nn.Module] = ()) -> list[nn.Module]:
    """The groups before the head. A sequence that holds more than half of the parameters counts as its members.

    ``beside``: last layers of auxiliary heads, which fine-tuning leaves off: what holds one of them is no group.
    """
    total = _size(network) - _size(head)
    groups: list[nn.Module] = []
    _collect(network, head, total, groups)
    return [group for group in groups if not any(module is last for module in group.modules() for last in beside)]


def _collect(parent: nn.Module, head: nn.Module, total: int, groups: list[nn.Module]) -> None:
    for child in parent.children():
        if child is head or _size(child) == 0:
            continue
        holds_head = any(module is head for module in child.modules())
        if holds_head or (isinstance(child, nn.Sequential) and len(child) > 1 and _size(child) > total / 2):
            _collect(child, head, total, groups)
        else:
            groups.append(child)


def freeze_all_but_last(network: nn.Module, head: nn.Module, beside: Collection[nn.Module] = ()) -> int:
    """Let the head and the last groups alone learn, and say how many groups those are."""
    groups = block_groups(network, head, beside)
    learning = math.ceil(len(groups) * LAST_SHARE)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for module in (head, *groups[len(groups) - learning :]):
        for parameter in module.parameters():
            parameter.requires_grad_(True)
    return learning


def learning_groups(network: nn.Module, head: nn.Module, beside: Collection[nn.Module] = ()) -> tuple[nn.Module, ...]:
    """Those of the groups that are not frozen, to be released one after another."""
    groups = block_groups(network, head, beside)
    return tuple(group for group in groups if any(parameter.requires_grad for parameter in group.parameters()))


def release(groups: Sequence[nn.Module], epoch: int, epochs: int) -> int:
    """Let the last groups alone learn, as many as fall to this epoch, and say how many those are.

    It is gradual unfreezing (Howard and Ruder 2018, arXiv:1801.06146, section 3.3), which begins with the layers that hold
    the least general of what was learned before; here its pace follows from ``epochs``, so that all groups learn in the last of
    these and in any later one.
    """
    learning = math.ceil(len(groups) * min(epoch + 1, epochs) / epochs)
    for index, group in enumerate(groups):
        for parameter in group.parameters():
            parameter.requires_grad_(index >= len(groups) - learning)
    return learning


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class Phase(Value):
    """Training of a whole network: by AdamW under a one-cycle rate, unless it says otherwise."""

    name: str
    sizes_px: tuple[Resolution, ...]
    """Size of the images shown, an entry an epoch; never decreasing."""
    shipped_px: Resolution
    """``validation`` is looked at in epochs of this size alone."""
    batch_size: int
    peak_rate: float
    body_share: float = 1.0
    """Rate of everything but the head, as a share of the head's."""
    warmup_share: float
    """Share of all steps over which the rate rises to its peak; from there it falls to zero along a cosine."""
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[Augmentation, ...] = default_augmentation("finetune")
    """What is done to the images at random, in this order."""
    average_decay: float
    """Of the running average of the weights, a step; the average is what is judged and kept."""
    frozen_statistics: bool
    """Batch-norm layers keep the means and variances that they came with."""
    patience: int
    cycles: tuple[int, ...] = ()
    """Epochs of each cycle, in which the rate rises and falls; none: one cycle of all epochs. A cycle without a better epoch is
    the last one."""
    seed: int
    auxiliary_weight: float = 0.0
    """Of the loss of each auxiliary answer that a network gives while it learns."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """sgd: with a momentum of 0.9."""
    rate_rule: Literal["cosine", "plateau"] = "cosine"
    """plateau: the rate stays, and is divided by 10 each time ``patience`` epochs bring nothing better on ``validation``."""
    balance: Balance = "none"
    """Whether classes of unequal size count alike; of a phase that learns from labels."""
    precision: LearningPrecision = "fp32"
    """In which steps compute; the loss, the update, the average and what is judged are fp32."""
    beats: str | None = None
    """The phase before it, whose best weights are the result until an epoch of this one is better."""
    told_as: str = "train"
    """What progress is reported under."""
    rate_setting: str = "train.learning_rate"
    """The recipe's key of the peak rate: what to lower where the loss is no number any more."""

    @classmethod
    def of(cls, settings: TrainSettings, **own: Any) -> Phase:
        """Of a training as it is asked, and what this phase has of its own."""
        names = ("batch_size", "weight_decay", "label_smoothing", "augment", "patience", "seed", "balance", "precision")
        return cls(peak_rate=settings.learning_rate, **{name: getattr(settings, name) for name in names}, **own)

    @classmethod
    def taught(cls, settings: SurgerySettings | AwareSettings, epochs: int, **own: Any) -> Phase:
        """Of a changed network that learns the answers of the one it was made of, every layer at one rate and to the end."""
        full = settings.preprocessing.pixels.crop_px
        shared = {"batch_size": settings.batch_size, "peak_rate": settings.learning_rate, "seed": settings.seed}
        fixed = {"sizes_px": (full,) * epochs, "shipped_px": full, "patience": epochs, "warmup_share": 0.1, "average_decay": 0.98}
        return cls.model_validate({**shared, **fixed, **own})

    @property
    def epochs(self) -> int:
        """How many at most."""
        return len(self.sizes_px)

    def rate(self, epochs: float, drops: int = 0) -> float:
        """Return the head's rate after so many ``epochs``, if it was divided ``drops`` times."""
        if self.rate_rule == "plateau":
            return self.peak_rate * 0.1**drops
        begin, end = next(span for span in self._spans() if epochs <= span[1])
        progress = (epochs - begin) / (end - begin)
        if progress < self.warmup_share:
            return self.peak_rate * (0.05 + 0.95 * progress / self.warmup_share)
        after = (progress - self.warmup_share) / (1 - self.warmup_share)
        return self.peak_rate * 0.5 * (1 + math.cos(math.pi * after))

    @property
    def first_cycle(self) -> int:
        """Epochs of the first cycle."""
        return self._spans()[0][1]

    def ends_after(self, epochs: int, best: int | None) -> bool:
        """Whether a cycle ends after so many epochs, and none of its epochs is ``best``, the index of the best epoch so far."""
        return any(epochs == end and (best is None or best < begin) for begin, end in self._spans())

    def _spans(self) -> list[tuple[int, int]]:
        ends = list(accumulate(self.cycles or (self.epochs,)))
        return list(zip((0, *ends), ends, strict=False))


def growing_cycles(epochs: int) -> tuple[int, ...]:
    """Return a short cycle, which shows whether the network improves at all, and one of the rest.

    A second cycle as short as the first would show little: on 2,608 images it differed by one validation image of 460.
    """
    quarter = max(1, epochs // 4)
    return tuple(length for length in (min(quarter, epochs), epochs - quarter) if length > 0)


DROPS = 3
"""Times that a rate is divided before a plateau is the end."""


def drops_of(judged: Sequence[float], patience: int) -> int:
    """How often a rate is divided after epochs of these accuracies: once for each ``patience`` in a row without a better one."""
    best, since, drops = -1.0, 0, 0
    for top1 in judged:
        best, since = (top1, 0) if top1 > best else (best, since + 1)
        if since == patience:
            drops, since = drops + 1, 0
    return drops
