"""Confidence intervals of shares, paired differences, times and means of ratios, also for images in groups.

Proportions use score intervals, which stay inside 0…1 and keep their coverage at few errors, where estimate ± 2 standard errors
has width 0. Times use ranks alone. If a sample is too small for the confidence, the result is None. Every Interval has its
actual confidence.

Images of a group, such as frames of one video, are correlated, so they count as fewer independent images. The variance between
groups shows the certainty of a figure, but groups that happened to go well show too little: twenty videos without a failure say
nothing about the video in which the network fails. So the bound of a PASS counts each group as at most one image, and uneven
groups as fewer. The bound of a FAIL uses the observed variance.

A mean of ratios, such as mAP or F1, uses the variance and bias of the jackknife: the figure without each image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist, median
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecnn.runner.runs.figures import CONFIDENCE, median_rank
from edgecnn.values.verdict import Interval

ACCURACY_CONFIDENCE = 0.95
"""Two-sided, for displayed figures."""
NON_INFERIORITY_CONFIDENCE = 0.90
"""Two-sided, so each bound is one-sided 95 %: the level of a non-inferiority test."""
LATENCY_CONFIDENCE = CONFIDENCE
"""Two-sided, for figures of runs."""
DAYS_NEEDED = 3
"""Days of a recorded latency that an interval needs; with two days, it would be 39 times as wide as their difference."""

_HALVINGS = 60
"""Bisections of an interval at most 2 wide, after which the bound is exact to the last bit of a double."""


def wilson(successes: float, trials: float, confidence: float = ACCURACY_CONFIDENCE) -> Interval | None:
    """Return the score interval of a proportion, 0…1; None without trials.

    Source: Wilson, Journal of the American Statistical Association 22 (1927) 209-212.
    """
    if trials < 1:
        return None
    z = two_sided_z(confidence)
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # With no or only successes the bound is exactly 0 or 1, which rounding may miss.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(estimate=share, low=low, high=high, confidence=confidence)


@lru_cache(maxsize=4096)
def tango_drop_pp(lost: float, gained: float, images: float, confidence: float = NON_INFERIORITY_CONFIDENCE) -> Interval | None:
    """Return Tango's score interval of a paired drop, in percentage points; None without images.

    Args:
        lost: images that only the baseline gets right.
        gained: images that only the candidate gets right.
        images: all images, including concordant ones.
        confidence: of the two-sided interval.

    Counts are fractional if images count as fewer independent ones (``drop_interval_pp``).

    Source: Tango, Statistics in Medicine 17 (1998) 891-908.
    """
    if images <= 0:
        return None
    low, high = tango_bounds(lost, gained, images, two_sided_z(confidence))
    return Interval(estimate=100 * (lost - gained) / images, low=100 * float(low), high=100 * float(high), confidence=confidence)


def tango_bounds(
    lost: ArrayLike, gained: ArrayLike, images: ArrayLike, z: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both bounds of the drop, -1…1, for whole arrays of counts at once (counts may be fractional, for planning)."""
    b, c, n = np.broadcast_arrays(np.asarray(lost, float), np.asarray(gained, float), np.asarray(images, float))
    low, high = (_edge(b, c, n, z, end) for end in (-1.0, 1.0))
    return low, high


def discordance_under(drop: ArrayLike, lost: ArrayLike, gained: ArrayLike, images: ArrayLike) -> NDArray[np.float64]:
    """Return the maximum-likelihood share of gained images if the true drop were ``drop``, a root of Tango's quadratic."""
    d, b, c, n = (np.asarray(value, float) for value in (drop, lost, gained, images))
    linear = (2 * n - b + c) * d - b - c
    root = np.sqrt(np.maximum(linear * linear + 8 * n * c * d * (1 - d), 0))
    share: NDArray[np.float64] = np.maximum((root - linear) / (4 * n), 0)
    return share


def score_variance(drop: ArrayLike, lost: ArrayLike, gained: ArrayLike, images: ArrayLike) -> NDArray[np.float64]:
    """Return the variance of one image's contribution to the drop, if the true drop were ``drop``."""
    d = np.asarray(drop, float)
    variance: NDArray[np.float64] = np.maximum(2 * discordance_under(d, lost, gained, images) + d * (1 - d), 0)
    return variance


def median_interval(values: Sequence[float], confidence: float = LATENCY_CONFIDENCE) -> Interval | None:
    """Return the interval of a median between two order statistics, for any distribution; None below 7 values at 98 %.

    The result has its actual confidence, which is at least the requested confidence and has binomial steps.
    """
    ordered = sorted(values)
    bounds = median_rank(len(ordered), confidence)
    if bounds is None:
        return None
    low, high = ordered[bounds.rank - 1], ordered[-bounds.rank]
    return Interval(estimate=float(median(ordered)), low=low, high=high, confidence=bounds.confidence)


def ratio_interval(slow: Sequence[float], fast: Sequence[float], confidence: float = LATENCY_CONFIDENCE) -> Interval | None:
    """Return the ratio slow / fast of paired positive values: Hodges-Lehmann, with exact signed-rank bounds on logarithms.

    With 8 pairs, the requested 98 % become 98.4 %. None below 7 pairs. The bounds are exact if the logarithms of the ratios are
    symmetric about their centre. Source: Hollander and Wolfe, Nonparametric Statistical Methods, sections 3.1-3.3.
    """
    if len(slow) != len(fast):
        raise ValueError(f"{len(slow)} values cannot be paired with {len(fast)}")
    count = len(slow)
    ranked = _signed_rank(count, confidence)
    if ranked is None:
        return None
    rank, reached = ranked
    logs = np.log(np.asarray(slow, float)) - np.log(np.asarray(fast, float))
    first, second = np.triu_indices(count)
    averages = np.sort((logs[first] + logs[second]) / 2)
    low, centre, high = np.exp([averages[rank - 1], np.median(averages), averages[-rank]])
    return Interval(estimate=float(centre), low=float(low), high=float(high), confidence=reached)


WALK = 6.0
"""A random walk of n steps has a variance of n steps at its end, and of n / 6 around its own mean."""


def aged_by(recorded: Sequence[float], today: float) -> float:
    """Return by which multiple of the variance between recorded days a machine may have moved since the last one.

    A machine that changes a little every day moves further than its recorded days differ, if these were close together and are
    long ago. 0 if today follows as soon as the recorded days followed each other.

    ``recorded``, ``today``: moments in days.
    """
    span = max(recorded) - min(recorded)
    late = today - max(recorded) - span / max(1, len(recorded) - 1)
    return WALK * late / span if late > 0 and span > 0 else 0.0


def day_ratio_interval(
    ours: float, days: Sequence[float], confidence: float = LATENCY_CONFIDENCE, *, aged: float = 0.0
) -> Interval | None:
    """Return the ratio of one day's positive value to those of other days, from the spread between days; None below 3 days.

    Student's t on logarithms for one more value of the same kind (a prediction interval), exact if days are normally distributed.
    Source: Hahn and Meeker, Statistical Intervals, section 4.7.

    ``aged``: see ``aged_by``.
    """
    if len(days) < DAYS_NEEDED:
        return None
    from scipy.special import stdtrit

    logs = np.log(np.asarray(days, float))
    middle = math.log(ours) - float(logs.mean())
    reach = float(stdtrit(len(days) - 1, (1 + confidence) / 2) * logs.std(ddof=1)) * math.sqrt(1 + 1 / len(days) + aged)
    low, high = math.exp(middle - reach), math.exp(middle + reach)
    return Interval(estimate=math.exp(middle), low=low, high=high, confidence=confidence)


@lru_cache(maxsize=32)
def two_sided_z(confidence: float) -> float:
    """Return the normal quantile of a two-sided confidence: 1.96 for 0.95, 1.645 for 0.90."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _edge(b: NDArray[np.float64], c: NDArray[np.float64], n: NDArray[np.float64], z: float, end: float) -> NDArray[np.float64]:
    """Return one bound of the drop, by bisection between the estimate, which the score test never rejects, and ``end``."""
    inside = (b - c) / n
    outside = np.full_like(inside, end)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        kept = (b - c - n * middle) ** 2 <= z * z * n * score_variance(middle, b, c, n)
        inside, outside = np.where(kept, middle, inside), np.where(kept, outside, middle)
    return inside


@lru_cache(maxsize=128)
def _signed_rank(count: int, confidence: float) -> tuple[int, float] | None:
    """Return the rank for sorted Walsh averages, and its confidence, from the exact distribution of the signed-rank statistic."""
    ways = [1]
    for rank in range(1, count + 1):
        shifted = [0] * rank + ways
        ways = [a + b for a, b in zip(ways + [0] * rank, shifted, strict=True)]
    allowed = (1 - confidence) / 2 * 2**count
    beyond, rank = 0, 0
    while rank < len(ways) and beyond + ways[rank] <= allowed:
        beyond += ways[rank]
        rank += 1
    return (rank, 1 - 2 * beyond / 2**count) if rank else None


Groups = NDArray[np.int64]
"""(images,): equal numbers belong to one group."""
Doubles = NDArray[np.float64]
_ROUNDING: Final = 1e-9
"""Rounding errors of sums of equal values."""


def independent_at_most(groups: Groups | None) -> float:
    """Return (Σn)² / Σn² for groups of n images: the number of groups if all have one size, and less if a large one dominates.

    If images of a group are all alike, a mean over images is as certain as a mean over this many independent images. Infinite
    without groups.

    Source: Korn and Graubard, Survey Methodology 24 (1998) 193-201; Dean and Pagano, Journal of Survey Statistics and
    Methodology 3 (2015) 484-503, for intervals of shares at an effective sample size.
    """
    if groups is None:
        return math.inf
    sizes = np.unique(groups, return_counts=True)[1].astype(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def group_effect(values: NDArray[Any], groups: Groups | None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> float:
    """Return the ratio, at least 1, of the variance of a mean over images in groups to the variance of independent images.

    It compares the variance of the groups' sums with the variance of independent images. With few groups, it is widened like
    Student's distribution; with uneven groups, the large groups decide. If all values are equal, each group is worth one image.

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


def paired_group_effect(theirs: NDArray[np.bool_], ours: NDArray[np.bool_], groups: Groups | None) -> float:
    """Return the ``group_effect`` of a paired drop, which is at least the effect of the baseline's answers.

    The images that change are few, and show little about groups.

    ``theirs``, ``ours``: (images,), right answers of the baseline network and of the candidate.
    """
    lost = theirs.astype(np.int64) - ours
    return max(group_effect(theirs, groups), group_effect(lost, groups) if lost.any() else 1.0)


class Worth(NamedTuple):
    """How many independent images give the same certainty as a set of images."""

    effect: float = 1.0
    """Observed ratio of the figure's variance to the variance of independent images."""
    at_most: float = math.inf
    """Most independent images for the bound of a PASS; see ``independent_at_most``."""

    def independent_to_pass(self, images: float) -> float:
        """Return the independent images for the bound of a PASS."""
        return min(images / self.effect, self.at_most)

    def independent_to_fail(self, images: float) -> float:
        """Return the independent images for the bound of a FAIL."""
        return images / self.effect

    def images_for(self, independent: float, images: float, *, to_pass: bool) -> int:
        """Return how many images in such groups are worth ``independent`` images; ``images``: the current number."""
        return math.ceil(
            independent * images / (self.independent_to_pass(images) if to_pass else self.independent_to_fail(images))
        )


def sample_worth(values: NDArray[Any], groups: Groups | None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> Worth:
    """Return the worth of a mean over these values; arguments as in ``group_effect``."""
    return Worth(group_effect(values, groups, confidence), independent_at_most(groups))


def share_interval(hits: float, images: float, worth: Worth, confidence: float = NON_INFERIORITY_CONFIDENCE) -> Interval | None:
    """Return Wilson's interval of a share that should be large; None without images.

    The low end uses the independent images for a PASS, the high end those for a FAIL.
    """
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
    """Return Tango's interval of a paired drop, which should be small, in percentage points; None without images."""
    if images <= 0:
        return None
    counts = (worth.independent_to_fail(images), worth.independent_to_pass(images))
    return _between_ends(*(tango_drop_pp(lost * count / images, gained * count / images, count, confidence) for count in counts))


def _between_ends(below: Interval | None, above: Interval | None) -> Interval | None:
    """Return the interval from the low end of ``below`` to the high end of ``above``."""
    return None if below is None or above is None else below.model_copy(update={"high": above.high})


class LeaveOneOut(NamedTuple):
    """A figure, for the delete-one jackknife."""

    estimate: float
    without: Doubles
    """The figure without each image, float64 (images,)."""

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
    """Return the independent answers that would give a share the same certainty; at least one and at most ``most``."""
    effect = group_effect(figure.without, groups, confidence)
    share, most, variance = min(1.0, max(0.0, figure.estimate)), max(most / effect, 1.0), figure.variance * effect
    if variance <= share * (1 - share) / most + 1e-15:  # the variance of a share of 1 is only rounding
        return most
    return max(1.0, share * (1 - share) / variance)


def two_centre_interval(
    figure: LeaveOneOut,
    most: float,
    groups: Groups | None,
    confidence: float = NON_INFERIORITY_CONFIDENCE,
    decay: float = 1.0,
) -> Interval:
    """Return the span of two Wilson intervals with ``independent_answers``: around the figure, and around it without its bias.

    Either centre alone errs to one side: one centre if a split fixes the number of images per class, the other if not. For a
    PASS, images in groups count as at most ``independent_at_most``.

    Args:
        figure: a figure that should be large, 0…1.
        most: largest number of independent answers that the images can count as.
        groups: group of each image, (images,); None if they are independent.
        confidence: two-sided.
        decay: power of the number of images with which the bias shrinks at least; the jackknife finds this share of the bias.

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
