"""What training does when the recipe does not say: light, so that a plan can be printed without torch.

``training/scratch.py`` and ``training/finetune.py`` say what the figures mean there.
"""

from __future__ import annotations

from typing import Literal

from edgecnn.values.augmentation import Augmentation, Crop, Flip

Mode = Literal["finetune", "scratch"]

SCRATCH_IMAGES = 29_600
"""Images shown in all to a network that starts from random weights: 8 passes over the demo, whose build then takes less than five
minutes on two slow cores."""
FINETUNE_EPOCHS = 2
"""Passes of the whole network after its head was trained on frozen features."""

PLAIN_RATE = 5e-4
"""Peak rate from random weights where nothing is normalized."""


def default_epochs(mode: Mode, images: int) -> int:
    """Epochs for ``images`` training images: a fixed number of images shown from scratch, few passes when fine-tuning."""
    if mode == "finetune":
        return FINETUNE_EPOCHS
    return max(8, min(90, round(SCRATCH_IMAGES / max(images, 1))))


def default_learning_rate(mode: Mode, *, batch_norm: bool = True) -> float:
    """Peak rate of AdamW: of the whole network from scratch; of a fine-tuned head, whose body learns at a tenth of it.

    From scratch a network without batch norm takes ``PLAIN_RATE``.
    """
    if mode == "finetune":
        return 1e-3
    return 4e-3 if batch_norm else PLAIN_RATE


def default_augmentation(mode: Mode) -> tuple[Augmentation, ...]:
    """Random crops and mirror images; from scratch, in few epochs, a crop covers more of the image (``training/scratch.py``)."""
    return (Crop(area=(0.8 if mode == "scratch" else 0.6, 1.0)), Flip())
