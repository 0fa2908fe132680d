"""Intervals with the stated coverage: times are not assumed Gaussian, and small samples give no figure.

Proportions use score intervals, which stay inside 0…1 and keep their coverage at few errors, where estimate ± 2 standard errors
has width 0. Times use ranks alone. If a sample is too small for the confidence, the result is None. Every Interval has its actual
confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist, median

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecnn.values.verdict import Interval

ACCURACY_CONFIDENCE = 0.95
"""Two-sided, for displayed figures."""
NON_INFERIORITY_CONFIDENCE = 0.90
"""Two-sided, so each bound is one-sided 95 %: the level of a non-inferiority test."""
LATENCY_CONFIDENCE = 0.98
"""Two-sided, so each bound is wrong at most once in a hundred: two runs of the same kit must not disagree more often."""
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

    Counts are fractional if images are worth fewer independent ones (``predictions.folds``).

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
    """Return the maximum-likelihood share of gained images if the true drop were ``drop``: the root of Tango's quadratic."""
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

    ``confidence`` of the result is the actual one, at least the requested one, in binomial steps.
    """
    ordered = sorted(values)
    rank = _sign_rank(len(ordered), confidence)
    if rank is None:
        return None
    reached = 1 - 2 * sum(math.comb(len(ordered), below) for below in range(rank)) / 2 ** len(ordered)
    return Interval(estimate=float(median(ordered)), low=ordered[rank - 1], high=ordered[-rank], confidence=reached)


def share_below(values: Sequence[float], share: float, confidence: float = LATENCY_CONFIDENCE) -> float | None:
    """Return a value that at least this share of all such values lies below, for any distribution, at one-sided (1 +
    ``confidence``) / 2.

    It is one of the values; None if even the largest is too low too often: three quarters at 98 % take 17 values.
    """
    ordered, allowed, missed, bound = sorted(values), (1 - confidence) / 2, 0.0, None
    for rank in range(len(ordered), 0, -1):
        missed += math.comb(len(ordered), rank) * share**rank * (1 - share) ** (len(ordered) - rank)
        if missed > allowed:
            break
        bound = ordered[rank - 1]
    return bound


def ratio_interval(slow: Sequence[float], fast: Sequence[float], confidence: float = LATENCY_CONFIDENCE) -> Interval | None:
    """Return the ratio slow / fast of paired positive values: Hodges-Lehmann, with Wilcoxon's exact signed-rank bounds on
    logarithms.

    At 8 pairs the requested 98 % become 98.4 %. None below 7 pairs. The bounds are exact if the logarithms of the ratios are
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


def day_ratio_interval(ours: float, days: Sequence[float], confidence: float = LATENCY_CONFIDENCE) -> Interval | None:
    """Return the ratio of one day's positive value to those of other days, by the spread between days; None below 3.

    Student's t on logarithms for one more value of the same kind (a prediction interval), exact if days are normally distributed.
    Source: Hahn and Meeker, Statistical Intervals, section 4.7.
    """
    if len(days) < DAYS_NEEDED:
        return None
    from scipy.special import stdtrit

    logs = np.log(np.asarray(days, float))
    middle = math.log(ours) - float(logs.mean())
    reach = float(stdtrit(len(days) - 1, (1 + confidence) / 2) * logs.std(ddof=1)) * math.sqrt(1 + 1 / len(days))
    low, high = math.exp(middle - reach), math.exp(middle + reach)
    return Interval(estimate=math.exp(middle), low=low, high=high, confidence=confidence)


def tail(samples: Sequence[float], percent: int) -> float | None:
    """Return a percentile of one run; None if fewer than ten samples lie beyond it: 20 for a median, 1,000 for a p99."""
    if len(samples) < samples_needed(percent):
        return None
    return float(np.percentile(np.asarray(samples, float), percent))


def samples_needed(percent: int) -> int:
    """Return the samples from which ten lie beyond a percentile: 20, 100 and 1,000 for p50, p90 and p99."""
    return math.ceil(10 * 100 / (100 - percent))  # with integers, because 1 - 0.9 is not 0.1


@lru_cache(maxsize=32)
def two_sided_z(confidence: float) -> float:
    """Return the normal quantile of a two-sided confidence: 1.96 for 0.95, 1.645 for 0.90."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _edge(b: NDArray[np.float64], c: NDArray[np.float64], n: NDArray[np.float64], z: float, end: float) -> NDArray[np.float64]:
    """Bisect between the estimate, which the score test never rejects, and the end of the range."""
    inside = (b - c) / n
    outside = np.full_like(inside, end)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        kept = (b - c - n * middle) ** 2 <= z * z * n * score_variance(middle, b, c, n)
        inside, outside = np.where(kept, middle, inside), np.where(kept, outside, middle)
    return inside


def _sign_rank(count: int, confidence: float) -> int | None:
    """Return the largest rank k for which the k-th smallest and k-th largest value contain the median often enough."""
    allowed = (1 - confidence) / 2 * 2**count
    beyond, rank = 0, 0
    while rank < count and beyond + math.comb(count, rank) <= allowed:
        beyond += math.comb(count, rank)
        rank += 1
    return rank or None


@lru_cache(maxsize=128)
def _signed_rank(count: int, confidence: float) -> tuple[int, float] | None:
    """Return the same rank for the sorted Walsh averages, and its confidence, from the exact distribution of the statistic."""
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
