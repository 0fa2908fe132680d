"""Average precision without each image, and with one image answered like another, both exact, from one sort per label.

Without image j, the sum over the images with the label loses j's own term, and every term at or after j's rank counts one image
less. A wrong image costs a share of right answers 1 of n, and its interval allows for that before any is wrong. In mAP, one
image may count several times as much, so the largest exchange is searched.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import Doubles, LeaveOneOut


def average_precision(scores: NDArray[Any], has: NDArray[Any]) -> LeaveOneOut:
    """Average precision of one label: the mean precision down to the rank of each image that has it, 0…1.

    Args:
        scores: (images,), larger for more probable.
        has: (images,), which images have it; the result is NaN if none has it, and without the only one.

    Source of the definition: Manning, Raghavan and Schütze, Introduction to Information Retrieval, section 8.4.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], has[order].astype(np.float64)
    last = np.searchsorted(-ranked, -ranked, side="right")  # images at this rank or before
    first = np.searchsorted(-ranked, -ranked, side="left")
    positives_so_far = np.cumsum(right)[last - 1]
    terms = right * positives_so_far / last
    fewer = np.maximum(last - 1, 1)
    before = np.concatenate([[0.0], np.cumsum(terms)])[first]
    behind, lost = (_sums_to_end(right * factor / fewer)[first] for factor in (positives_so_far, np.ones_like(positives_so_far)))
    own = right * (positives_so_far - 1) / fewer
    positives = right.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.empty(len(order))
        without[order] = (before + behind - right * lost - own) / (positives - right)
        return LeaveOneOut(float(terms.sum() / positives) if positives else float("nan"), without)


def chance_precision(images: int, positives: int) -> float:
    """Expected average precision of a random ranking, 0…1.

    Each of the r - 1 images before an image at rank r has the label with its share; the formula is the mean over r. It equals
    the share of the label only if there are many images.
    """
    if images < 2:
        return 1.0
    harmonic = sum(1 / rank for rank in range(1, images + 1)) / images
    return harmonic + (positives - 1) / (images - 1) * (1 - harmonic)


def mean_average_precision(scores: NDArray[Any], has: NDArray[Any]) -> LeaveOneOut | None:
    """mAP over the labels that any image has; None if there are none. ``scores``, ``has``: (images, labels)."""
    by_label = [average_precision(scores[:, label], has[:, label]) for label in np.flatnonzero(has.any(axis=0))]
    if not by_label:
        return None
    without = np.stack([label.without for label in by_label])
    known = np.isfinite(without)
    mean = np.where(known, without, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return LeaveOneOut(float(np.mean([precision.estimate for precision in by_label])), mean)


def _sums_to_end(values: Doubles) -> Doubles:
    return np.cumsum(values[::-1])[::-1]


_DRAWS: Final = 4
"""Draws of another image for each."""


def images_that_count(scores: NDArray[Any], has: NDArray[Any]) -> float:
    """Number of images that count as much as one wrongly answered image: at most all of them.

    It is the number of images over the mean cost of such an answer, in n-ths, weighted by itself: for such a weight b the
    variance of a loss is at most b times its mean.

    Args:
        scores: (images, labels), larger for more probable, finite.
        has: (images, labels), which images have which labels; at least one image has one.
    """
    draws, costs = np.random.default_rng(0), list[Doubles]()
    rankings = [Ranked(scores[:, label], has[:, label]) for label in np.flatnonzero(has.any(axis=0))]
    for _ in range(_DRAWS):
        others = draws.permutation(len(scores))
        costs.append(np.mean([ranking.lost_as(others) for ranking in rankings], axis=0))
    lost = np.abs(np.concatenate(costs))
    worth = float((lost**2).sum() / lost.sum()) if lost.any() else 0.0
    return min(float(len(scores)), 1 / worth) if worth else float(len(scores))


class Ranked:
    """One label's images by score; images with equal scores keep their order."""

    def __init__(self, scores: NDArray[Any], has: NDArray[Any]) -> None:
        """``scores``, ``has``: (images,); at least one image has the label."""
        order = np.argsort(-scores, kind="stable")
        self.rank = np.empty(len(order), np.intp)
        ranks = np.arange(1, len(order) + 1)
        self.rank[order] = ranks
        self.has, right = has.astype(bool), has[order].astype(np.float64)
        self.found = np.concatenate([[0.0], np.cumsum(right)])
        positives, one_up = self.found[1:], np.maximum(ranks - 1, 1)
        self.terms = right * positives / ranks
        # what the terms of images between the two ranks become: one image less or more before them, with the label or without
        self.overtaken, self.overtaking = (
            _sums(right * positives / (ranks + 1) - self.terms),
            _sums(right * positives / one_up - self.terms),
        )
        self.joined, self.left = (
            _sums(right * (positives + 1) / (ranks + 1) - self.terms), _sums(right * (positives - 1) / one_up - self.terms)
        )  # fmt: skip

    def lost_as(self, others: NDArray[np.intp]) -> Doubles:
        """Average precision lost, (images,), if each image alone were answered like its counterpart, whose rank it takes."""
        here, there = self.rank, self.rank[others]
        down, up = there >= here, np.maximum(here - 1, 0)
        without = np.where(down, self.overtaking[there] - self.overtaking[here], self.overtaken[up] - self.overtaken[there - 1])
        own = np.where(down, self.found[there] / there, (self.found[there - 1] + 1) / there) - self.terms[here - 1]
        with_it = own + np.where(down, self.left[there] - self.left[here], self.joined[up] - self.joined[there - 1])
        moved = np.where(self.has, with_it, without)
        lost: Doubles = np.where(here == there, 0.0, -moved) / self.found[-1]
        return lost


def _sums(values: Doubles) -> Doubles:
    return np.concatenate([[0.0], np.cumsum(values)])
