"""Quality beyond top-1, from the same logits: top-5, macro-F1, calibration, agreement, and each class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors.gates import LOGITS_DO_NOT_MATCH, NO_IMAGES
from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, two_sided_z
from edgecnn.judging.predictions.accuracy import Answers, check_answers, check_same_pixels, share_of
from edgecnn.judging.predictions.classes import Pairs, adjusted_reports, class_counts, class_report, macro_f1
from edgecnn.judging.predictions.logits import read_logits
from edgecnn.values.figures import Accuracy, Quality
from edgecnn.values.verdict import Interval

CLASSES_FOR_TOP5 = 6
"""With five classes, every answer is among the first five."""


def quality(
    answers: Answers,
    labels: NDArray[Any],
    names: Sequence[str],
    baseline: Answers | None = None,
    folds: NDArray[np.intp] | None = None,
) -> Quality:
    """Return the quality of one candidate on the test split beyond top-1.

    Args:
        answers: logits (images, classes).
        labels: class indices (images,), integers.
        names: of the classes, in the order of the logits.
        baseline: the fp32 baseline network's outputs for the same pixels; None for the baseline itself, and without one.
        folds: fold of each image's network, (images,); None for one network.

    Raises:
        NO_IMAGES, ONE_CLASS_ANSWERED, LogitsNotFinite, LOGITS_DO_NOT_MATCH: as ``accuracy`` does, and if the number of names
            differs from the number of classes.
    """
    check_answers(answers, labels)
    classes = answers.logits.shape[1]
    if len(names) != classes:
        raise LOGITS_DO_NOT_MATCH(candidate=answers.candidate, ours=f"logits of {classes} classes", theirs=f"{len(names)} names")
    reading = read_logits(answers.logits, labels)
    counts = class_counts(labels, reading.predicted, classes)
    f1 = macro_f1(labels, reading.predicted, counts)
    ece = calibration_error(reading.confidence, reading.place == 0)
    if f1 is None or ece is None:
        raise NO_IMAGES(candidate=answers.candidate, split="test")
    theirs = _first_answers(baseline, answers, labels)
    pairs = Pairs(labels, reading.place == 0, None if theirs is None else theirs == labels, answers.groups, folds)
    top5 = share_of(reading.place < 5, answers.groups) if classes >= CLASSES_FOR_TOP5 else None
    absent: dict[str, str] = {}
    if top5 is None:
        absent["top5"] = f"there are {classes} classes, so each is among the first five"
    if theirs is None:
        absent["agreement"] = "there is no baseline network to agree with"
    return Quality(
        top5=top5,
        macro_f1=f1,
        ece=ece,
        agreement=None if theirs is None else share_of(reading.predicted == theirs, answers.groups),
        classes=class_report(names, counts, pairs),
        absent=absent,
    )


def adjusted_over_candidates(tests: Mapping[str, Accuracy | None]) -> dict[str, Accuracy | None]:
    """Return the accuracies of a build's candidates with class losses shown over all candidates together.

    The report names a loss of any candidate, so each candidate is a chance for a false one.
    """
    known = [(name, test, test.quality) for name, test in tests.items() if test is not None and test.quality is not None]
    reports = adjusted_reports([figures.classes for _, _, figures in known])
    adjusted = {
        name: test.model_copy(update={"quality": figures.model_copy(update={"classes": report})})
        for (name, test, figures), report in zip(known, reports, strict=True)
    }
    return {**tests, **adjusted}


def _first_answers(baseline: Answers | None, answers: Answers, labels: NDArray[Any]) -> NDArray[np.intp] | None:
    if baseline is None:
        return None
    check_answers(baseline, labels)
    check_same_pixels(answers, baseline)
    first: NDArray[np.intp] = baseline.logits.argmax(axis=1)
    return first


BINS = 15
"""Bins of equal width over 0…1, closed above, as in Guo et al. and most published figures."""


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
