"""Data size × similarity → what is learned anew. Pure: figures in, a choice and its sentence out.

The four corners are those that courses teach (Stanford's CS231n notes, "Transfer Learning": few images that resemble ImageNet: a
linear classifier on the last features; few that do not: one on earlier layers; many: fine-tune; many that do not: from scratch
may serve as well). Where a corner ends is ours: see the constants.
"""

from __future__ import annotations

from edgecnn.values.transfer import Transfer

FEW = 50
"""Images a class (median) under which fine-tuning every layer would fit them by heart."""
MANY = 1000
"""Images a class from which a network can be learned from nothing: ImageNet's own classes have about 1,300."""
SIMILAR = 0.6
"""Share of the way from the largest class to perfect that a linear probe gets where the features serve as they are."""
FAR = 0.3
"""Share under which they hardly serve at all."""


def choose(images_per_class: float, similarity: float) -> tuple[Transfer, str]:
    """The choice, and why in a clause.

    Args:
        images_per_class: the median over classes.
        similarity: how far a linear probe on frozen features gets from the largest class's share to 1.
    """
    if images_per_class < FEW:
        if similarity >= SIMILAR:
            return "head", f"under {FEW} images a class, whose classes the features tell apart already"
        return "last", f"under {FEW} images a class, whose classes the last features do not tell apart well"
    if images_per_class >= MANY and similarity < FAR:
        return "scratch", f"at least {MANY:,} images a class, whose classes the features hardly tell apart"
    return "all", f"at least {FEW} images a class, enough for every layer to adapt"
