"""Cross-validation: predictions of several networks, each on images that it did not learn from, as one set of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.accuracy import Answers, accuracy, answered_right, difference_pp, share_right
from edgecnn.judging.intervals import (
    ACCURACY_CONFIDENCE,
    NON_INFERIORITY_CONFIDENCE,
    Groups,
    Worth,
    drop_interval_pp,
    group_effect,
    independent_at_most,
    share_interval,
    two_sided_z,
)
from edgecnn.judging.logits import read_logits
from edgecnn.values.figures import Accuracy, FoldFigures, Folds, Quality
from edgecnn.values.figures import Groups as GroupEffects
from edgecnn.values.verdict import Interval


@dataclass(frozen=True, eq=False)
class FoldAnswers:
    """Predictions of one candidate's networks of all folds, and the true classes."""

    answers: Sequence[Answers]
    labels: Sequence[NDArray[np.int64]]
    """True classes of each fold's test images, (images,)."""

    def right(self) -> list[NDArray[np.bool_]]:
        """Return which answers of each network are right, (images,) per fold."""
        return [answered_right(answers, labels) for answers, labels in zip(self.answers, self.labels, strict=True)]

    def together(self) -> tuple[Answers, NDArray[np.int64]]:
        """Return the predictions of all folds as those of one network, with the pixels of the first fold."""
        first = self.answers[0]
        logits = np.concatenate([fold.logits for fold in self.answers])
        return replace(first, logits=logits, groups=self.groups()), np.concatenate(list(self.labels))

    def places(self) -> NDArray[np.intp]:
        """Return the fold of each image, (images,) of all folds together."""
        return np.repeat(np.arange(len(self.labels)), [len(labels) for labels in self.labels])

    def groups(self) -> Groups | None:
        """Return the group of each image, with separate groups in each fold; None if images are independent."""
        if all(fold.groups is None for fold in self.answers):
            return None
        groups, above = list[Groups](), 0
        for fold in self.answers:
            groups.append(above + (np.arange(len(fold.logits)) if fold.groups is None else fold.groups))
            above = int(groups[-1].max(initial=above - 1)) + 1
        return np.concatenate(groups)


def accuracy_over_folds(mine: FoldAnswers, baseline: FoldAnswers | None) -> Accuracy:
    """Return the accuracy on the test images of all folds, with intervals that allow for differing networks.

    ``mine``, ``baseline``: predictions of the candidate and of fp32; None for fp32 itself. Raises as ``accuracy`` does.
    """
    answers, labels = mine.together()
    pooled = accuracy(answers, labels, "test", None if baseline is None else baseline.together()[0])
    folds = _folds(mine, None if baseline is None else baseline.right(), pooled.groups)
    hits, worth = sum(fold.right for fold in folds.each), Worth(folds.top1_effect, pooled.independent_at_most)
    top1, drop = share_interval(hits, pooled.images, worth, ACCURACY_CONFIDENCE), pooled.drop_pp
    if pooled.lost is not None and pooled.gained is not None:
        drop = drop_interval_pp(pooled.lost, pooled.gained, pooled.images, worth._replace(effect=folds.drop_effect))
    return pooled.model_copy(update={"folds": folds, "top1": top1 or pooled.top1, "drop_pp": drop})


def _folds(mine: FoldAnswers, theirs: Sequence[NDArray[np.bool_]] | None, grouped: GroupEffects | None) -> Folds:
    """Return the figures of each fold, and the effects of folds.

    ``grouped``: the effects of groups over all folds. Folds also differ because of their groups, so the larger effect counts.
    """
    right, first = mine.right(), mine.answers[0].groups
    figures, drop_effect, alone = [], 1.0, None
    if theirs is not None:
        drop_effect = design_effect([other.astype(int) - ours for ours, other in zip(right, theirs, strict=True)])
        alone = difference_pp(theirs[0], right[0], first)
    for place, ours in enumerate(right):
        other = None if theirs is None else theirs[place]
        lost, gained = (None, None) if other is None else (int((other & ~ours).sum()), int((ours & ~other).sum()))
        figures.append(FoldFigures(images=len(ours), right=int(ours.sum()), lost=lost, gained=gained))
    top1_effect, alone_top1 = design_effect(right, ACCURACY_CONFIDENCE), share_right(right[0], first)
    of_groups = 1.0 if grouped is None else grouped.drop_effect
    if grouped is not None:
        top1_effect, drop_effect = max(top1_effect, grouped.top1_effect), max(drop_effect, grouped.drop_effect)
    assert alone_top1 is not None
    return Folds(
        each=tuple(figures),
        top1_effect=top1_effect,
        drop_effect=drop_effect,
        alone_top1=alone_top1,
        alone_drop_pp=alone,
        worth_images=round(sum(map(len, right)) * of_groups / drop_effect) - len(right[0]),
    )


LIKELY = 0.8
"""Folds count as different if they differ more than this share of equal folds would by chance."""


def design_effect(folds: Sequence[NDArray[Any]], confidence: float = NON_INFERIORITY_CONFIDENCE) -> float:
    """Return the ratio, at least 1, of the variance of a mean over folds to the variance of independent images.

    It is the ratio F of the mean squares between and within folds, whose expectation is 1 if folds differ only by chance. Counts
    divided by F are worth as many independent images. If F is larger than chance makes likely, a few folds do not show how much
    larger, so F grows by the ratio of Student's to the normal distribution. In simulations of 5 and 10 folds of 60 images, a
    bound errs in 3 to 6 % at the 5 % of a gate, whether the drop of networks varies by 0 or 2 points.

    Args:
        folds: one value per image of each fold, (images,), such as 1 or True for a right answer.
        confidence: of the two-sided interval that uses the counts.

    Source: Kish, Survey Sampling (1965), section 5.4; Rao and Scott, Biometrics 48 (1992) 577-585, for divided counts.
    """
    from scipy.stats import f, t

    folds = [fold.astype(float) for fold in folds]
    every = np.concatenate(folds)
    between, within = len(folds) - 1, len(every) - len(folds)
    spread = sum(len(fold) * (fold.mean() - every.mean()) ** 2 for fold in folds) / between
    noise = sum(((fold - fold.mean()) ** 2).sum() for fold in folds) / within if within > 0 else 0.0
    if noise <= 0:  # images of a fold do not differ, so if folds differ, each is worth one image
        return len(every) / len(folds) if spread > 0 else 1.0
    ratio = float(spread / noise)
    if ratio > f.ppf(LIKELY, between, within):
        ratio *= float(t.ppf((1 + confidence) / 2, between) / two_sided_z(confidence)) ** 2
    return max(1.0, ratio)


def quality_over_folds(pooled: Quality, mine: FoldAnswers, baseline: FoldAnswers | None) -> Quality:
    """Return the quality over folds. Intervals of shares allow for differing networks; other figures count images only.

    ``pooled``: the quality of all images together, from ``quality``. ``mine``, ``baseline``: as in ``accuracy_over_folds``.
    """
    five = [(read_logits(fold.logits, classes).place < 5) for fold, classes in zip(mine.answers, mine.labels, strict=True)]
    alike = None
    if baseline is not None:
        pairs = zip(mine.answers, baseline.answers, strict=True)
        alike = [ours.logits.argmax(axis=1) == theirs.logits.argmax(axis=1) for ours, theirs in pairs]
    return pooled.model_copy(
        update={
            "top5": None if pooled.top5 is None else _share(five, mine.groups()),
            "agreement": None if pooled.agreement is None or alike is None else _share(alike, mine.groups()),
        }
    )


def _share(folds: Sequence[NDArray[np.bool_]], groups: Groups | None) -> Interval | None:
    together = np.concatenate(list(folds))
    effect = max(design_effect(folds), group_effect(together, groups))
    return share_interval(int(together.sum()), len(together), Worth(effect, independent_at_most(groups)))
