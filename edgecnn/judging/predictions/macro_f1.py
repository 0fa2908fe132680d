"""Macro-F1 with an interval: every class counts the same, so the few images of a small class decide how much is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE
from edgecnn.judging.predictions.independent_images import LeaveOneOut, two_centre_interval
from edgecnn.values.verdict import Interval


@dataclass(frozen=True, eq=False)
class ByClass:
    """Counts of each class, int64 (classes,)."""

    images: NDArray[np.int64]
    right: NDArray[np.int64]
    named: NDArray[np.int64]
    """How many images got its name, rightly or not."""

    @property
    def f1(self) -> NDArray[np.float64]:
        """2 right / (images + named); 0 where nothing is either."""
        found: NDArray[np.float64] = 2 * self.right / np.maximum(self.images + self.named, 1)
        return found


def by_class(labels: NDArray[Any], predicted: NDArray[np.intp], classes: int) -> ByClass:
    """Count images (images,) by true and by predicted class."""
    return ByClass(
        images=np.bincount(labels, minlength=classes),
        right=np.bincount(labels[labels == predicted], minlength=classes),
        named=np.bincount(predicted, minlength=classes),
    )


def macro_f1(
    labels: NDArray[Any], predicted: NDArray[np.intp], counts: ByClass, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> Interval | None:
    """The mean F1 over the classes that have images, 0…1; None of no images.

    A class without images has no recall, hence no F1; an answer that names it is still an error of the class it takes from.

    Variance and bias are the jackknife's: what the mean would be without each image. (At 20 images a class the mean comes out
    half a point too low.) Small classes in which no error was seen would make the images worth too many independent ones, so that
    they are worth at most the number at which every class errs alike.
    """
    present = counts.images > 0
    if not present.any():
        return None
    classes = int(present.sum())
    estimate = float(counts.f1[present].sum()) / classes
    mean = LeaveOneOut(estimate, estimate + _without_each(labels, predicted, counts) / classes)
    alike = classes * classes / float((1 / counts.images[present]).sum())
    return two_centre_interval(mean, alike, None, confidence)


def _without_each(labels: NDArray[Any], predicted: NDArray[np.intp], counts: ByClass) -> NDArray[np.float64]:
    """How much the sum of F1 over the classes with images would change without each image."""
    both = counts.images + counts.named
    f1 = np.where(counts.images > 0, counts.f1, 0.0)
    hit = 2 * np.maximum(counts.right - 1, 0) / np.maximum(both - 2, 1) - f1
    miss = np.where(counts.images > 0, 2 * counts.right / np.maximum(both - 1, 1), 0.0) - f1
    change: NDArray[np.float64] = np.where(labels == predicted, hit[labels], miss[labels] + miss[predicted])
    return change
