"""From logits to agreement with the baseline network, where no label says which of the two is right."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgecnn.errors.gates import NoImages
from edgecnn.judging.accuracy import Answers, check_finite, check_same_pixels
from edgecnn.judging.intervals import wilson
from edgecnn.values.agreement import Agreement
from edgecnn.values.verdict import Interval

NO_LABELS = "the images have no labels, so that nothing says which answer is right"


def agreement(answers: Answers, split: Literal["choose", "report"], baseline: Answers | None = None) -> Agreement:
    """The share of images with the baseline network's first class.

    Args:
        answers: logits (images, classes).
        split: the role of these images.
        baseline: the fp32 network's answers to the same pixels; None for the baseline itself, which agrees by definition.

    Raises:
        NoImages: of zero images.
        LogitsNotFinite: where an answer holds NaN or infinity; names the candidate and the first such image.
        LogitsDoNotMatch: where the two are not about the same images and classes.
    """
    check_finite(answers.candidate, answers.logits)
    same: Interval | None = Interval(estimate=1.0, low=1.0, high=1.0, confidence=1.0)
    if baseline is not None:
        check_finite(baseline.candidate, baseline.logits)
        check_same_pixels(answers, baseline)
        alike = answers.logits.argmax(axis=1) == baseline.logits.argmax(axis=1)
        same = wilson(int(np.count_nonzero(alike)), len(alike))
    if same is None or not len(answers.logits):
        raise NoImages(candidate=answers.candidate, split=split)
    return Agreement(
        split=split,
        images=len(answers.logits),
        same=same,
        fidelity=answers.fidelity,
        machine=answers.machine,
        pixels=answers.pixels,
    )
