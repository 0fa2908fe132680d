"""Which candidate to ship while a race is still running: the best estimate so far, and what shipping it is expected to cost.

Choosing is a decision under uncertainty and no claim: something ships, and a test that says "not shown" ships the slower one more
often than not. A candidate's estimate is the mean of its log costs with the slowest third of them capped, since interference only
ever slows a process down. What is expected to be lost by shipping one of them is the expected improvement of each other,
E[(θ_one − θ_other)+], under Student's t on the paired differences of their rounds (expected improvement: Jones, Schonlau, Welch,
Efficient Global Optimization, 1998; to select among a few by it: Chick and Inoue, New two-stage and sequential procedures for
selecting the best simulated system, 2001). The race goes on for whoever may still turn out better.

``benchmarks/choice_replay.py`` replays recorded processes through these functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from edgecnn.values.verdict import Interval

LOOKS = (3, 5, 8, 11, 14, 18, 24)
"""After how many rounds the race for the choice looks at itself; the last is the cap."""
ENOUGH = 0.005
"""The race ends where shipping the one ahead is expected to cost no more, as a share of its cost."""
OUT = ENOUGH / 20
"""Whoever is expected to be better by less runs no more rounds."""
BEARABLE = 0.02
"""A choice that is expected to cost more than that is no settled one, however many rounds there were."""
ALIKE = 1.01
"""Times the cost of the one ahead, up to which the higher precision is kept."""
SPREAD, SPREAD_WEIGHT = 0.05, 2.0
"""The prior on the spread of a paired log difference, and how many rounds it is worth: three alike by luck end no race."""
SLOWEST = 3
"""One in so many runs is capped at the slowest of the others."""

Costs = Mapping[str, Mapping[int, float]]
"""Candidate to round to cost, such as the median of its process in milliseconds; all positive."""


@dataclass(frozen=True)
class Lead:
    """How a race for the choice stands for one candidate."""

    name: str
    regret: float
    """What shipping it is expected to cost, as a share of its cost: the sum over all others."""
    parts: Mapping[str, float]
    """Each other candidate's part of it."""

    @property
    def still_in(self) -> frozenset[str]:
        """Who runs another round: this one, and whoever may matter."""
        return frozenset({self.name, *(name for name, part in self.parts.items() if part >= OUT)})


def estimate(costs: Iterable[float]) -> float:
    """The mean of the logs with the slowest third capped, as a cost again."""
    return math.exp(fmean(_capped([math.log(cost) for cost in costs])))


def lead_of(costs: Costs) -> Lead:
    """How the race stands for the one that costs least to ship. Each pair is compared by the rounds that both ran, so that who
    left early is held to the same minutes as the others.

    Raises ValueError: nobody has a cost.
    """
    return min((standing_of(name, costs) for name in costs), key=lambda lead: (lead.regret, lead.name))


def standing_of(name: str, costs: Costs) -> Lead:
    """How it stands for this one."""
    parts = {rival: _expected_gain(rival_costs, costs[name]) for rival, rival_costs in costs.items() if rival != name}
    return Lead(name, sum(parts.values()), parts)


def alike(costs: Costs, ahead: str) -> frozenset[str]:
    """Whoever costs at most 1 % more than the one ahead in the rounds that both ran, itself among them."""
    near = (name for name in costs if name != ahead and _difference(costs[name], costs[ahead])[0] <= math.log(ALIKE))
    return frozenset({ahead, *near})


def preferred(costs: Costs, pays: Mapping[str, tuple[int, bool]]) -> str:
    """Who ships: the one ahead, or who is alike to it and pays less in accuracy (``choice.pays``)."""
    lead = lead_of(costs)

    def place(name: str) -> tuple[tuple[int, bool], bool, float, str]:
        return pays[name], name != lead.name, -estimated_ratio(costs[lead.name], costs[name]).estimate, name

    return min(alike(costs, lead.name), key=place)


def estimate_alone(value: float) -> Interval:
    """An estimate without a level: a race for the choice goes on for as long as its figures make it, and for many candidates, so
    that an interval of a fixed sample would not hold as often as it says."""
    return Interval(estimate=value, low=value, high=value, confidence=0.0)


def estimated_ratio(reference: Mapping[int, float], ours: Mapping[int, float]) -> Interval:
    """The reference's cost over ours in the rounds that both ran, an estimate alone: above 1 ours is better."""
    return estimate_alone(math.exp(-_difference(ours, reference)[0]))


def _expected_gain(other: Mapping[int, float], ours: Mapping[int, float]) -> float:
    """E[(θ_ours − θ_other)+] of Student's t, located at m with scale s and ν degrees of freedom.

    With z = m / s it is s·((ν + z²) / (ν − 1)·f(z) − z·F(−z)), f and F being its density and distribution.
    """
    from scipy.special import stdtr

    mean, spread, freedom, count = _difference(other, ours)
    scale = spread / math.sqrt(count)
    z = mean / scale
    density = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    density *= (1 + z * z / freedom) ** (-(freedom + 1) / 2)
    gain: float = scale * ((freedom + z * z) / (freedom - 1) * density - z * float(stdtr(freedom, -z)))
    return max(0.0, gain)


def _difference(other: Mapping[int, float], ours: Mapping[int, float]) -> tuple[float, float, float, int]:
    """Mean of the paired log differences, their spread, its degrees of freedom, and how many pairs there are.

    The spread is of the differences as they are: capping what interference did takes nothing from how little is known.
    """
    rounds = sorted(other.keys() & ours.keys())
    if not rounds:
        raise ValueError("candidates of one race share its first rounds")
    theirs, mine = ([math.log(costs[number]) for number in rounds] for costs in (other, ours))
    spread, freedom = _spread([a - b for a, b in zip(theirs, mine, strict=True)])
    return fmean(_capped(theirs)) - fmean(_capped(mine)), spread, freedom, len(rounds)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    middle, freedom = fmean(values), SPREAD_WEIGHT + len(values) - 1
    squares = SPREAD_WEIGHT * SPREAD**2 + sum((value - middle) ** 2 for value in values)
    return math.sqrt(squares / freedom), freedom


def _capped(logs: Sequence[float]) -> list[float]:
    kept = sorted(logs)[: len(logs) - len(logs) // SLOWEST]
    return [min(log, kept[-1]) for log in logs]
