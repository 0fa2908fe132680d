"""What training does when the recipe does not say: light, so that a plan can be printed without torch.

``training/beginning.py`` and ``training/beginning.py`` say what the figures mean there.
"""

from __future__ import annotations

from typing import Literal

from edgecnn.values.augmentation import Augmentation, Crop, Cutmix, Cutout, Flip, Mixup, RandAugment
from edgecnn.values.training import ScratchRecipe

Mode = Literal["finetune", "inherit", "scratch"]

SCRATCH_IMAGES = 29_600
"""Images shown in all to a network that starts from random weights: 8 passes over the demo, whose build then takes less than five
minutes on two slow cores."""
FINETUNE_IMAGES = 24_000
"""Images shown at most to a network that is fine-tuned: about 8 passes over 3,000 images."""


def default_epochs(mode: Mode, images: int) -> int:
    """Epochs for ``images`` training images: a fixed number of images shown, within bounds.

    Fine-tuning shows so many only while validation improves.
    """
    if mode == "finetune":
        return 4 * max(2, min(8, round(FINETUNE_IMAGES / max(images, 1) / 4)))
    return max(8, min(90, round(SCRATCH_IMAGES / max(images, 1))))


def default_learning_rate(mode: Mode, recipe: ScratchRecipe = "short", own_rate: float | None = None) -> float:
    """Peak rate: of the whole network from scratch; of a fine-tuned head, whose body learns at a tenth of it.

    ``recipe``: from random weights, by which recipe. ``own_rate``: the network's own for AdamW, of its row, where the usual one
    is too high for it. SGD begins where the ResNet paper does, or for such a network where AlexNet's and VGG's papers do.
    """
    if mode == "finetune":
        return 1e-3
    if recipe == "resnet":
        return 0.1 if own_rate is None else 0.01
    return own_rate or 4e-3


def default_batch_size(mode: Mode, recipe: ScratchRecipe = "short") -> int:
    """Images a step."""
    return 256 if mode != "finetune" and recipe == "resnet" else 64


def default_label_smoothing(mode: Mode, recipe: ScratchRecipe = "short") -> float:
    """Share of a label that is spread."""
    return 0.0 if mode != "finetune" and recipe == "resnet" else 0.1


def default_augmentation(mode: Mode, recipe: ScratchRecipe = "short") -> tuple[Augmentation, ...]:
    """Random crops and mirror images; from scratch, in few epochs, a crop covers more of the image (``training/beginning.py``).

    A modern training of many epochs varies more and mixes images (torchvision's reference recipe: mixup 0.2, cutmix 1.0).
    """
    if mode != "finetune" and recipe == "modern":
        return (Crop(area=(0.35, 1.0), aspect=1.33), Flip(), RandAugment(), Cutout(p=0.1), Mixup(p=0.5), Cutmix(p=0.5))
    return (Crop(area=(0.8 if (mode, recipe) == ("scratch", "short") else 0.6, 1.0)), Flip())
