"""How many independent images a figure is as sure as, of images in groups and of figures that are no plain share.

Images come in groups as frames of one video do. The variance between groups says how sure a figure is. Groups that happened to
go well show too little of it: twenty videos without a failure say nothing of the video in which the network fails. So the bound
that a PASS needs takes images for no more independent ones than there are groups, and uneven groups for fewer. The bound that a
FAIL needs uses the variance that is seen.

A mean of ratios, such as mAP or F1, has the variance and the bias of the jackknife: of the figure without each image.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_drop_pp, two_sided_z, wilson
from edgecnn.values.verdict import Interval

Groups = NDArray[np.int64]
"""(images,): equal numbers are of one group."""
Doubles = NDArray[np.float64]
_ROUNDING: Final = 1e-9
"""By which values differ that are alike but for what is left of sums."""


def independent_at_most(groups: Groups | None) -> float:
    """(Σn)² / Σn² of groups of n images: their number where all have one size, and fewer where a large one decides.

    A mean over images is as sure as of so many independent ones where those of a group are all alike. No limit without groups.

    Source: Korn and Graubard, Survey Methodology 24 (1998) 193-201; Dean and Pagano, Journal of Survey Statistics and
    Methodology 3 (2015) 484-503, for intervals of shares at an effective sample size.
    """
    if groups is None:
        return math.inf
    sizes = np.unique(groups, return_counts=True)[1].astype(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def group_effect(values: NDArray[Any], groups: Groups | None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> float:
    """How many times the variance of independent images the variance of a mean over images in groups is, at least 1.

    The variance of the groups' sums over that of as many independent images. Few groups do not tell it better than Student's
    distribution is wide, and of uneven groups the large ones count. Where all values are alike nothing is seen of how alike
    those of a group are: each group is then worth one image.

    Args:
        values: one an image, (images,): such as 1 or True for a right answer.
        groups: None where images are independent.
        confidence: of the two-sided interval that the effect is for.

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
    """The same of a paired drop. Few images change, which says little of how alike a group's are: at least that of the baseline's
    own answers.

    ``theirs``, ``ours``: (images,), which the baseline network and the candidate answer rightly.
    """
    lost = theirs.astype(np.int64) - ours
    return max(group_effect(theirs, groups), group_effect(lost, groups) if lost.any() else 1.0)


class Worth(NamedTuple):
    """How many independent images are as sure as these."""

    effect: float = 1.0
    """How many times the variance of independent images the variance of the figure is, as far as it is seen."""
    at_most: float = math.inf
    """Independent images that the bound of a PASS takes these for; see ``independent_at_most``."""

    def independent_to_pass(self, images: float) -> float:
        """Independent images behind the bound that a PASS needs."""
        return min(images / self.effect, self.at_most)

    def independent_to_fail(self, images: float) -> float:
        """Independent images behind the bound that a FAIL needs."""
        return images / self.effect

    def images_for(self, independent: float, images: float, *, to_pass: bool) -> int:
        """Images in such groups as these that are worth ``independent`` ones; ``images``: how many these are."""
        return math.ceil(
            independent * images / (self.independent_to_pass(images) if to_pass else self.independent_to_fail(images))
        )


def sample_worth(values: NDArray[Any], groups: Groups | None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> Worth:
    """How sure a mean over these values is; arguments as of ``group_effect``."""
    return Worth(group_effect(values, groups, confidence), independent_at_most(groups))


def share_interval(hits: float, images: float, worth: Worth, confidence: float = NON_INFERIORITY_CONFIDENCE) -> Interval | None:
    """Wilson's interval of a share that is to be large, from its own low end; None of no images."""
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
    """Tango's interval of a paired drop, which is to be small, in percentage points; None of no images."""
    if images <= 0:
        return None
    counts = (worth.independent_to_fail(images), worth.independent_to_pass(images))
    return _between_ends(*(tango_drop_pp(lost * count / images, gained * count / images, count, confidence) for count in counts))


def _between_ends(below: Interval | None, above: Interval | None) -> Interval | None:
    """From the low end of one to the high end of the other."""
    return None if below is None or above is None else below.model_copy(update={"high": above.high})


class LeaveOneOut(NamedTuple):
    """A figure, and the same without each image: float64 (images,)."""

    estimate: float
    without: Doubles

    @property
    def variance(self) -> float:
        """Of the estimate, by the delete-one jackknife."""
        images = len(self.without)
        return float(np.var(self.without)) * (images - 1) if images > 1 else 0.0

    @property
    def bias(self) -> float:
        """Of the estimate, by the same."""
        images = len(self.without)
        return (images - 1) * (float(self.without.mean()) - self.estimate) if images > 1 else 0.0


def independent_answers(
    figure: LeaveOneOut, most: float, groups: Groups | None = None, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> float:
    """How many independent answers would tell a share as well; at most ``most``, and at least one."""
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
    """Wilson's interval of ``independent_answers``, about the figure as it is and freed of its bias.

    It reaches from the lower end of both to the upper end of both: either centre alone errs to one side, the one where a split
    fixes how many images each class has and the other where it does not. The bound of a PASS takes images in groups for no more
    than ``independent_at_most``.

    Args:
        figure: one that is to be large, 0…1.
        most: independent answers that the images can stand for.
        groups: which images came together, (images,); None where they are independent.
        confidence: two-sided.
        decay: the bias shrinks at least with the images to this power, of which the jackknife finds this share.

    Sources: Quenouille, Biometrika 43 (1956) 353-360; Efron and Stein, Annals of Statistics 9 (1981) 586-596; Korn and Graubard,
    Survey Methodology 24 (1998) 193-201, for intervals at an effective sample size.
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
