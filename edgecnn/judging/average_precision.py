"""Average precision without each image, and with the ranks of two images exchanged, both exact, from one sort per label.

Without image j, the sum over the images with the label loses j's own term, and every term at or after j's rank counts one image
less. One wrong image of n costs top-1 a share of 1 / n, and Wilson's interval allows for this loss even if no image is wrong. In
mAP, one image may count several times as much, so exchanges of images are tried.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import Doubles, LeaveOneOut


def average_precision(scores: NDArray[Any], has: NDArray[Any]) -> LeaveOneOut:
    """Return the average precision of one label: the mean precision down to the rank of each image that has the label, 0…1.

    Args:
        scores: (images,), larger for more probable.
        has: (images,), which images have the label. The result is NaN if no image has it, and without the only image that has it.

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
    behind = np.cumsum((right * positives_so_far / fewer)[::-1])[::-1][first]
    lost = np.cumsum((right / fewer)[::-1])[::-1][first]
    own = right * (positives_so_far - 1) / fewer
    positives = right.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.empty(len(order))
        without[order] = (before + behind - right * lost - own) / (positives - right)
        return LeaveOneOut(float(terms.sum() / positives) if positives else float("nan"), without)


def chance_precision(images: int, positives: int) -> float:
    """Return the expected average precision of a random ranking, 0…1.

    Each of the r - 1 images before an image at rank r has the label with a probability equal to its share; the formula is the
    mean over r. It equals the share of the label only if there are many images.
    """
    if images < 2:
        return 1.0
    harmonic = sum(1 / rank for rank in range(1, images + 1)) / images
    return harmonic + (positives - 1) / (images - 1) * (1 - harmonic)


def mean_average_precision(scores: NDArray[Any], has: NDArray[Any]) -> LeaveOneOut | None:
    """Return mAP over the labels that any image has; None if there are none. ``scores``, ``has``: (images, labels)."""
    by_label = [average_precision(scores[:, label], has[:, label]) for label in np.flatnonzero(has.any(axis=0))]
    if not by_label:
        return None
    without = np.stack([label.without for label in by_label])
    known = np.isfinite(without)
    mean = np.where(known, without, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return LeaveOneOut(float(np.mean([precision.estimate for precision in by_label])), mean)


_DRAWS: Final = 4
"""Exchanges with a random other image that are tried per image."""


def images_that_count(scores: NDArray[Any], has: NDArray[Any]) -> float:
    """Return the number of images divided by the weight of one wrongly answered image, at most the number of images.

    The weight is the mean mAP lost by such an answer, in n-ths of n images, weighted by the loss itself. For a weight b, the
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
    """The images of one label, ranked by score; images with equal scores keep their order."""

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
        # Changes of the terms of images between two ranks: one image less or more before them, with the label or without it.
        self.overtaken, self.overtaking = (
            _sums(right * positives / (ranks + 1) - self.terms),
            _sums(right * positives / one_up - self.terms),
        )
        self.joined, self.left = (
            _sums(right * (positives + 1) / (ranks + 1) - self.terms), _sums(right * (positives - 1) / one_up - self.terms)
        )  # fmt: skip

    def lost_as(self, others: NDArray[np.intp]) -> Doubles:
        """Return the average precision lost, (images,), if each image alone took the rank of its counterpart."""
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
