"""Rules that stop a race, and the rounds that would settle a gate.

An interval promises too much if a race may stop whenever its result looks good. So the rule is fixed before the first run: the
race is evaluated after fixed numbers of rounds (looks), and at no other time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgecnn.judging.dependence import runs_interval
from edgecnn.judging.intervals import LATENCY_CONFIDENCE, two_sided_z
from edgecnn.judging.resolution import POWER, enough_to_tell_apart
from edgecnn.runner.runs.figures import run_percentile
from edgecnn.values.profile import Run, Until
from edgecnn.values.verdict import Interval

INTERIM_RUNS = (20, 28, 40)
"""Looks of a race with a target half-width. The first is the least number of runs that bounds a tail of three in four processes
at 99.3 % and detects dependent runs. The last is the limit."""


def rule_of(half_width: float) -> Until:
    """Return the rule of a race that runs until p50 is known to ± this share."""
    return Until(half_width=half_width, looks=INTERIM_RUNS)


def confidence_at(until: Until | None) -> float:
    """Return the confidence of an interval at one look that makes it hold over all looks."""
    return look_confidence(1 if until is None else len(until.looks))


def over_all_looks(interval: Interval | None, until: Until | None) -> Interval | None:
    """Return the interval with the confidence that it has over all looks of the rule."""
    if interval is None or until is None:
        return interval
    return interval.model_copy(update={"confidence": LATENCY_CONFIDENCE})


def half_width(runs: Sequence[Run], until: Until) -> float | None:
    """Return the longer side of the interval of p50 as a share of p50; None without an interval."""
    medians = [median_ns for run in runs if (median_ns := run_percentile(run.samples_ns, 50)) is not None]
    interval = runs_interval(medians, confidence_at(until)) if len(medians) == len(runs) else None
    return None if interval is None else _reach(interval)


def well_known(runs: Sequence[Run], until: Until) -> bool:
    """Whether the rule may stop for this kit."""
    reach = half_width(runs, until)
    return reach is not None and reach <= until.half_width


def how_it_stopped(rounds: int, p50: Interval | None, until: Until | None) -> str | None:
    """Return why the race stopped and how that affects its intervals; None if its number of rounds was fixed."""
    if until is None:
        return None
    target = f"± {100 * until.half_width:g} %"
    if p50 is None:
        return f"stopped after {rounds} rounds without an interval (target {target})"
    looks = f"{', '.join(str(look) for look in until.looks[:-1])} and {until.looks[-1]}"
    rule = (
        f"the race was checked after {looks} rounds, each time at {100 * confidence_at(until):.4g} %,"
        f" so that every interval holds at {100 * LATENCY_CONFIDENCE:g} %"
    )
    reached = f"± {100 * _reach(p50):.1f} %"
    if _reach(p50) <= until.half_width:
        return f"stopped after {rounds} rounds with p50 known to {reached} (target {target}); {rule}"
    end = "reached the limit of" if rounds >= until.looks[-1] else "ended after"
    return f"{end} {rounds} rounds with p50 known to {reached} (target {target}): {what_helps(None)}; {rule}"


def _reach(interval: Interval) -> float:
    return max(interval.high - interval.estimate, interval.estimate - interval.low) / interval.estimate


INTERIM_ROUNDS = (16, 24, 48)
"""Looks of a paired race. Three looks that share an error of 2 % need 99.3 % each. From the first on, a dependence of rounds is
mostly detected."""
ROUNDS_MAX = INTERIM_ROUNDS[-1]
_WORTH_A_LOOK = 0.75
"""Share of the limit up to which a race is evaluated; a look shortly before the last one costs confidence and saves nothing."""


def looks(rounds_max: int = ROUNDS_MAX, first: int = 0) -> tuple[int, ...]:
    """Return the numbers of rounds after which a race is evaluated, the last being ``rounds_max``.

    They double beyond ``INTERIM_ROUNDS``. ``first``: the race may not stop before this many rounds.
    """
    planned = list(dict.fromkeys(max(rounds, first) for rounds in INTERIM_ROUNDS))
    while planned[-1] < rounds_max:
        planned.append(2 * planned[-1])
    return (*(rounds for rounds in planned if rounds <= _WORTH_A_LOOK * rounds_max), rounds_max)


def look_confidence(count: int, whole: float = LATENCY_CONFIDENCE) -> float:
    """Return the two-sided confidence of each of ``count`` looks that makes all of them hold together at ``whole``."""
    return 1 - (1 - whole) / count


ROUNDS_WORTH_ASKING = 200
"""Largest number of rounds that is advised; with more, a race of three kits takes an hour, and conditions change."""

OF_A_BUILD = "--set race.rounds={}"
OF_A_FINISHED_BUILD = "build again with --set race.rounds={}"
OF_A_COMPARISON = "--rounds {}"
OF_A_DEVICE = "python3 -m runner measure ../.. --rounds {}"
"""Option or command that requests a number of rounds, by kind of command."""


def rounds_to_settle(bound: float, interval: Interval, rounds: int) -> int | None:
    """Return how many rounds of a new race settle a bound in ``POWER`` of all cases, if the estimate is right.

    None if that is more than ``ROUNDS_WORTH_ASKING``. The spread of a round comes from the half of this interval of ``rounds``
    that extends towards the bound. An interval by rank is wider than a normal one, so the number sufficed in simulations.
    """
    if math.isclose(bound, interval.estimate):
        return None
    reach = interval.high - interval.estimate if interval.estimate <= bound else interval.estimate - interval.low
    variance = rounds * (reach / two_sided_z(interval.confidence)) ** 2
    needed = max(enough_to_tell_apart(bound - interval.estimate, variance, variance, interval.confidence), rounds + 1)
    return needed if needed <= ROUNDS_WORTH_ASKING else None


def what_helps(rounds: int | None, spelled: str = OF_A_BUILD) -> str:
    """Return the end of a sentence that says what settles an UNSURE gate; ``spelled``: how to request more rounds."""
    if rounds is None:
        return "a quieter machine would settle it"
    odds = f"about {rounds} rounds ({spelled.format(rounds)}) settle it in {100 * POWER:.0f} % of cases"
    return f"if the estimate is right, {odds}; a quieter machine needs fewer"
