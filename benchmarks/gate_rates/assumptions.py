"""Where runs, days or boards are not what an interval takes them for: how often claims err, by the former rules and now.

Rows of runs draw medians with a spread of 3 % around a true p50 of 1. ``follows``: how much of its deviate a run has from the run
before it, as in a first-order autoregression. ``drifts``: the race is a part of a longer drift, in which the pace changes by two
spreads from the first run to the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtri, stdtrit

from edgecnn.judging.choice import Contest, Estimated
from edgecnn.judging.gates import DEFAULT_LATENCY_RATIO
from edgecnn.judging.intervals import LATENCY_CONFIDENCE, day_ratio_interval, median_interval, share_below
from edgecnn.judging.runs.dependence import runs_interval, share_of_runs_below
from edgecnn.judging.runs.latency import SHARE
from edgecnn.judging.runs.regret import ENOUGH, LOOKS, SPREAD, SPREAD_WEIGHT, lead_of
from edgecnn.judging.runs.stopping import INTERIM_RUNS, confidence_at, rule_of
from edgecnn.sweeps.fleet import BETWEEN_DAYS
from edgecnn.sweeps.kin import KinBoard, compared
from edgecnn.values.verdict import Interval

Random = np.random.Generator
Outcome = tuple[bool, bool]
"""Whether a claim of one draw is wrong by the former rule, and by that of now."""
SPREAD_OF_RUNS = 0.03
IntervalOf = Callable[[Sequence[float], float], Interval | None]


@dataclass(frozen=True)
class Assumption:
    """A claim, a population in which it is wrong, and how often it may be."""

    claim: str
    drawn_of: str
    stated: float
    draw: Callable[[Random], Outcome]
    draws: int = 2_000


def medians(random: Random, runs: int, follows: float = 0.0, *, drifts: bool = False) -> list[float]:
    """Of one race, around 1."""
    deviates = random.normal(size=runs)
    for at in range(1, runs):
        deviates[at] = follows * deviates[at - 1] + math.sqrt(1 - follows**2) * deviates[at]
    if drifts:
        deviates += random.choice((-1, 1)) * np.linspace(-1, 1, runs) + random.uniform(-1, 1)
    return [float(each) for each in np.exp(SPREAD_OF_RUNS * deviates)]


def _misses(found: Interval | None, truth: float = 1.0) -> bool:
    return found is not None and not found.low <= truth <= found.high


def of_p50(drawn: Callable[[Random], list[float]]) -> Callable[[Random], Outcome]:
    """Whether the interval of p50 misses."""

    def draw(random: Random) -> Outcome:
        runs = drawn(random)
        return _misses(median_interval(runs)), _misses(runs_interval(runs))

    return draw


def of_tail(drawn: Callable[[Random], list[float]]) -> Callable[[Random], Outcome]:
    """Whether a bound on a tail is met that three of four processes just keep."""
    bound = math.exp(SPREAD_OF_RUNS * float(ndtri(SHARE)))

    def draw(random: Random) -> Outcome:
        runs = drawn(random)
        return (share_below(runs, SHARE) or math.inf) < bound, (share_of_runs_below(runs, SHARE) or math.inf) < bound

    return draw


def of_until(drawn: Callable[[Random], list[float]]) -> Callable[[Random], Outcome]:
    """Whether the interval misses with which ``--until 2%`` stops."""
    until = rule_of(0.02)

    def stopped(runs: Sequence[float], rule: IntervalOf) -> Interval | None:
        found = None
        for look in INTERIM_RUNS:
            found = rule(runs[:look], confidence_at(until))
            if found is not None and max(found.high - found.estimate, found.estimate - found.low) <= 0.02 * found.estimate:
                break
        return found

    def draw(random: Random) -> Outcome:
        runs = drawn(random)
        return _misses(stopped(runs, median_interval)), _misses(stopped(runs, runs_interval))

    return draw


def of_the_choice(candidates: int, random: Random) -> Outcome:
    """Whether a report names one of equal candidates slower, from the race for the choice."""
    times = np.exp(SPREAD_OF_RUNS * random.normal(size=(LOOKS[-1], candidates)))
    costs: dict[str, dict[int, float]] = {str(name): {} for name in range(candidates)}
    racing, done = frozenset(costs), 0
    for look in LOOKS:
        for name in racing:
            costs[name] |= {at: float(times[at, int(name)]) for at in range(done, look)}
        lead, done = lead_of(costs), look
        if lead.regret < ENOUGH:
            break
        racing = lead.still_in
    shown = {name: Estimated(cost=1.0, runs=len(each), machine="") for name, each in costs.items()}
    contest = Contest("latency", shown, costs)
    others = [name for name in costs if name != lead.name]
    now = (contest.ratio(name, lead.name) for name in others)
    return (
        any(_student_high(costs[name], costs[lead.name], contest.ratio(name, lead.name).estimate) < 1 for name in others),
        any(each.confidence > 0 and each.high < 1 for each in now),
    )


def _student_high(ours: dict[int, float], best: dict[int, float], ratio: float) -> float:
    """The upper end of the former interval of a ratio."""
    rounds = sorted(ours.keys() & best.keys())
    differences = np.log([ours[at] for at in rounds]) - np.log([best[at] for at in rounds])
    freedom = SPREAD_WEIGHT + len(rounds) - 1
    spread = math.sqrt((SPREAD_WEIGHT * SPREAD**2 + float(((differences - differences.mean()) ** 2).sum())) / freedom)
    reach = float(stdtrit(freedom, 0.5 + LATENCY_CONFIDENCE / 2)) * spread / math.sqrt(len(rounds))
    return ratio * math.exp(reach)


def of_boards(boards: int, between: float, random: Random) -> Outcome:
    """Whether one of equal boards is named slower, each raced on a day of its own."""
    days = [float(each) for each in np.exp(random.normal(0.0, between, boards))]
    seen = [_near(ms) for ms in days]
    former = any(one.low / DEFAULT_LATENCY_RATIO > other.high for one in seen for other in seen)
    now = compared([KinBoard(board=str(at), p50_ms=each, disturbed=None) for at, each in enumerate(seen)])
    return former, any(each.slower is not None for each in now)


def _near(ms: float) -> Interval:
    return Interval(estimate=ms, low=0.995 * ms, high=1.005 * ms, confidence=LATENCY_CONFIDENCE)


def of_builds(between: float, random: Random) -> Outcome:
    """Whether one of two builds that are equally fast is behind the other for sure, each raced on a day of its own."""
    fast, slow = sorted(float(each) for each in np.exp(random.normal(0.0, between, 2)))
    return _near(fast).high < _near(slow).low, _near(fast).high * BETWEEN_DAYS < _near(slow).low


def of_two_paces(days: int, share: float, random: Random) -> Outcome:
    """Whether ``baseline compare`` fails an unchanged kit at a bound of 1.03: a share of days is at a pace 1.3 times as slow."""
    paces = np.where(random.random(days + 1) < share, 1.3, 1.0) * np.exp(random.normal(0.0, 0.01, days + 1))
    ratio = day_ratio_interval(float(paces[0]), [float(each) for each in paces[1:]])
    wrong = ratio is not None and ratio.low > DEFAULT_LATENCY_RATIO
    return wrong, wrong


def cases() -> list[Assumption]:
    """In the order of the table in docs/reference/error-rates.md."""
    found = []
    for runs in (8, 16, 24):
        for follows in (0.0, 0.5, 0.7, 0.9):
            drawn = partial(medians, runs=runs, follows=follows)
            found.append(Assumption("the interval of p50", _runs(runs, follows), 0.02, of_p50(drawn)))
        drawn = partial(medians, runs=runs, drifts=True)
        found.append(Assumption("the interval of p50", f"{runs} runs that drift", 0.02, of_p50(drawn)))
    for runs in (17, 24):
        for follows in (0.0, 0.5, 0.7):
            drawn = partial(medians, runs=runs, follows=follows)
            found.append(Assumption("PASS of p90 or p99", _runs(runs, follows), 0.01, of_tail(drawn)))
    for follows in (0.0, 0.5, 0.7, 0.9):
        drawn = partial(medians, runs=INTERIM_RUNS[-1], follows=follows)
        found.append(Assumption("`--until 2%`", _runs(INTERIM_RUNS[-1], follows, "up to "), 0.02, of_until(drawn)))
    found += [
        Assumption("slower in the race for the choice", f"{each} equal candidates", 0.01, partial(of_the_choice, each))
        for each in (2, 4, 8)
    ]
    found += [
        Assumption("a board is slower", f"{each} equal boards, days that differ by 2 %", 0.01, partial(of_boards, each, 0.02))
        for each in (4, 10)
    ]
    found += [
        Assumption(
            "behind, and not unsure", f"2 equal builds, days that differ by {100 * each:g} %", 0.01, partial(of_builds, each)
        )
        for each in (0.02, 0.03)
    ]
    for days in (3, 5, 10):
        for share in (0.1, 0.3):
            paces = f"{days} recorded days, {100 * share:g} % of days 1.3 × as slow"
            found.append(Assumption("FAIL of `baseline compare`", paces, 0.01, partial(of_two_paces, days, share)))
    return found


def _runs(runs: int, follows: float, most: str = "") -> str:
    return f"{most}{runs} independent runs" if not follows else f"{most}{runs} runs, autocorrelation {follows:g}"


COLUMNS = ("claim", "drawn of", "stated", "wrong before", "wrong now")


def wrong(case: Assumption, draws: int | None = None, seed: int = 7) -> tuple[float, float]:
    """By the former rule, and by that of now, 0…1."""
    random, count = np.random.default_rng(seed), draws or case.draws
    outcomes = np.array([case.draw(random) for _ in range(count)], float)
    former, now = outcomes.mean(axis=0)
    return float(former), float(now)


def row(case: Assumption, found: tuple[float, float]) -> str:
    """Of the table in docs/reference/error-rates.md."""
    shares = (f"{100 * each:.1f} %" for each in found)
    return f"| {' | '.join((case.claim, case.drawn_of, f'{100 * case.stated:g} %', *shares))} |"
