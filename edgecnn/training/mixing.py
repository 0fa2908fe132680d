"""Pictures and labels of a batch mixed with each other, by torchvision's own mixup and cutmix."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms import v2

from edgecnn.training.augment import EpochDraw
from edgecnn.values.augmentation import Cutmix, Mixup


class Batch(NamedTuple):
    """What a step learns from."""

    images: Tensor
    """float32 (n, 3, H, W)."""
    labels: Tensor
    """int64 (n,), or where pictures are mixed float32 (n, classes), the shares of each class."""


def neighbours(draw: EpochDraw, position: int) -> int:
    """How many images before one it may be mixed with, one after another: as many as rows of the list mix this batch."""
    rows = zip(draw.augment, draw.drawn, strict=True)
    return sum(isinstance(asked, (Mixup, Cutmix)) and bool(drawn["applied"][position]) for asked, drawn in rows)


def mixed(batch: Batch, draw: EpochDraw, position: int, classes: int) -> Batch:
    """The batch as the draw mixes it; itself where the list asks for no mixing.

    Each picture is mixed with the one before it: the order of an epoch is drawn already. A batch of one has no other.

    Args:
        batch: labels int64 (n,).
        draw: of this epoch.
        position: whose draws decide for the whole batch: its first image's.
        classes: how many there are.
    """
    images, labels = batch
    for asked, drawn in zip(draw.augment, draw.drawn, strict=True):
        if not isinstance(asked, (Mixup, Cutmix)) or len(images) < 2 or not drawn["applied"][position]:
            continue
        operation = (v2.MixUp if isinstance(asked, Mixup) else v2.CutMix)(alpha=asked.alpha, num_classes=classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(drawn["seed"][position]))
            if labels.ndim == 1:
                images, labels = operation(images, labels)
            else:
                operation = type(operation)(alpha=asked.alpha)
                images, labels = operation(images, labels)
    return Batch(images.contiguous(memory_format=torch.channels_last), labels)
