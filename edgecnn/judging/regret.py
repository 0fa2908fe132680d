"""The candidate to ship, decided while a race is running: the best estimate so far, and the expected regret of shipping it.

Choosing is a decision under uncertainty, not a claim: something ships, and a test that says "not shown" often ships the slower
candidate. A candidate's estimate is the mean of its log costs with the slowest third capped, because interference only slows a
process down. The expected regret of a candidate is the sum of the expected improvements by the others, E[(θ_ours − θ_other)+],
under Student's t on the paired differences of their rounds. (Expected improvement: Jones, Schonlau, Welch, Efficient Global
Optimization, 1998. Selection by it: Chick and Inoue, New two-stage and sequential procedures for selecting the best simulated
system, 2001.) The race continues for candidates that may still turn out to be better.

Other programs slow some candidates more than others. So there may be two costs of each run: the measured cost, and the cost
without the time that the process waited for a processor. The true cost on a quiet machine is between them. The expected regret is
the larger one by these two costs, and a candidate stays in the race if it may be better by either.

``benchmarks/choice_replay.py`` replays recorded processes through these functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from edgecnn.values.verdict import Interval

LOOKS = (3, 5, 8, 11, 14, 18, 24)
"""Rounds after which the first race is evaluated; the last is the limit."""
ENOUGH = 0.005
"""Expected regret of the leader, as a share of its cost, at which the race ends."""
OUT = ENOUGH / 20
"""Expected improvement below which a candidate runs no more rounds."""
BEARABLE = 0.02
"""Expected regret above which a choice stays provisional after any number of rounds."""
ALIKE = 1.01
"""Factor of the leader's cost up to which the higher precision is kept."""
SPREAD, SPREAD_WEIGHT = 0.05, 2.0
"""Prior of the spread of a paired log difference, and its weight in rounds, so that three rounds equal by luck end no race."""
SLOWEST = 3
"""One in this many runs is capped at the slowest of the other runs."""

Costs = Mapping[str, Mapping[int, float]]
"""Cost of each candidate by round, such as the median of its process in milliseconds; all positive."""


@dataclass(frozen=True)
class Lead:
    """State of a first race for one candidate."""

    name: str
    regret: float
    """Expected regret of shipping the candidate, as a share of its cost: the sum of ``parts``."""
    parts: Mapping[str, float]
    """Expected improvement by each other candidate."""

    @property
    def still_in(self) -> frozenset[str]:
        """The candidates that run another round: this candidate, and those that may turn out to be better."""
        return frozenset({self.name, *(name for name, part in self.parts.items() if part >= OUT)})


def estimate(costs: Iterable[float]) -> float:
    """Return the cost whose log is the mean of the logs of the costs, with the slowest third capped."""
    return math.exp(fmean(_capped([math.log(cost) for cost in costs])))


def lead_of(costs: Costs, without_waiting: Costs | None = None) -> Lead:
    """Return the state of the candidate with the least expected regret.

    ``without_waiting``: costs of the same rounds, without the time that processes waited for a processor; None if unknown.

    Pairs are compared in the rounds that both ran, so that candidates that left early are compared over the same minutes.

    Raises ValueError: no candidate has a cost.
    """
    return min((standing_of(name, costs, without_waiting) for name in costs), key=lambda lead: (lead.regret, lead.name))


def standing_of(name: str, costs: Costs, without_waiting: Costs | None = None) -> Lead:
    """Return the state of this candidate."""
    known = (costs, without_waiting or costs)
    parts = {rival: max(_expected_gain(some[rival], some[name]) for some in known) for rival in costs if rival != name}
    return Lead(name, sum(parts.values()), parts)


def alike(costs: Costs, ahead: str) -> frozenset[str]:
    """Return the candidates that cost at most 1 % more than the leader in the rounds that both ran, and the leader."""
    near = (name for name in costs if name != ahead and _difference(costs[name], costs[ahead])[0] <= math.log(ALIKE))
    return frozenset({ahead, *near})


def preferred(costs: Costs, risks: Mapping[str, tuple[int, bool]], without_waiting: Costs | None = None) -> str:
    """Return the candidate to ship: the leader, or a candidate like it that risks less accuracy (``choice.accuracy_risk``)."""
    lead = lead_of(costs, without_waiting)

    def place(name: str) -> tuple[tuple[int, bool], bool, float, str]:
        return risks[name], name != lead.name, -estimated_ratio(costs[lead.name], costs[name]).estimate, name

    return min(alike(costs, lead.name), key=place)


def estimate_alone(value: float) -> Interval:
    """Return an estimate without a confidence level.

    A first race stops by its own figures and has many candidates, so the interval of a fixed sample would not hold.
    """
    return Interval(estimate=value, low=value, high=value, confidence=0.0)


def estimated_ratio(reference: Mapping[int, float], ours: Mapping[int, float]) -> Interval:
    """Return an estimate of the reference's cost over ours in the rounds that both ran; above 1, ours is better."""
    return estimate_alone(math.exp(-_difference(ours, reference)[0]))


def _expected_gain(other: Mapping[int, float], ours: Mapping[int, float]) -> float:
    """Return E[(θ_ours − θ_other)+] for Student's t at m with scale s and ν degrees of freedom.

    With z = m / s, it is s·((ν + z²) / (ν − 1)·f(z) − z·F(−z)), with density f and distribution F.
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
    """Return the mean of the paired log differences, their spread, its degrees of freedom, and the number of pairs.

    The spread uses the uncapped differences, because capping interference does not add certainty.
    """
    rounds = sorted(other.keys() & ours.keys())
    if not rounds:
        raise ValueError("candidates of one race share its first rounds")
    theirs, mine = ([math.log(costs[number]) for number in rounds] for costs in (other, ours))
    differences = [a - b for a, b in zip(theirs, mine, strict=True)]
    middle, freedom = fmean(differences), SPREAD_WEIGHT + len(rounds) - 1
    squares = SPREAD_WEIGHT * SPREAD**2 + sum((difference - middle) ** 2 for difference in differences)
    return fmean(_capped(theirs)) - fmean(_capped(mine)), math.sqrt(squares / freedom), freedom, len(rounds)


def _capped(logs: Sequence[float]) -> list[float]:
    kept = sorted(logs)[: len(logs) - len(logs) // SLOWEST]
    return [min(log, kept[-1]) for log in logs]
