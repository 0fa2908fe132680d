"""The interval of a mean of ratios, such as mAP or F1, from what it would be without each image."""

from __future__ import annotations

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, wilson
from edgecnn.judging.predictions.grouped import Groups, group_effect, independent_at_most
from edgecnn.judging.predictions.left_out import LeftOut
from edgecnn.values.verdict import Interval


def two_centre_interval(
    found: LeftOut,
    most: float,
    groups: Groups | None,
    confidence: float = NON_INFERIORITY_CONFIDENCE,
    decay: float = 1.0,
) -> Interval:
    """Wilson's interval of as many independent answers as ``trials_of`` counts, about the figure as it is and freed of its bias.

    It reaches from the lower end of both to the upper end of both: either centre alone errs to one side, the one where a split
    fixes how many images each class has and the other where it does not. The bound of a PASS takes images in groups for no more
    than ``independent_at_most``.

    Args:
        found: of a figure that is to be large, 0…1.
        most: independent answers that the images can stand for.
        groups: which images came together, (images,); None where they are independent.
        confidence: two-sided.
        decay: the bias shrinks at least with the images to this power, of which the jackknife finds this share.

    Sources: Quenouille, Biometrika 43 (1956) 353-360; Efron and Stein, Annals of Statistics 9 (1981) 586-596; Korn and Graubard,
    Survey Methodology 24 (1998) 193-201, for intervals at an effective sample size.
    """
    estimate = min(1.0, max(0.0, found.estimate))
    bias = found.bias * group_effect(found.without, groups, confidence) / decay
    unbiased = min(1.0, max(0.0, estimate - bias))
    trials = trials_of(found, most, groups, confidence)
    passing = max(1.0, min(trials, independent_at_most(groups)))
    below = [wilson(centre * passing, passing, confidence) for centre in (estimate, unbiased)]
    above = [wilson(centre * trials, trials, confidence) for centre in (estimate, unbiased)]
    low, high = min(end.low for end in below if end), max(end.high for end in above if end)
    return Interval(estimate=estimate, low=low, high=high, confidence=confidence)


def trials_of(found: LeftOut, most: float, groups: Groups | None = None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> float:
    """Of how many independent answers a share would be known as well; at most ``most``, and at least one."""
    effect = group_effect(found.without, groups, confidence)
    share, most, variance = min(1.0, max(0.0, found.estimate)), max(most / effect, 1.0), found.variance * effect
    if variance <= share * (1 - share) / most + 1e-15:  # of a share of 1, rounding alone is left
        return most
    return max(1.0, share * (1 - share) / variance)
