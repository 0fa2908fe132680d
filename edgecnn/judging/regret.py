"""Which candidate to ship while a race is still running: the best estimate so far, and what shipping it is expected to cost.

Choosing is a decision under uncertainty and no claim: something ships, and a test that says "not shown" ships the slower one
more often than not. A candidate's estimate is the mean of its log costs with the slowest third of them capped, since
interference only ever slows a process down. What is expected to be lost by shipping one of them is the expected improvement of
each other, E[(θ_one − θ_other)+], under Student's t on the paired differences of their rounds (expected improvement: Jones,
Schonlau, Welch, Efficient Global Optimization, 1998; to select among a few by it: Chick and Inoue, New two-stage and sequential
procedures for selecting the best simulated system, 2001). The race goes on for whoever may still turn out better.

``benchmarks/choice_replay.py`` replays recorded processes through these functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from edgecnn.values.verdict import Interval

LOOKS = (3, 5, 8, 11, 14, 18, 24)
"""Rounds after which the first race looks at itself; the last is the limit."""
ENOUGH = 0.005
"""The race ends when shipping the leader is expected to cost no more than this share."""
OUT = ENOUGH / 20
"""A candidate that is expected to be better by less than this runs no more rounds."""
BEARABLE = 0.02
"""A choice that is expected to cost more than this stays provisional, whatever the number of rounds."""
ALIKE = 1.01
"""Factor of the leader's cost up to which the higher precision is kept."""
SPREAD, SPREAD_WEIGHT = 0.05, 2.0
"""Prior on the spread of a paired log difference, and its weight in rounds: three equal rounds by luck end no race."""
SLOWEST = 3
"""One in this many runs is capped at the slowest of the others."""

Costs = Mapping[str, Mapping[int, float]]
"""Cost of each candidate by round, such as the median of its process in milliseconds; all positive."""


@dataclass(frozen=True)
class Lead:
    """State of a first race for one candidate."""

    name: str
    regret: float
    """Expected cost of shipping it, as a share of its cost: the sum over all others."""
    parts: Mapping[str, float]
    """The part of each other candidate."""

    @property
    def still_in(self) -> frozenset[str]:
        """Candidates that run another round: this one, and those that may matter."""
        return frozenset({self.name, *(name for name, part in self.parts.items() if part >= OUT)})


def estimate(costs: Iterable[float]) -> float:
    """Mean of the logs with the slowest third capped, as a cost."""
    return math.exp(fmean(_capped([math.log(cost) for cost in costs])))


def lead_of(costs: Costs) -> Lead:
    """Return the state for the candidate that costs least to ship. Pairs compare the rounds that both ran, so that candidates
    that left early are compared over the same minutes.

    Raises ValueError: no candidate has a cost.
    """
    return min((standing_of(name, costs) for name in costs), key=lambda lead: (lead.regret, lead.name))


def standing_of(name: str, costs: Costs) -> Lead:
    """Return the state for this candidate."""
    parts = {rival: _expected_gain(rival_costs, costs[name]) for rival, rival_costs in costs.items() if rival != name}
    return Lead(name, sum(parts.values()), parts)


def alike(costs: Costs, ahead: str) -> frozenset[str]:
    """Candidates that cost at most 1 % more than the leader in the rounds that both ran, including the leader."""
    near = (name for name in costs if name != ahead and _difference(costs[name], costs[ahead])[0] <= math.log(ALIKE))
    return frozenset({ahead, *near})


def preferred(costs: Costs, pays: Mapping[str, tuple[int, bool]]) -> str:
    """Return the candidate to ship: the leader, or one alike to it that pays less in accuracy (``choice.pays``)."""
    lead = lead_of(costs)

    def place(name: str) -> tuple[tuple[int, bool], bool, float, str]:
        return pays[name], name != lead.name, -estimated_ratio(costs[lead.name], costs[name]).estimate, name

    return min(alike(costs, lead.name), key=place)


def estimate_alone(value: float) -> Interval:
    """Return an estimate without a level. A first race stops by its own figures and has many candidates, so the
    interval of a fixed sample would not hold."""
    return Interval(estimate=value, low=value, high=value, confidence=0.0)


def estimated_ratio(reference: Mapping[int, float], ours: Mapping[int, float]) -> Interval:
    """Return the reference's cost over ours in the rounds that both ran, an estimate: above 1 ours is better."""
    return estimate_alone(math.exp(-_difference(ours, reference)[0]))


def _expected_gain(other: Mapping[int, float], ours: Mapping[int, float]) -> float:
    """E[(θ_ours − θ_other)+] of Student's t at m with scale s and ν degrees of freedom.

    With z = m / s it is s·((ν + z²) / (ν − 1)·f(z) − z·F(−z)), with density f and distribution F.
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
    """Mean of the paired log differences, their spread, its degrees of freedom, and the number of pairs.

    The spread is of the uncapped differences, because capping interference does not add certainty.
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
