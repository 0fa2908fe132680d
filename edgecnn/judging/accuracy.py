"""Accuracy from logits, paired image by image with the baseline network.

The pairing makes a small drop visible: two networks that disagree on 2 % of the images are compared on those 2 %, not through
two intervals of ± 2 points each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors.gates import (
    LOGITS_DO_NOT_MATCH,
    NO_IMAGES,
    ONE_CLASS_ANSWERED,
    logits_not_finite,
)
from edgecnn.judging.intervals import (
    ACCURACY_CONFIDENCE,
    NON_INFERIORITY_CONFIDENCE,
    Groups,
    Worth,
    drop_interval_pp,
    group_effect,
    independent_at_most,
    paired_group_effect,
    sample_worth,
    share_interval,
)
from edgecnn.judging.logits import same_labels
from edgecnn.values.figures import Accuracy, Agreement
from edgecnn.values.figures import Groups as GroupEffects
from edgecnn.values.verdict import Fidelity, Interval


@dataclass(frozen=True, eq=False)
class Answers:
    """Outputs of one kit for one array of pixels."""

    candidate: str
    logits: NDArray[np.float32]
    """(images, classes)"""
    pixels: str
    """Content digest of the pixels."""
    machine: str
    fidelity: Fidelity = Fidelity.MEASURED
    groups: Groups | None = None
    """Group of each image, (images,); None if they are independent."""


def accuracy(
    answers: Answers, labels: NDArray[Any], split: Literal["validation", "test"], baseline: Answers | None = None
) -> Accuracy:
    """Return top-1 of outputs, and their drop against the baseline network.

    Args:
        answers: logits (images, classes).
        labels: class indices (images,), integers.
        split: the role of these images.
        baseline: the fp32 baseline network's outputs for the same pixels; None for the baseline itself.

    Raises:
        NO_IMAGES: there are no images.
        ONE_CLASS_ANSWERED: there is only one class.
        LogitsNotFinite: an output is NaN or infinite; names the candidate and the first such image.
        LOGITS_DO_NOT_MATCH: logits, labels and baseline have different images or classes.
    """
    right = answered_right(answers, labels)
    if (top1 := share_right(right, answers.groups)) is None:
        raise NO_IMAGES(candidate=answers.candidate, split=split)
    alone = Accuracy(
        split=split,
        images=len(right),
        top1=top1,
        groups=_effects(right, right, answers.groups),
        drop_pp=None,
        discordant=None,
        fidelity=answers.fidelity,
        machine=answers.machine,
        pixels=answers.pixels,
    )
    if baseline is None:
        return alone
    check_same_pixels(answers, baseline)
    theirs = answered_right(baseline, labels)
    lost, gained = int((theirs & ~right).sum()), int((right & ~theirs).sum())
    return alone.model_copy(
        update={
            "groups": _effects(right, theirs, answers.groups),
            "drop_pp": difference_pp(theirs, right, answers.groups),
            "discordant": lost + gained,
            "lost": lost,
            "gained": gained,
        }
    )


def share_of(true: NDArray[np.bool_], groups: Groups | None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> Interval | None:
    """Return the share of true values, bool (images,), 0…1; None without images."""
    return share_interval(int(true.sum()), len(true), sample_worth(true, groups, confidence), confidence)


def _effects(right: NDArray[np.bool_], theirs: NDArray[np.bool_], groups: Groups | None) -> GroupEffects | None:
    if groups is None:
        return None
    top1 = group_effect(right, groups, ACCURACY_CONFIDENCE)
    return GroupEffects(
        groups=len(np.unique(groups)),
        independent=independent_at_most(groups),
        top1_effect=top1,
        drop_effect=paired_group_effect(theirs, right, groups),
    )


def check_answers(answers: Answers, labels: NDArray[Any]) -> None:
    """Refuse outputs unless they hold one number per class, of at least two, for each labelled image.

    Raises:
        ONE_CLASS_ANSWERED, LogitsNotFinite, LOGITS_DO_NOT_MATCH: see ``accuracy``.
    """
    logits = answers.logits
    if logits.ndim != 2 or labels.ndim != 1 or len(logits) != len(labels):
        raise LOGITS_DO_NOT_MATCH(
            candidate=answers.candidate, ours=f"logits of shape {logits.shape}", theirs=f"labels of shape {labels.shape}"
        )
    if logits.shape[1] < 2:
        raise ONE_CLASS_ANSWERED(candidate=answers.candidate, classes=logits.shape[1])
    if len(labels) and (labels.min() < 0 or labels.max() >= logits.shape[1]):
        ours, theirs = f"logits of {logits.shape[1]} classes", f"labels {labels.min()} to {labels.max()}"
        raise LOGITS_DO_NOT_MATCH(candidate=answers.candidate, ours=ours, theirs=theirs)
    check_finite(answers.candidate, logits)


def check_finite(candidate: str, logits: NDArray[Any]) -> None:
    """Refuse logits (images, classes) that are not finite.

    Raises:
        LogitsNotFinite: names the candidate and the first such image.
    """
    finite = np.isfinite(logits)
    if finite.all():
        return
    bad = ~finite.all(axis=1)
    image = int(bad.argmax())
    value = float(logits[image][~finite[image]][0])
    raise logits_not_finite(candidate=candidate, image=image, value=value, bad=(int(bad.sum()), len(logits)))


def check_same_pixels(ours: Answers, theirs: Answers) -> None:
    """Refuse to pair outputs for different pixels or classes.

    Raises:
        LOGITS_DO_NOT_MATCH: names both candidates, and both digests or shapes.
    """
    if ours.pixels != theirs.pixels:
        raise LOGITS_DO_NOT_MATCH(
            candidate=ours.candidate,
            ours=f"answers to pixels {ours.pixels[:12]}",
            theirs=f"those of {theirs.candidate} to pixels {theirs.pixels[:12]}",
        )
    if ours.logits.shape != theirs.logits.shape:
        mine, other = f"logits of shape {ours.logits.shape}", f"those of {theirs.candidate} of shape {theirs.logits.shape}"
        raise LOGITS_DO_NOT_MATCH(candidate=ours.candidate, ours=mine, theirs=other)


def answered_right(answers: Answers, labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which predictions are right, bool (images,). Raises as ``check_answers`` does."""
    check_answers(answers, labels)
    right: NDArray[np.bool_] = answers.logits.argmax(axis=1) == labels
    return right


def share_right(right: NDArray[np.bool_], groups: Groups | None = None) -> Interval | None:
    """Return top-1, 0…1, of right predictions, bool (images,); None without images. ``groups``: (images,)."""
    return share_of(right, groups, ACCURACY_CONFIDENCE)


def difference_pp(better: NDArray[np.bool_], other: NDArray[np.bool_], groups: Groups | None = None) -> Interval | None:
    """Return how much more ``better`` gets right than ``other``, in percentage points, paired; None without images.

    This is the drop of ``other``: images that only ``better`` gets right count as lost.

    Args:
        better, other: bool (images,), right answers to the same images.
        groups: group of each image, (images,); None if they are independent.
    """
    worth = Worth(paired_group_effect(better, other, groups), independent_at_most(groups))
    return drop_interval_pp(int((better & ~other).sum()), int((other & ~better).sum()), len(better), worth)


NO_LABELS = "the images have no labels, so accuracy is unknown"


def agreement(
    answers: Answers,
    split: Literal["validation", "test"],
    baseline: Answers | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Agreement:
    """Return the share of images with the same prediction as the baseline network: the same class, or exactly the same labels.

    Args:
        answers: logits (images, classes).
        split: the role of these images.
        baseline: the fp32 network's outputs for the same pixels; None for the baseline itself, which agrees by definition.
        thresholds: thresholds of a multi-label network: probability by label, in the order of the logits.

    Raises:
        NO_IMAGES: there are no images.
        LogitsNotFinite: an output is NaN or infinite; names the candidate and the first such image.
        LOGITS_DO_NOT_MATCH: the outputs are for different images or classes.
    """
    check_finite(answers.candidate, answers.logits)
    same: Interval | None = Interval(estimate=1.0, low=1.0, high=1.0, confidence=1.0)
    worth = Worth()
    if baseline is not None:
        check_finite(baseline.candidate, baseline.logits)
        check_same_pixels(answers, baseline)
        if thresholds is None:
            alike = answers.logits.argmax(axis=1) == baseline.logits.argmax(axis=1)
        else:
            alike = same_labels(answers.logits, baseline.logits, thresholds)
        same = share_of(alike, answers.groups, ACCURACY_CONFIDENCE)
        worth = sample_worth(alike, answers.groups)
    if same is None or not len(answers.logits):
        raise NO_IMAGES(candidate=answers.candidate, split=split)
    return Agreement(
        split=split,
        images=len(answers.logits),
        same=same,
        effect=worth.effect,
        independent=None if math.isinf(worth.at_most) else worth.at_most,
        groups=None if answers.groups is None else len(np.unique(answers.groups)),
        fidelity=answers.fidelity,
        machine=answers.machine,
        pixels=answers.pixels,
    )
