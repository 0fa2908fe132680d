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
from edgecnn.judging.dependence import runs_interval, share_of_runs_below
from edgecnn.judging.gates import DEFAULT_LATENCY_RATIO
from edgecnn.judging.intervals import LATENCY_CONFIDENCE, day_ratio_interval, median_interval
from edgecnn.judging.regret import ENOUGH, LOOKS, SPREAD, SPREAD_WEIGHT, lead_of
from edgecnn.judging.stopping import INTERIM_RUNS, confidence_at, rule_of
from edgecnn.runner.runs.figures import TAIL_SHARE, share_below
from edgecnn.sweeps.boards import KinBoard, mark_slower
from edgecnn.sweeps.fleet import BETWEEN_DAYS
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
    return [float(ms) for ms in np.exp(SPREAD_OF_RUNS * deviates)]


def _misses(interval: Interval | None, truth: float = 1.0) -> bool:
    return interval is not None and not interval.low <= truth <= interval.high


def p50_case(drawn: Callable[[Random], list[float]]) -> Callable[[Random], Outcome]:
    """Whether the interval of p50 misses."""

    def draw(random: Random) -> Outcome:
        runs = drawn(random)
        return _misses(median_interval(runs)), _misses(runs_interval(runs))

    return draw


def tail_case(drawn: Callable[[Random], list[float]]) -> Callable[[Random], Outcome]:
    """Whether a bound on a tail is met that three of four processes just keep."""
    bound = math.exp(SPREAD_OF_RUNS * float(ndtri(TAIL_SHARE)))

    def draw(random: Random) -> Outcome:
        runs = drawn(random)
        return (share_below(runs, TAIL_SHARE) or math.inf) < bound, (share_of_runs_below(runs, TAIL_SHARE) or math.inf) < bound

    return draw


def until_case(drawn: Callable[[Random], list[float]]) -> Callable[[Random], Outcome]:
    """Whether the interval misses with which ``--until 2%`` stops."""
    until = rule_of(0.02)

    def stopped(runs: Sequence[float], rule: IntervalOf) -> Interval | None:
        verdict = None
        for look in INTERIM_RUNS:
            verdict = rule(runs[:look], confidence_at(until))
            if (
                verdict is not None
                and max(verdict.high - verdict.estimate, verdict.estimate - verdict.low) <= 0.02 * verdict.estimate
            ):
                break
        return verdict

    def draw(random: Random) -> Outcome:
        runs = drawn(random)
        return _misses(stopped(runs, median_interval)), _misses(stopped(runs, runs_interval))

    return draw


def choice_case(candidates: int, random: Random) -> Outcome:
    """Whether a report names one of equal candidates slower, from the first race."""
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
    shown = {name: Estimated(cost=1.0, runs=len(cost), machine="") for name, cost in costs.items()}
    contest = Contest("latency", shown, costs)
    others = [name for name in costs if name != lead.name]
    now = (contest.ratio(name, lead.name) for name in others)
    return (
        any(_student_high(costs[name], costs[lead.name], contest.ratio(name, lead.name).estimate) < 1 for name in others),
        any(interval.confidence > 0 and interval.high < 1 for interval in now),
    )


def _student_high(ours: dict[int, float], best: dict[int, float], ratio: float) -> float:
    """The upper end of the former interval of a ratio."""
    rounds = sorted(ours.keys() & best.keys())
    differences = np.log([ours[at] for at in rounds]) - np.log([best[at] for at in rounds])
    freedom = SPREAD_WEIGHT + len(rounds) - 1
    spread = math.sqrt((SPREAD_WEIGHT * SPREAD**2 + float(((differences - differences.mean()) ** 2).sum())) / freedom)
    reach = float(stdtrit(freedom, 0.5 + LATENCY_CONFIDENCE / 2)) * spread / math.sqrt(len(rounds))
    return ratio * math.exp(reach)


def boards_case(boards: int, between: float, random: Random) -> Outcome:
    """Whether one of equal boards is named slower, each raced on a day of its own."""
    days = [float(ms) for ms in np.exp(random.normal(0.0, between, boards))]
    points = [_near(ms) for ms in days]
    former = any(one.low / DEFAULT_LATENCY_RATIO > other.high for one in points for other in points)
    now = mark_slower([KinBoard(board=str(at), p50_ms=ms, disturbed=None) for at, ms in enumerate(points)])
    return former, any(board.slower is not None for board in now)


def _near(ms: float) -> Interval:
    return Interval(estimate=ms, low=0.995 * ms, high=1.005 * ms, confidence=LATENCY_CONFIDENCE)


def builds_case(between: float, random: Random) -> Outcome:
    """Whether one of two builds that are equally fast is behind the other for sure, each raced on a day of its own."""
    fast, slow = sorted(float(ms) for ms in np.exp(random.normal(0.0, between, 2)))
    return _near(fast).high < _near(slow).low, _near(fast).high * BETWEEN_DAYS < _near(slow).low


def two_paces_case(days: int, share: float, random: Random) -> Outcome:
    """Whether ``baseline compare`` fails an unchanged kit at a bound of 1.03: a share of days is at a pace 1.3 times as slow."""
    paces = np.where(random.random(days + 1) < share, 1.3, 1.0) * np.exp(random.normal(0.0, 0.01, days + 1))
    ratio = day_ratio_interval(float(paces[0]), [float(pace) for pace in paces[1:]])
    wrong = ratio is not None and ratio.low > DEFAULT_LATENCY_RATIO
    return wrong, wrong


def cases() -> list[Assumption]:
    """In the order of the table in docs/reference/error-rates.md."""
    cases_ = []
    for runs in (8, 16, 24):
        for follows in (0.0, 0.5, 0.7, 0.9):
            drawn = partial(medians, runs=runs, follows=follows)
            cases_.append(Assumption("the interval of p50", _runs(runs, follows), 0.02, p50_case(drawn)))
        drawn = partial(medians, runs=runs, drifts=True)
        cases_.append(Assumption("the interval of p50", f"{runs} runs that drift", 0.02, p50_case(drawn)))
    for runs in (17, 24):
        for follows in (0.0, 0.5, 0.7):
            drawn = partial(medians, runs=runs, follows=follows)
            cases_.append(Assumption("PASS of p90 or p99", _runs(runs, follows), 0.01, tail_case(drawn)))
    for follows in (0.0, 0.5, 0.7, 0.9):
        drawn = partial(medians, runs=INTERIM_RUNS[-1], follows=follows)
        cases_.append(Assumption("`--until 2%`", _runs(INTERIM_RUNS[-1], follows, "up to "), 0.02, until_case(drawn)))
    cases_ += [
        Assumption("slower in the first race", f"{number} equal candidates", 0.01, partial(choice_case, number))
        for number in (2, 4, 8)
    ]
    cases_ += [
        Assumption(
            "a board is slower", f"{number} equal boards, days that differ by 2 %", 0.01, partial(boards_case, number, 0.02)
        )
        for number in (4, 10)
    ]
    cases_ += [
        Assumption(
            "behind, and not unsure",
            f"2 equal builds, days that differ by {100 * number:g} %",
            0.01,
            partial(builds_case, number),
        )
        for number in (0.02, 0.03)
    ]
    for days in (3, 5, 10):
        for share in (0.1, 0.3):
            paces = f"{days} recorded days, {100 * share:g} % of days 1.3 × as slow"
            cases_.append(Assumption("FAIL of `baseline compare`", paces, 0.01, partial(two_paces_case, days, share)))
    return cases_


def _runs(runs: int, follows: float, most: str = "") -> str:
    return f"{most}{runs} independent runs" if not follows else f"{most}{runs} runs, autocorrelation {follows:g}"


COLUMNS = ("claim", "drawn of", "stated", "wrong before", "wrong now")


def wrong(case: Assumption, draws: int | None = None, seed: int = 7) -> tuple[float, float]:
    """By the former rule, and by that of now, 0…1."""
    random, count = np.random.default_rng(seed), draws or case.draws
    outcomes = np.array([case.draw(random) for _ in range(count)], float)
    former, now = outcomes.mean(axis=0)
    return float(former), float(now)


def row(case: Assumption, rates: tuple[float, float]) -> str:
    """Of the table in docs/reference/error-rates.md."""
    shares = (f"{100 * share:.1f} %" for share in rates)
    return f"| {' | '.join((case.claim, case.drawn_of, f'{100 * case.stated:g} %', *shares))} |"
