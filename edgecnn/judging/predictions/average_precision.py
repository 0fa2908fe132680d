"""Average precision, and what it would be without each image: exactly, from one sorting of a label's scores.

Without image j the sum over the images that have the label loses j's own term, and every term at or behind j's rank counts one
image less. Both come out of sums from the front and from the back, so that all of the delete-one jackknife costs as much as one
average precision. Images with the same score are at the same rank, the last one's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.predictions.independent_images import Doubles, LeaveOneOut


def average_precision(scores: NDArray[Any], has: NDArray[Any]) -> LeaveOneOut:
    """Of one label: the mean, over the images that have it, of the precision down to each one's rank, 0…1.

    Args:
        scores: (images,), larger for more probable.
        has: (images,), which have it; NaN is answered where none has, and where the only one is left out.

    Source of the definition: Manning, Raghavan and Schütze, Introduction to Information Retrieval, section 8.4.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], has[order].astype(np.float64)
    last = np.searchsorted(-ranked, -ranked, side="right")  # images at this rank or before
    first = np.searchsorted(-ranked, -ranked, side="left")
    found = np.cumsum(right)[last - 1]
    terms = right * found / last
    fewer = np.maximum(last - 1, 1)
    before = np.concatenate([[0.0], np.cumsum(terms)])[first]
    behind, lost = (_from_here(right * each / fewer)[first] for each in (found, np.ones_like(found)))
    own = right * (found - 1) / fewer
    positives = right.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.empty(len(order))
        without[order] = (before + behind - right * lost - own) / (positives - right)
        return LeaveOneOut(float(terms.sum() / positives) if positives else float("nan"), without)


def at_random(images: int, positives: int) -> float:
    """The average precision that ranking the images at random is expected to reach, 0…1.

    Of the image at rank r that has the label, the r - 1 before it have it by their share; the mean over r is the formula. It is
    the label's share of the images only where there are many.
    """
    if images < 2:
        return 1.0
    harmonic = sum(1 / rank for rank in range(1, images + 1)) / images
    return harmonic + (positives - 1) / (images - 1) * (1 - harmonic)


def mean_average_precision(scores: NDArray[Any], has: NDArray[Any]) -> LeaveOneOut | None:
    """Over the labels that an image has at all; None where none has any. ``scores``, ``has``: (images, labels)."""
    found = [average_precision(scores[:, label], has[:, label]) for label in np.flatnonzero(has.any(axis=0))]
    if not found:
        return None
    without = np.stack([each.without for each in found])
    known = np.isfinite(without)
    mean = np.where(known, without, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return LeaveOneOut(float(np.mean([each.estimate for each in found])), mean)


def _from_here(values: Doubles) -> Doubles:
    return np.cumsum(values[::-1])[::-1]
