"""How well a linear classifier does on frozen features, by cross-validation: what ImageNet's features know of these classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edgecnn.errors.training import ClassTooSmall

FOLDS = 5
PROBED = 1500
"""Images at most, spread evenly over classes: more would cost time, and settle no choice."""
_STRENGTH = 0.01
"""Inverse weight of the penalty; features are many and images are few."""


class Probe(NamedTuple):
    """What a probe found."""

    top1: float
    largest_share: float
    images: int
    folds: int


def probe(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: Sequence[str], seed: int) -> Probe:
    """Cross-validate softmax regression on ``features`` (N, F).

    A class with fewer images than ``FOLDS`` lowers the number of folds to its own.

    Raises:
        ClassTooSmall: a class has one image or none: it cannot be both learned and tried.
    """
    counts = np.bincount(labels, minlength=len(classes))
    smallest = int(counts.argmin())
    folds = min(FOLDS, int(counts[smallest]))
    if folds < 2:
        raise ClassTooSmall(name=classes[smallest], images=int(counts[smallest]))
    share = max(FOLDS, PROBED // len(classes))
    kept = np.sort(np.concatenate([np.flatnonzero(labels == label)[:share] for label in range(len(classes))]))
    right = cross_val_score(
        make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=200)),
        features[kept],
        labels[kept],
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32),
        scoring="accuracy",
    )
    of_kept = np.bincount(labels[kept])
    return Probe(float(right.mean()), float(of_kept.max() / len(kept)), len(kept), folds)
