"""From logits to what each image was answered. Everything later is counts over images, so only this reads 50 million numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOGITS_AT_ONCE = 1 << 20
"""Blocks of 4 MiB, so that what is computed from one stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One value for each image."""

    predicted: NDArray[np.intp]
    """The class with the largest logit; of equal ones the first."""
    place: NDArray[np.intp]
    """How many classes stand before the right one, 0 where the answer is right. Equal logits, which INT8 often gives, stand in
    the order of their classes: the rule by which one of them was ``predicted``."""
    confidence: NDArray[np.float64]
    """The largest softmax probability, 0…1."""


def read_logits(logits: NDArray[Any], labels: NDArray[Any]) -> Reading:
    """Read finite logits (images, classes) against class indices (images,)."""
    images, classes = logits.shape
    predicted, place = np.empty(images, np.intp), np.empty(images, np.intp)
    confidence = np.empty(images, np.float64)
    order = np.arange(classes)
    rows = max(1, LOGITS_AT_ONCE // classes)
    for start in range(0, images, rows):
        part = slice(start, start + rows)
        block, label = logits[part], labels[part, None]
        own = np.take_along_axis(block, label, axis=1)
        predicted[part] = block.argmax(axis=1)
        before = (block > own) | ((block == own) & (order < label))
        place[part] = np.count_nonzero(before, axis=1)
        with np.errstate(over="ignore"):  # a difference beyond float32 is minus infinity, of which the exponential is rightly 0
            shares = np.exp(block - block.max(axis=1, keepdims=True))
        confidence[part] = 1 / shares.sum(axis=1, dtype=np.float64)
    return Reading(predicted=predicted, place=place, confidence=confidence)
