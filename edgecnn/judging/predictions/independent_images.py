"""Number of independent images that give the same certainty, for images in groups and for figures other than shares.

Images come in groups, such as frames of one video. The variance between groups shows the certainty of a figure, but groups
that happened to go well show too little: twenty videos without a failure say nothing about the video in which the network
fails. So the bound of a PASS counts each group as at most one image, and uneven groups as fewer. The bound of a FAIL uses the
observed variance.

A mean of ratios, such as mAP or F1, uses the variance and bias of the jackknife: the figure without each image.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_drop_pp, two_sided_z, wilson
from edgecnn.values.verdict import Interval

Groups = NDArray[np.int64]
"""(images,): equal numbers belong to one group."""
Doubles = NDArray[np.float64]
_ROUNDING: Final = 1e-9
"""Rounding errors of sums of equal values."""


def independent_at_most(groups: Groups | None) -> float:
    """(Σn)² / Σn² of groups of n images: their number if all have one size, and fewer if a large one dominates.

    If images of a group are all alike, a mean over images is as certain as one of this many independent images. No limit
    without groups.

    Source: Korn and Graubard, Survey Methodology 24 (1998) 193-201; Dean and Pagano, Journal of Survey Statistics and
    Methodology 3 (2015) 484-503, for intervals of shares at an effective sample size.
    """
    if groups is None:
        return math.inf
    sizes = np.unique(groups, return_counts=True)[1].astype(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def group_effect(values: NDArray[Any], groups: Groups | None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> float:
    """Ratio, at least 1, of the variance of a mean over images in groups to the variance of independent images.

    It compares the variance of the groups' sums with that of independent images. With few groups it is widened like Student's
    distribution; with uneven groups the large ones count. If all values are equal, each group is worth one image.

    Args:
        values: one per image, (images,), such as 1 or True for a right answer.
        groups: None if images are independent.
        confidence: of the two-sided interval that uses the effect.

    Source: Kish, Survey Sampling (1965), section 5.4; Rao and Scott, Biometrics 48 (1992) 577-585, for divided counts;
    Satterthwaite, Biometrics Bulletin 2 (1946) 110-114, for the degrees of freedom of squares of several sizes.
    """
    if groups is None:
        return 1.0
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    images, count = len(values), len(sizes)
    if count in (0, images):
        return 1.0
    if count == 1:
        return float(images)
    apart = values.astype(float) - values.mean()
    squares = float((apart**2).sum())
    if squares <= images * (_ROUNDING * max(1.0, float(np.abs(values).max()))) ** 2:
        return images / independent_at_most(groups)
    from scipy.special import stdtrit

    weights = sizes.astype(float) ** 2
    freedom = max(1.0, float(weights.sum() ** 2 / (weights**2).sum()) - 1)
    few = float(stdtrit(freedom, (1 + confidence) / 2) / two_sided_z(confidence)) ** 2
    sums = np.bincount(place.ravel(), apart)
    return min(float(images), max(1.0, few * count / (count - 1) * float((sums**2).sum()) / squares))


def drop_effect(theirs: NDArray[np.bool_], ours: NDArray[np.bool_], groups: Groups | None) -> float:
    """The effect for a paired drop. Few images change, which shows little about groups, so it is at least the effect of the
    baseline's own answers.

    ``theirs``, ``ours``: (images,), right answers of the baseline network and of the candidate.
    """
    lost = theirs.astype(np.int64) - ours
    return max(group_effect(theirs, groups), group_effect(lost, groups) if lost.any() else 1.0)


class Worth(NamedTuple):
    """Independent images with the same certainty as these."""

    effect: float = 1.0
    """Observed ratio of the figure's variance to the variance of independent images."""
    at_most: float = math.inf
    """Most independent images for the bound of a PASS; see ``independent_at_most``."""

    def independent_to_pass(self, images: float) -> float:
        """Independent images for the bound of a PASS."""
        return min(images / self.effect, self.at_most)

    def independent_to_fail(self, images: float) -> float:
        """Independent images for the bound of a FAIL."""
        return images / self.effect

    def images_for(self, independent: float, images: float, *, to_pass: bool) -> int:
        """Images in such groups that are worth ``independent`` ones; ``images``: the number of current ones."""
        return math.ceil(
            independent * images / (self.independent_to_pass(images) if to_pass else self.independent_to_fail(images))
        )


def sample_worth(values: NDArray[Any], groups: Groups | None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> Worth:
    """Worth of a mean over these values; arguments as in ``group_effect``."""
    return Worth(group_effect(values, groups, confidence), independent_at_most(groups))


def share_interval(hits: float, images: float, worth: Worth, confidence: float = NON_INFERIORITY_CONFIDENCE) -> Interval | None:
    """Wilson's interval of a share that should be large, from its own low end; None without images."""
    share = hits / images if images else 0.0
    if worth.independent_to_pass(images) == images:
        return wilson(hits, images, confidence)
    return _between_ends(
        *(
            wilson(share * count, count, confidence)
            for count in (worth.independent_to_pass(images), worth.independent_to_fail(images))
        )
    )


def drop_interval_pp(
    lost: float, gained: float, images: float, worth: Worth, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> Interval | None:
    """Tango's interval of a paired drop, which should be small, in percentage points; None without images."""
    if images <= 0:
        return None
    counts = (worth.independent_to_fail(images), worth.independent_to_pass(images))
    return _between_ends(*(tango_drop_pp(lost * count / images, gained * count / images, count, confidence) for count in counts))


def _between_ends(below: Interval | None, above: Interval | None) -> Interval | None:
    """Interval from the low end of one to the high end of the other."""
    return None if below is None or above is None else below.model_copy(update={"high": above.high})


class LeaveOneOut(NamedTuple):
    """A figure, and the figure without each image: float64 (images,)."""

    estimate: float
    without: Doubles

    @property
    def variance(self) -> float:
        """Variance of the estimate, by the delete-one jackknife."""
        images = len(self.without)
        return float(np.var(self.without)) * (images - 1) if images > 1 else 0.0

    @property
    def bias(self) -> float:
        """Bias of the estimate, by the delete-one jackknife."""
        images = len(self.without)
        return (images - 1) * (float(self.without.mean()) - self.estimate) if images > 1 else 0.0


def independent_answers(
    figure: LeaveOneOut, most: float, groups: Groups | None = None, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> float:
    """Independent answers that would give a share the same certainty; at least one and at most ``most``."""
    effect = group_effect(figure.without, groups, confidence)
    share, most, variance = min(1.0, max(0.0, figure.estimate)), max(most / effect, 1.0), figure.variance * effect
    if variance <= share * (1 - share) / most + 1e-15:  # of a share of 1, rounding alone is left
        return most
    return max(1.0, share * (1 - share) / variance)


def two_centre_interval(
    figure: LeaveOneOut,
    most: float,
    groups: Groups | None,
    confidence: float = NON_INFERIORITY_CONFIDENCE,
    decay: float = 1.0,
) -> Interval:
    """Wilson's interval with ``independent_answers``, around the figure and around the figure without its bias.

    It spans both: either centre alone errs to one side, one if a split fixes the number of images per class and the other if
    not. For a PASS, images in groups count as at most ``independent_at_most``.

    Args:
        figure: one that should be large, 0…1.
        most: independent answers that the images can stand for.
        groups: group of each image, (images,); None if they are independent.
        confidence: two-sided.
        decay: the bias shrinks at least with the images to this power, of which the jackknife finds this share.

    Sources: Quenouille, Biometrika 43 (1956) 353-360; Efron and Stein, Annals of Statistics 9 (1981) 586-596; Korn and
    Graubard, Survey Methodology 24 (1998) 193-201, for intervals at an effective sample size.
    """
    estimate = min(1.0, max(0.0, figure.estimate))
    bias = figure.bias * group_effect(figure.without, groups, confidence) / decay
    unbiased = min(1.0, max(0.0, estimate - bias))
    trials = independent_answers(figure, most, groups, confidence)
    passing = max(1.0, min(trials, independent_at_most(groups)))
    below = [wilson(centre * passing, passing, confidence) for centre in (estimate, unbiased)]
    above = [wilson(centre * trials, trials, confidence) for centre in (estimate, unbiased)]
    low, high = min(end.low for end in below if end), max(end.high for end in above if end)
    return Interval(estimate=estimate, low=low, high=high, confidence=confidence)
