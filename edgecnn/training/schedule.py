"""Phases of a training as values: epochs, learning rate, image sizes, and which layers are trained. ``loop.py`` runs them."""

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
"""Share of the layer groups before the head that ``--transfer last`` trains."""


def layer_groups(network: nn.Module, head: nn.Module, auxiliary: Collection[nn.Module] = ()) -> list[nn.Module]:
    """Return the layer groups before the head. A sequence with more than half of the parameters counts as its members.

    ``auxiliary``: last layers of auxiliary heads. Modules that contain one are omitted, because fine-tuning does not use them.
    """
    total = _parameter_count(network) - _parameter_count(head)
    groups: list[nn.Module] = []
    _collect(network, head, total, groups)
    return [group for group in groups if not any(module is last for module in group.modules() for last in auxiliary)]


def _collect(parent: nn.Module, head: nn.Module, total: int, groups: list[nn.Module]) -> None:
    for child in parent.children():
        if child is head or _parameter_count(child) == 0:
            continue
        holds_head = any(module is head for module in child.modules())
        if holds_head or (isinstance(child, nn.Sequential) and len(child) > 1 and _parameter_count(child) > total / 2):
            _collect(child, head, total, groups)
        else:
            groups.append(child)


def freeze_all_but_last(network: nn.Module, head: nn.Module, auxiliary: Collection[nn.Module] = ()) -> int:
    """Freeze all layers except the head and the last groups, and return the number of groups that are trained."""
    groups = layer_groups(network, head, auxiliary)
    learning = math.ceil(len(groups) * LAST_SHARE)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for module in (head, *groups[len(groups) - learning :]):
        for parameter in module.parameters():
            parameter.requires_grad_(True)
    return learning


def trainable_groups(network: nn.Module, head: nn.Module, auxiliary: Collection[nn.Module] = ()) -> tuple[nn.Module, ...]:
    """Return the layer groups that are not frozen, from input to head."""
    groups = layer_groups(network, head, auxiliary)
    return tuple(group for group in groups if any(parameter.requires_grad for parameter in group.parameters()))


def unfreeze_last(groups: Sequence[nn.Module], epoch: int, epochs: int) -> int:
    """Train only the last groups, a number that grows with the epoch, and return that number.

    This is gradual unfreezing (Howard and Ruder 2018, arXiv:1801.06146, section 3.3): the last layers, whose features are the
    least general, are trained first. Here all groups are trained from epoch number ``epochs`` on.
    """
    learning = math.ceil(len(groups) * min(epoch + 1, epochs) / epochs)
    for index, group in enumerate(groups):
        for parameter in group.parameters():
            parameter.requires_grad_(index >= len(groups) - learning)
    return learning


def _parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


TOLERATED_IMAGES = 5
"""A difference of up to five images between two epochs can be chance: if one epoch gets five images right that the other gets
wrong, and not the reverse, the exact sign test gives p = 2·0.5⁵ = 0.06. The later epoch has the lower learning rate. On 200
photographs, 30 of them for validation, the last epoch was 3 and 5 points better on 341 test images than the first best one
(``benchmarks/accuracy``)."""


class Phase(Value):
    """One phase of training a network, by default with AdamW and a one-cycle learning rate."""

    name: str
    sizes_px: tuple[Resolution, ...]
    """Image size of each epoch, never decreasing."""
    shipped_px: Resolution
    """Size at which the network ships. Only epochs of this size are evaluated on ``validation``."""
    batch_size: int
    peak_rate: float
    body_share: float = 1.0
    """Learning rate of all layers before the head, as a share of the head's."""
    warmup_share: float
    """Share of all steps in which the rate rises to its peak. After them it falls to zero along a cosine."""
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[Augmentation, ...] = default_augmentation("finetune")
    """Random changes of the images, in this order."""
    average_decay: float
    """Decay for each step of the running average of the weights. The average is evaluated and kept, not the network itself."""
    frozen_statistics: bool
    """Whether batch-norm layers keep their initial means and variances."""
    patience: int
    keeps_last: bool = False
    """Whether the last epoch is the result unless another one is clearly better on ``validation``."""
    cycles: tuple[int, ...] = ()
    """Number of epochs of each cycle, in which the rate rises and falls. Empty: one cycle of all epochs. Training stops after a
    cycle whose epochs are all clearly worse than the best one before."""
    seed: int
    auxiliary_weight: float = 0.0
    """Weight of the loss of each auxiliary head."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """sgd has a momentum of 0.9."""
    rate_rule: Literal["cosine", "plateau"] = "cosine"
    """plateau: the rate is constant, and is divided by 10 after ``patience`` epochs without a better ``validation`` result."""
    balance: Balance = "none"
    """How classes of unequal size are balanced, if the phase learns from labels."""
    precision: LearningPrecision = "fp32"
    """Precision of the forward and backward passes. Loss, update, average and evaluation are in fp32."""
    beats: str | None = None
    """Name of the phase before, whose weights are the result until an epoch of this phase replaces them."""
    told_as: str = "train"
    """Name of the step in progress lines."""
    rate_setting: str = "train.learning_rate"
    """Recipe key of the peak rate, which an error about a diverged training names."""

    @classmethod
    def of(cls, settings: TrainSettings, **own: Any) -> Phase:
        """Return a phase with the settings of a training, and ``own`` fields."""
        names = ("batch_size", "weight_decay", "label_smoothing", "augment", "patience", "seed", "balance", "precision")
        return cls(peak_rate=settings.learning_rate, **{name: getattr(settings, name) for name in names}, **own)

    @classmethod
    def distilled(cls, settings: SurgerySettings | AwareSettings, epochs: int, **own: Any) -> Phase:
        """Return a phase in which a changed network learns the logits of the original, all layers at one rate and all epochs."""
        full = settings.preprocessing.pixels.crop_px
        shared = {"batch_size": settings.batch_size, "peak_rate": settings.learning_rate, "seed": settings.seed}
        fixed = {"sizes_px": (full,) * epochs, "shipped_px": full, "patience": epochs, "warmup_share": 0.1, "average_decay": 0.98}
        return cls.model_validate({**shared, **fixed, **own})

    def tolerance(self, images: int) -> float:
        """Return how much worse than the best epoch the result may be on so many ``validation`` images, 0…1.

        Mean recall is not a count of images, so there is no tolerance for balanced classes.
        """
        if not self.keeps_last or self.balance != "none":
            return 0.0
        return (min(TOLERATED_IMAGES, images // 6) + 0.5) / images  # 0.5: against rounding

    @property
    def epochs(self) -> int:
        """Maximum number of epochs."""
        return len(self.sizes_px)

    def rate(self, epochs: float, drops: int = 0) -> float:
        """Return the head's learning rate after ``epochs``, a fractional number, if it was divided ``drops`` times."""
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
        """Number of epochs in the first cycle."""
        return self._spans()[0][1]

    def ends_after(self, epochs: int, best: int | None) -> bool:
        """Return whether a cycle ends after ``epochs`` without the epoch ``best``, the index of the one that would be kept."""
        return any(epochs == end and (best is None or best < begin) for begin, end in self._spans())

    def _spans(self) -> list[tuple[int, int]]:
        ends = list(accumulate(self.cycles or (self.epochs,)))
        return list(zip((0, *ends), ends, strict=False))


DROPS = 3
"""Number of divisions of the rate before a plateau ends the phase."""


def rate_drops(judged: Sequence[float], patience: int) -> int:
    """Return how often the rate is divided after epochs with these accuracies: once for ``patience`` epochs without a better."""
    best, since, drops = -1.0, 0, 0
    for top1 in judged:
        best, since = (top1, 0) if top1 > best else (best, since + 1)
        if since == patience:
            drops, since = drops + 1, 0
    return drops
