"""How far a network's confidence is from its accuracy, with an interval that knows that the usual estimate is too high.

The estimate adds up absolute differences, to which chance alone adds: a perfectly calibrated network shows 4 % on 1,000 images.
A bootstrap adds that a second time. Both bounds here follow from the differences by bin being means over images.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, two_sided_z
from edgecnn.values.verdict import Interval

BINS = 15
"""Of equal width over 0…1, closed above: as in Guo et al., which most published figures follow."""


def calibration_error(
    confidences: NDArray[np.float64], right: NDArray[Any], confidence: float = NON_INFERIORITY_CONFIDENCE
) -> Interval | None:
    """The expected calibration error of the first answer over 15 bins, 0…1; None of no images.

    With d the differences confidence - accuracy by bin, weighted by share of images, the error is Σ|d| = s·d for the true signs
    s. Above: s·d is at most the estimate plus s·(d - d̂), whose variance is at most the mean squared residual, whatever s is.
    Below: chance adds at most Σ|d̂ - d|, of which mean and spread are subtracted. Both allow for wrong answers too rare to have
    been seen, as Wilson's interval does. What is bounded is the error over these bins; inside a bin, errors may still cancel.

    Args:
        confidences: the largest softmax probability of each image, 0…1.
        right: whether each first answer is right.
        confidence: two-sided; each bound errs at most half of the rest.

    Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 2.
    """
    images = len(confidences)
    if images < 1:
        return None
    residual = confidences - right
    bins = np.clip(np.ceil(confidences * BINS).astype(np.intp) - 1, 0, BINS - 1)
    estimate = float(np.abs(np.bincount(bins, residual, BINS)).sum()) / images
    squares = np.bincount(bins, residual * residual, BINS)
    z = two_sided_z(confidence)
    spread = z * math.sqrt(float(squares.sum()) + z * z / 4) / images
    by_chance = float(np.sqrt(2 / math.pi * squares).sum()) / images
    low = max(0.0, estimate - by_chance - spread)
    high = min(1.0, estimate + z * z / 2 / images + spread)
    return Interval(estimate=estimate, low=low, high=high, confidence=confidence)
