"""From logits to predictions: one class, or the labels above their thresholds; and the choice of thresholds.

Large test sets have 50 million logits. Only this module reads all of them; later code counts images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOGITS_AT_ONCE = 1 << 20
"""Blocks of 4 MiB, so that intermediate results stay in the CPU's cache."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One value per image."""

    predicted: NDArray[np.intp]
    """The class with the largest logit; the first of equal ones."""
    place: NDArray[np.intp]
    """Number of classes ranked before the right class, 0 if the prediction is right. Equal logits, which INT8 often gives, are
    ranked by class, as for ``predicted``."""
    confidence: NDArray[np.float64]
    """The largest softmax probability, 0…1."""


def read_logits(logits: NDArray[Any], labels: NDArray[Any]) -> Reading:
    """Return the predictions of finite logits (images, classes), compared with class indices (images,)."""
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
        with np.errstate(over="ignore"):  # a difference beyond float32 becomes minus infinity, whose exponential is 0
            shares = np.exp(block - block.max(axis=1, keepdims=True))
        confidence[part] = 1 / shares.sum(axis=1, dtype=np.float64)
    return Reading(predicted=predicted, place=place, confidence=confidence)


UNCHOSEN = 0.5
"""Threshold of a label that no image has."""


def labels_over(logits: NDArray[Any], thresholds: Mapping[str, float]) -> NDArray[np.bool_]:
    """Return which labels each image gets, bool (images, labels): those whose probability reaches the threshold."""
    reached: NDArray[np.bool_] = probabilities(logits) >= np.array(list(thresholds.values()))
    return reached


def same_labels(logits: NDArray[Any], others: NDArray[Any], thresholds: Mapping[str, float]) -> NDArray[np.bool_]:
    """Return which images get exactly the same labels from both, bool (images,). ``logits``, ``others``: (images, labels)."""
    same: NDArray[np.bool_] = (labels_over(logits, thresholds) == labels_over(others, thresholds)).all(axis=1)
    return same


def probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the logistic function of logits, computed as in the runner, float64 0…1."""
    held = np.asarray(logits, np.float64)
    shares: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(held, -700.0, 700.0)))
    return shares


def best_thresholds(logits: NDArray[Any], labels: NDArray[Any], names: Sequence[str]) -> dict[str, float]:
    """Return the threshold with the largest F1 on these images for each label, 0…1, to four digits; 0.5 if no image has it.

    A threshold is midway between two neighbouring probabilities. Of several equally good thresholds, the nearest to 0.5 is taken,
    then the lower.

    Args:
        logits: float (images, labels).
        labels: uint8 (images, labels).
        names: of the labels.
    """
    shares = probabilities(logits)
    return {name: _best_threshold(shares[:, place], labels[:, place].astype(bool)) for place, name in enumerate(names)}


def _rounded(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to four decimals, or to more near 0 and 1: a rare label's best threshold may be 0.00001."""
    within = shares[(shares > 0) & (shares < 1)]
    decimals = 3 - np.floor(np.log10(np.minimum(within, 1 - within))).astype(int)
    rounded = np.array([round(float(share), max(4, int(places))) for share, places in zip(within, decimals, strict=True)])
    return rounded[(rounded > 0) & (rounded < 1)]


def _best_threshold(shares: NDArray[np.float64], has: NDArray[np.bool_]) -> float:
    if not has.any():
        return UNCHOSEN
    distinct = np.unique(shares)
    middles = np.unique(_rounded(np.concatenate([[0.5], (distinct[1:] + distinct[:-1]) / 2])))
    order = np.sort(shares)
    right = np.sort(shares[has])
    predicted = len(order) - np.searchsorted(order, middles, side="left")
    hits = len(right) - np.searchsorted(right, middles, side="left")
    f1 = np.round(2 * hits / (predicted + len(right)), 12)
    best = middles[f1 == f1.max()]
    return float(min(best, key=lambda threshold: (round(abs(threshold - 0.5), 6), threshold)))
