"""Classes of unequal size, made to count alike where a recipe asks for it: in the loss, or in how often images are shown.

Either way the mean over an epoch is what it would be of classes of one size. Weights show every image once and count a rare one
more; sampling shows rare ones again, cropped and mirrored anew each time, and leaves some of the frequent ones out of an epoch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from edgecnn.values.training import Balance

_STREAM = 0x62616C  # of numbers of its own, so that what is drawn elsewhere stays as it is


def class_weights(labels: npt.NDArray[np.int64], classes: int, balance: Balance) -> Tensor | None:
    """What the loss of an image of each class counts, or None where all count alike.

    N / (K · n), n the images of the class: the mean over all images is 1, so that learning rates keep their meaning. (It is
    scikit-learn's ``class_weight="balanced"``.)

    Returns float32 (classes,); 0 for a class without an image.
    """
    if balance != "weights":
        return None
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts > 0, len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights.astype(np.float32))


def images_shown(labels: npt.NDArray[np.int64], balance: Balance, seed: int) -> npt.NDArray[np.int64]:
    """Which image each of an epoch's N places shows: its own, or with sampling each class as often as any other, to within one.

    A class that is shown more often than it has images goes through all of them before one comes again.

    Returns (N,) positions of images.
    """
    places = np.arange(len(labels), dtype=np.int64)
    if balance != "sampling":
        return places
    random = np.random.Generator(np.random.Philox([seed, _STREAM]))
    classes = random.permutation(np.unique(labels))  # which classes get one place more differs from epoch to epoch
    shares = [len(places[turn :: len(classes)]) for turn in range(len(classes))]
    shown = [_cycled(np.flatnonzero(labels == label), share, random) for label, share in zip(classes, shares, strict=True)]
    return np.concatenate(shown)


def label_loss(logits: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float) -> Tensor:
    """Mean cross-entropy in nats of logits (n, classes) from labels (n,), or from shares of classes (n, classes) of mixed images.

    ``weights`` (classes,) says what an image counts; one that is mixed counts by its shares.
    """
    if weights is None:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    each = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    return (each * (weights[labels] if labels.ndim == 1 else labels @ weights)).mean()


def multi_label_loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Mean binary cross-entropy in nats of logits (n, labels) from what images have, float32 (n, labels), 0…1.

    Smoothed, a label is a little of both: a share ``label_smoothing`` of it is spread over having it and not.
    """
    wanted = labels * (1 - label_smoothing) + label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, wanted)


def _cycled(members: npt.NDArray[np.int64], count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    rounds = [random.permutation(members) for _ in range(-(-count // len(members)))]
    return np.concatenate(rounds)[:count]
