"""From runs to latency. The process run is the unit: samples inside one hang together, so intervals are taken over runs.

A run gives one median (one p90 where it has 100 samples, one p99 where it has 1,000). Ratios are taken round by round inside one
race, where both kits met the same conditions.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from edgecnn.errors.gates import ConditionsDiffer, RacesDiffer, RoundTwice
from edgecnn.errors.wording import counted
from edgecnn.judging.intervals import LATENCY_CONFIDENCE, ratio_interval, samples_needed, tail
from edgecnn.judging.runs.dependence import dependence, runs_interval
from edgecnn.judging.runs.device_clock import device_clock
from edgecnn.judging.runs.noise import had_whole_machine
from edgecnn.judging.runs.regret import estimate, estimate_alone, estimated_ratio
from edgecnn.judging.runs.settings import run_settings_of, threads_of
from edgecnn.judging.runs.startup import startup
from edgecnn.judging.runs.steady import steady
from edgecnn.judging.runs.stopping import confidence_at, how_it_stopped, over_all
from edgecnn.judging.runs.tails import tails_within_ms, why_not_within
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Environment, Profile, Run
from edgecnn.values.report import Latency
from edgecnn.values.verdict import Fidelity, Interval

RUNS_NEEDED = 7
"""Below this, no distribution-free 98 % interval of a median exists: 1 - 2 / 2^6 is 96.9 %."""

_OF_THE_RUNTIME = ("runtime", "runtime_version", "python")
CONDITIONS_OF_THE_MACHINE = tuple(name for name in CONDITIONS_THAT_MUST_MATCH if name not in _OF_THE_RUNTIME)
"""What two kits of one race must share. Comparing runtimes is what a race is for, and some have a Python of their own."""

OTHERS_PERCENT_MAX = 5.0
"""Of all processors' time during a race, what other programs may take before a slow kit may be theirs. On two cores that both
compute, 50 % doubles the time of a run; a quiet machine shows 1 to 2 %."""

THROTTLED_PERCENT_MAX = 50.0
"""Of the runs, from which on the median over runs is that of a throttled machine."""

SOMETIMES_THROTTLED_PERCENT_MAX = THROTTLED_PERCENT_MAX / 2
"""Of the runs, up to which throttling is too rare to move a median far beside other work."""


def run_ms(run: Run, percent: int = 50) -> float | None:
    """A warm percentile of one run in milliseconds, or None when fewer than ten samples lie beyond it."""
    found = tail(run.samples_ns, percent)
    return None if found is None else found / 1e6


def latency_interval_ms(runs: Sequence[Run], percent: int = 50, confidence: float = LATENCY_CONFIDENCE) -> Interval | None:
    """The median over runs of each run's percentile; None where the runs are too few or one is too short."""
    values = _each_ms(runs, percent)
    return runs_interval(values, confidence) if len(values) == len(runs) else None


def _each_ms(runs: Sequence[Run], percent: int) -> list[float]:
    return [value for run in runs if (value := run_ms(run, percent)) is not None]


def latency(profile: Profile, *, fp32: Profile | None = None, machine: str | None = None) -> Latency:
    """One race's figures for one kit.

    Args:
        profile: a race profile with its runs.
        fp32: the profile of the fp32 kit in the same race, for ``ratio_to_fp32``; None for fp32 itself.
        machine: how a reader would name the machine; the processor's name unless stated.

    Raises:
        RacesDiffer, ConditionsDiffer: where ``fp32`` did not run interleaved with this profile.
    """
    runs, until = profile.runs, profile.until
    each = confidence_at(until)
    p50, p90, p99 = (over_all(latency_interval_ms(runs, percent, each), until) for percent in (50, 90, 99))
    start, clock = startup(runs, each), device_clock(runs, each)
    return Latency(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        tails_within_ms=tails_within_ms(runs, each),
        load_ms=over_all(start.load_ms, until),
        first_ms=over_all(start.first_ms, until),
        cold_start_ms=over_all(start.cold_start_ms, until),
        on_gpu_ms=over_all(clock.on_gpu_ms, until),
        ratio_to_fp32=paired_ratio(fp32, profile) if fp32 else None,
        runs=len(runs),
        samples=sum(len(run.samples_ns) for run in runs),
        fidelity=profile.fidelity if runs else Fidelity.MISSING,
        machine=machine or profile.environment.conditions.get("cpu", profile.host),
        observed_at=profile.observed_at,
        reason=_why_incomplete(runs, p50, p99),
        disturbed=disturbed(profile.environment),
        slowed_at_most=slowed_at_most(profile.environment),
        stopped=how_it_stopped(len(runs), p50, until),
        steady=steady(runs, disturbed(profile.environment)),
        threads=threads_of(runs),
        run_settings=run_settings_of(profile),
        dependent=_dependent(runs, {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99}),
        absent={**_absent(runs), **why_not_within(runs, each), **start.absent, **clock.absent} if runs else {},
    )


def latency_when_chosen(profile: Profile, *, fp32: Profile | None = None, machine: str | None = None) -> Latency:
    """The same of the race for the choice, in which a candidate runs as few rounds as its standing needs.

    p50 and the ratio are estimates without a level, see ``regret``; tails are left to a race for figures.
    """
    found = latency(profile, machine=machine)
    mine = _estimated(profile)
    if not mine:
        return found
    theirs = _estimated(fp32) if fp32 is not None else {}
    paired = fp32 is not None and fp32.race == profile.race and bool(mine.keys() & theirs.keys())
    few = f"{counted(len(mine), 'round')} of the race for the choice"
    return found.model_copy(
        update={
            "p50_ms": estimate_alone(estimate(mine.values())),
            "p90_ms": None,
            "p99_ms": None,
            "tails_within_ms": {},
            "dependent": {},
            "ratio_to_fp32": estimated_ratio(theirs, mine) if paired else None,
            "reason": f"p99: {few}",
            "absent": {
                **{name: why for name, why in found.absent.items() if name != "p50_ms"},
                **dict.fromkeys(("p90_ms", "p99_ms"), few),
            },
            "stopped": f"{few}; an estimate without an interval",
            "selecting": True,
        }
    )


def estimated_ms(run: Run) -> float | None:
    """The median of one run in milliseconds, of however few samples: a slow network gives few within the time of a run."""
    return statistics.median(run.samples_ns) / 1e6 if run.samples_ns else None


def _estimated(profile: Profile) -> dict[int, float]:
    return {run.round: ms for run in profile.runs if (ms := estimated_ms(run)) is not None}


def paired_ratio(reference: Profile, ours: Profile) -> Interval | None:
    """How many times faster ``ours`` is than ``reference``: the paired ratio of their run medians, above 1 where faster.

    Rounds in which only one of the two ran are left out. None where fewer than 7 pairs remain, or a run has no median.

    Raises:
        RacesDiffer: unless both ran in one race.
        ConditionsDiffer: where the machine was not in the same state.
        RoundTwice: where a round holds two runs of one kit.
    """
    if reference.race is None or reference.race != ours.race:
        raise RacesDiffer(ours=ours.subject, theirs=reference.subject, our_race=ours.race, their_race=reference.race)
    check_conditions(ours.environment, reference.environment, CONDITIONS_OF_THE_MACHINE)
    if too_few_samples((*reference.runs, *ours.runs)):
        return None
    slow, fast = medians_by_round(reference), medians_by_round(ours)
    rounds = sorted(slow.keys() & fast.keys())
    found = ratio_interval([slow[each] for each in rounds], [fast[each] for each in rounds], confidence_at(ours.until))
    return over_all(found, ours.until)


def check_conditions(ours: Environment, theirs: Environment, names: Sequence[str] = CONDITIONS_THAT_MUST_MATCH) -> None:
    """Raise ConditionsDiffer with the first condition, and both its values, that is not the same on both sides."""
    for name in names:
        mine, other = ours.conditions.get(name), theirs.conditions.get(name)
        if mine != other:
            raise ConditionsDiffer(condition=name, ours=mine, theirs=other)


def medians_by_round(profile: Profile) -> dict[int, float]:
    """Round to the median of this kit's run in it, in milliseconds; a run that is too short for one is left out.

    Raises:
        RoundTwice: a round holds two runs of it.
    """
    medians: dict[int, float] = {}
    for run in profile.runs:
        if run.round in medians:
            raise RoundTwice(subject=profile.subject, round_=run.round)
        found = run_ms(run)
        if found is not None:
            medians[run.round] = found
    return medians


def too_few_samples(runs: Sequence[Run]) -> str | None:
    """A sentence where a run has no median: it ended early because it was slow, so to leave it out would keep the fast ones."""
    needed = samples_needed(50)
    short = sum(len(run.samples_ns) < needed for run in runs)
    return (
        f"{short} of {len(runs)} runs have fewer than {needed} samples, so that the slow ones have no median" if short else None
    )


def disturbed(environment: Environment) -> str | None:
    """A sentence where the host observed enough other work, or throttling; None too where it could observe neither, and of an
    emulator, whose times are of nothing anyway."""
    if environment.fidelity is Fidelity.EMULATED:
        return None
    seen = environment.observed
    said = []
    if (others := float(seen.get("others_percent", 0))) > OTHERS_PERCENT_MAX:
        said.append(f"other programs took {others:.0f} % of the processors' time")
    if (throttled := float(seen.get("throttled_percent", 0))) >= THROTTLED_PERCENT_MAX:
        said.append(f"the machine slowed itself down in {throttled:.0f} % of the runs ({seen['throttled']})")
    return " and ".join(said) or None


def too_few_runs(count: int, seen: str | None = None) -> str:
    """``1 run, seen 1.25 ms; an interval needs 7``."""
    return f"{counted(count, 'run')}{f', seen {seen}' if seen else ''}; an interval needs {RUNS_NEEDED}"


def slowed_at_most(environment: Environment) -> int | None:
    """How many times longer other work can have made a median; None where there was too little of it, or nothing bounds it.

    Where m busy threads share each processor fairly with the kit, they take m / (m + 1) of the time, and its slowest thread, for
    which the others wait, takes m + 1 times as long. Fewer threads than processors can still hold up one, hence at least 2.
    Throttling has no such bound: how far the clock fell is not known of every machine. Nor has a tail: one inference may wait for
    longer than any share says. And the share is of all processors: of the few that a kit is held to, it says nothing.
    """
    if not had_whole_machine(environment):
        return None
    others, throttled = _seen(environment, "others_percent"), _seen(environment, "throttled_percent")
    bounded = OTHERS_PERCENT_MAX < others < 100 and throttled <= SOMETIMES_THROTTLED_PERCENT_MAX
    return math.ceil(100 / (100 - others)) if bounded else None


def worst_of(environments: Sequence[Environment]) -> Environment:
    """One environment for several races of one kit: the last one's, with the most other work and the most throttling of any.

    What met one race can have made it slow whatever met the others, and in whichever order they ran.
    """
    busiest = max(environments, key=lambda each: _seen(each, "others_percent")).observed
    hottest = max(environments, key=lambda each: _seen(each, "throttled_percent")).observed
    worst = {name: busiest[name] for name in ("others_percent",) if name in busiest}
    worst |= {name: hottest[name] for name in ("throttled", "throttled_percent") if name in hottest}
    return environments[-1].model_copy(update={"observed": {**environments[-1].observed, **worst}})


def _seen(environment: Environment, name: str) -> float:
    return float(environment.observed.get(name, 0))


def explained(times: int) -> str:
    """The end of a sentence that names a disturbance and a verdict that stands all the same."""
    return f"which can make it at most {times} times slower"


def _why_incomplete(runs: Sequence[Run], p50: Interval | None, p99: Interval | None) -> str | None:
    if not runs:
        return "nothing ran"
    if len(runs) < RUNS_NEEDED:
        medians = sorted(value for run in runs if (value := run_ms(run)) is not None)
        return too_few_runs(len(runs), f"{medians[len(medians) // 2]:.2f} ms" if medians else None)
    fewest = min(len(run.samples_ns) for run in runs)
    if p50 is None:
        return f"a run has only {fewest} samples; a median needs 20"
    return f"p99: {_too_short(fewest, 99)}" if p99 is None else None


def _dependent(runs: Sequence[Run], figures: Mapping[str, Interval | None]) -> dict[str, str]:
    known = {name: dependence(_each_ms(runs, int(name[1:3]))) for name, figure in figures.items() if figure is not None}
    return {name: found.says for name, found in known.items() if found is not None}


def _absent(runs: Sequence[Run]) -> dict[str, str]:
    """Why each percentile is None, of those that are."""
    fewest = min(len(run.samples_ns) for run in runs)
    few = too_few_runs(len(runs))
    return {
        f"p{percent}_ms": few if len(runs) < RUNS_NEEDED else _too_short(fewest, percent)
        for percent in (50, 90, 99)
        if latency_interval_ms(runs, percent) is None
    }


def _too_short(fewest: int, percent: int) -> str:
    return f"a run has only {fewest} samples; it needs {samples_needed(percent)}"
