"""How much of a pretrained network is learned anew: what was asked, what was measured, and what that came to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgecnn.values.base import Value

Transfer = Literal["head", "last", "all", "scratch"]
"""head: the last layer alone. last: the last third of the block groups too. all: every layer. scratch: nothing is kept."""
AskedTransfer = Literal["auto", "head", "last", "all", "scratch"]

HeadKind = Literal["linear", "svm", "softmax", "knn"]
"""linear: learned by descent, and then fine-tuned on. The others are fitted: linear SVM, softmax regression, neighbours."""

Unfreezing = Literal["all", "groups"]
"""all: whatever is fine-tuned learns from the first epoch on. groups: the last groups of blocks first, then those before."""

ScratchRecipe = Literal["short", "resnet", "modern"]
"""short: for few images and minutes. resnet: the ResNet paper's. modern: cosine, warm-up, label smoothing, an average, mixing."""


class TransferChoice(Value):
    """``transfer.json``: what was measured on the training images, and the choice that follows from it."""

    schema_: Literal["edgecnn.transfer/1"] = Field(default="edgecnn.transfer/1", alias="schema")
    chosen: Transfer
    sentence: str
    """The choice with its figures."""
    classes: PositiveInt
    images: PositiveInt
    images_per_class: float
    """The median over classes."""
    smallest_class: PositiveInt
    probed_images: PositiveInt
    folds: PositiveInt
    probe_top1: float
    """Cross-validated accuracy of softmax regression on the frozen features, 0…1."""
    largest_class_share: float
    """Accuracy of always naming the largest class, 0…1."""
    similarity: float
    """How far the probe gets from there to perfect: 0 or less is no use, 1 is perfect."""
    seed: NonNegativeInt
