"""A phase of training as a value: how long, how fast, at which sizes. ``loop.py`` carries any of them out."""

from __future__ import annotations

import math

from edgecnn.values.augmentation import Augmentation
from edgecnn.values.base import Value


class Phase(Value):
    """Training of a whole network by AdamW under a one-cycle rate."""

    name: str
    sizes_px: tuple[int, ...]
    """Side of the images shown, an entry an epoch; never decreasing."""
    shipped_px: int
    """``choose`` is looked at in epochs of this size alone."""
    batch_size: int
    peak_rate: float
    body_share: float = 1.0
    """Rate of everything but the head, as a share of the head's."""
    warmup_share: float
    """Share of all steps over which the rate rises to its peak; from there it falls to zero along a cosine."""
    weight_decay: float
    label_smoothing: float
    augment: tuple[Augmentation, ...]
    """What is done to the images at random, in this order."""
    average_decay: float
    """Of the running average of the weights, a step; the average is what is judged and kept."""
    frozen_statistics: bool
    """Batch-norm layers keep the means and variances that they came with."""
    patience: int
    seed: int
    auxiliary_weight: float = 0.0
    """Of the loss of each auxiliary answer that a network gives while it learns."""
    told_as: str = "train"
    """What progress is reported under."""
    rate_setting: str = "train.learning_rate"
    """The recipe's key of the peak rate: what to lower where the loss is no number any more."""

    @property
    def epochs(self) -> int:
        """How many at most."""
        return len(self.sizes_px)

    def rate(self, progress: float) -> float:
        """The head's rate when ``progress`` (0…1) of all steps are done."""
        if progress < self.warmup_share:
            return self.peak_rate * (0.05 + 0.95 * progress / self.warmup_share)
        after = (progress - self.warmup_share) / (1 - self.warmup_share)
        return self.peak_rate * 0.5 * (1 + math.cos(math.pi * after))
