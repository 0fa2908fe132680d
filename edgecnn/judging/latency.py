"""Latency from runs: percentiles, start-up, steadiness, tails, a GPU's own clock, and settings.

A process run is the unit: samples of one run are correlated, so intervals count runs. A run gives one median, one p90 from 100
samples on, and one p99 from 1,000 on. Ratios are taken round by round in one race, where both kits meet the same conditions.
The middle process says little about a tail: if three of ten processes have a long tail, the middle one has none. So a bound on
p90 or p99 is met only if three of four processes are shown to meet it.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgecnn.errors.gates import ROUND_TWICE, conditions_differ, races_differ
from edgecnn.errors.wording import counted
from edgecnn.judging.dependence import dependence, runs_interval, share_of_runs_below
from edgecnn.judging.disturbance import disturbed, slowed_at_most
from edgecnn.judging.intervals import LATENCY_CONFIDENCE, median_interval, ratio_interval
from edgecnn.judging.regret import estimate, estimate_alone, estimated_ratio
from edgecnn.judging.stopping import confidence_at, how_it_stopped, over_all_looks
from edgecnn.runner.runs.figures import RUNS_NEEDED, TAIL_SHARE, run_percentile, samples_needed
from edgecnn.values.base import Value
from edgecnn.values.candidate import Knobs
from edgecnn.values.figures import Steady
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Environment, Profile, Run
from edgecnn.values.report import MEDIAN, PERCENTILES, Latency, percentile_name
from edgecnn.values.verdict import Fidelity, Interval


def threads_of(runs: Sequence[Run]) -> int | None:
    """Return the threads of these runs; None if runs differ, or if a run does not record them."""
    threads = {run.threads for run in runs}
    return threads.pop() if len(threads) == 1 else None


def run_settings_of(profile: Profile) -> str | None:
    """Return ``2 threads``, or ``1 thread, spinning off``; None if the profile records neither threads nor knobs."""
    threads = threads_of(profile.runs)
    others = {name: text for name, text in profile.knobs.items() if name != "threads" or threads is None}
    words = [] if threads is None else [Knobs(threads=threads).words]
    return ", ".join([*words, *([knobs_text(others)] if others else [])]) or None


def knobs_text(options: Mapping[str, str]) -> str:
    """Return the knobs in words; knobs of another version as ``name=value``."""
    try:
        return Knobs.of(options).words
    except ValueError:
        return ", ".join(f"{name}={text}" for name, text in sorted(options.items()))


@dataclass(frozen=True)
class DeviceClock:
    """Latency by the GPU's own clock, or the reason why it is missing."""

    on_gpu_ms: Interval | None = None
    """Median over runs of each run's median time between two CUDA events."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Reason by the name of the missing figure."""


def device_clock(runs: Sequence[Run], confidence: float = LATENCY_CONFIDENCE) -> DeviceClock:
    """Return the latency of one kit's runs by the GPU's clock; empty if no run used a GPU."""
    events = [run.events for run in runs if run.events is not None]
    if not events:
        return DeviceClock()
    medians = [median_ns / 1e6 for timed in events if (median_ns := run_percentile(timed.samples_ns, 50)) is not None]
    if len(medians) == len(runs) and (known := runs_interval(medians, confidence)) is not None:
        return DeviceClock(on_gpu_ms=known)
    fewest = min(len(timed.samples_ns) for timed in events)
    short = f"a run has only {fewest} samples; it needs {samples_needed(50)}"
    few = f"{counted(len(runs), 'run')} are too few for an interval"
    reason = next((timed.absent for timed in events if timed.absent), None) or (few if len(medians) == len(runs) else short)
    return DeviceClock(absent={"on_gpu_ms": reason})


NS_PER_MS = 1e6


class Startup(Value):
    """Medians of start-up times over runs, in milliseconds."""

    load_ms: Interval | None
    first_ms: Interval | None
    cold_start_ms: Interval | None
    absent: Mapping[str, str]
    """Reason by the name of each missing figure."""


def startup(runs: Sequence[Run], confidence: float = LATENCY_CONFIDENCE) -> Startup:
    """Return the start-up times of one kit's runs."""
    readers: dict[str, Callable[[Run], int | None]] = {
        "load_ms": lambda run: run.load_ns,
        "first_ms": lambda run: run.first_ns,
        "cold_start_ms": lambda run: run.process_ns,
    }
    intervals: dict[str, Interval | None] = {}
    absent: dict[str, str] = {}
    for name, read_ns in readers.items():
        known = [value / NS_PER_MS for run in runs if (value := read_ns(run)) is not None]
        intervals[name] = runs_interval(known, confidence) if len(known) == len(runs) else None
        if intervals[name] is None:
            without = len(runs) - len(known)
            few = f"{counted(len(runs), 'run')}: too few for an interval"
            absent[name] = f"{without} of {len(runs)} runs did not record it" if without else few
    return Startup(absent=absent, **intervals)


WINDOWS = 20
WINDOW_MIN = 10
WINDOWS_MIN = 8
LAST_SHARE = 0.5
TOLERANCE = 0.05
ERRORS = 3.5
"""Standard errors of a share of a window's inferences; by chance one of a run's 20 windows exceeds it once in 100 runs."""
State = Literal["flat", "faster", "slower", "unsettled", "short"]


def steady(runs: Sequence[Run], disturbed: str | None = None) -> Steady | None:
    """Return how one kit's runs settle; None if nothing was timed.

    Args:
        runs: all runs of the kit in one race.
        disturbed: a disturbance that may keep a run from settling.
    """
    if not any(run.samples_ns for run in runs):
        return None
    settlings = [settling(run) for run in runs]
    count = Counter(run_settling.state for run_settling in settlings)
    became_steady = [(one, run) for one, run in zip(settlings, runs, strict=True) if one.state in ("flat", "faster", "slower")]
    late = sum(one.inferences > len(run.warmup_ns) for one, run in became_steady)
    after_ms = median_interval([one.after_ms for one, _ in became_steady]) if len(became_steady) == len(runs) else None
    return Steady(
        flat=count["flat"],
        faster=count["faster"],
        slower=count["slower"],
        unsettled=count["unsettled"],
        short=count["short"],
        late=late,
        after_ms=after_ms,
        says=_says(count, late, after_ms, disturbed),
    )


def _says(count: Mapping[State, int], late: int, after_ms: Interval | None, disturbed: str | None) -> str:
    runs = sum(count.values())
    if count["unsettled"]:
        why = f", and {disturbed}" if disturbed else ""
        still = "still changes in the"
        return f"does not settle: latency {still} last half of {count['unsettled']} of {runs} runs{why}{_ways(count, late)}"
    if count["short"]:
        return f"steady state unknown: {count['short']} of {runs} runs have fewer than {WINDOW_MIN * WINDOWS_MIN} inferences"
    if count["flat"] == runs:
        return f"steady from the start in all {runs} runs" if runs > 1 else "steady from the start in the one run"
    after = f" {after_ms.estimate:.0f} ms [{after_ms.low:.0f}, {after_ms.high:.0f}]" if after_ms is not None else " some time"
    return f"settles{after} after the first inference{_ways(count, late)}"


def _ways(count: Mapping[State, int], late: int) -> str:
    known: Mapping[State, str] = {"flat": "steady from the start", "faster": "warmed up", "slower": "got slower"}
    ways = [f"{count[state]} {name}" for state, name in known.items() if count[state]]
    words = f"; {'the others: ' if count['unsettled'] else ''}{', '.join(ways)}" if ways else ""
    return words + (f"; in {late} of them timing began before steady state" if late else "")


class Settling(Value):
    """Point from which on one run was steady."""

    state: State
    inferences: int
    """Inferences between the first one and the steady state; all inferences if the run never was steady."""
    after_ms: float
    """Total time of these inferences."""
    first_change: float = 0.0
    """Relative difference of the first window's median from the steady level: 0.5 is half as slow again."""


def settling(run: Run) -> Settling:
    """Return the point from which on one run was steady."""
    times = np.asarray([*run.warmup_ns, *run.samples_ns], float)
    count = min(WINDOWS, len(times) // WINDOW_MIN)
    if count < WINDOWS_MIN:
        return Settling(state="short", inferences=len(times), after_ms=float(times.sum()) / NS_PER_MS)
    windows = np.array_split(times, count)
    last = round(count * (1 - LAST_SHARE))
    medians = np.array([np.median(window) for window in windows])
    level = float(np.median(np.concatenate(windows[last:])))
    down, up = _chance_range(windows, medians)
    outside = (medians > level + max(TOLERANCE * level, up)) | (medians < level - max(TOLERANCE * level, down))
    # A single window outside is ignored, except the first, because a warm-up is short.
    next_to_another = np.concatenate([[True], outside[:-1]]) | np.concatenate([outside[1:], [False]])
    unsteady = np.flatnonzero(outside & next_to_another)
    first_steady = 0 if not len(unsteady) else int(unsteady[-1]) + 1
    before = sum(len(window) for window in windows[:first_steady])
    change = float(medians[0] / level - 1)
    took_ms = float(times[:before].sum()) / NS_PER_MS
    if first_steady > last:
        return Settling(state="unsettled", inferences=len(times), after_ms=float(times.sum()) / NS_PER_MS, first_change=change)
    state: State = "flat" if first_steady == 0 else "faster" if np.median(times[:before]) > level else "slower"
    return Settling(state=state, inferences=before, after_ms=took_ms, first_change=change)


def _chance_range(windows: Sequence[npt.NDArray[np.float64]], medians: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return how far the median of a window may be below and above its level by chance."""
    inside = np.concatenate([window - median for window, median in zip(windows, medians, strict=True)])
    share = ERRORS / (2 * np.sqrt(min(len(window) for window in windows)))
    low, high = np.quantile(inside, [max(0.0, 0.5 - share), min(1.0, 0.5 + share)])
    return float(-low), float(high)


TAILS = {percentile_name(percent): percent for percent in PERCENTILES if percent != MEDIAN}
"""Percentile by metric."""
WITHIN = "tails_within_ms"
"""Key in ``Latency.absent`` of the reason why no tail is shown to be within a limit."""
NOT_SHOWN = "the runs do not show that three of four processes stay below it"


def runs_needed(confidence: float = LATENCY_CONFIDENCE) -> int:
    """Return the least runs whose slowest bounds a tail of three in four processes: 17 at 98 %, since 0.75^16 is 1.002 %."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(TAIL_SHARE))


def tails_within_ms(runs: Sequence[Run], confidence: float = LATENCY_CONFIDENCE) -> dict[str, float]:
    """Return the limit, in ms, that three of four processes keep, by tail; without tails that need more or longer runs."""
    limits = {}
    for name, percent in TAILS.items():
        values = [value for run in runs if (value := run_percentile(run.samples_ns, percent)) is not None]
        within = share_of_runs_below(values, TAIL_SHARE, confidence) if len(values) == len(runs) else None
        if within is not None:
            limits[name] = within / 1e6
    return limits


def why_not_within(runs: Sequence[Run], confidence: float = LATENCY_CONFIDENCE) -> dict[str, str]:
    """Return the reason for ``Latency.absent`` if the runs are too few."""
    needed = runs_needed(confidence)
    return {WITHIN: f"it takes {needed} runs to show that three of four processes stay below it"} if len(runs) < needed else {}


_OF_THE_RUNTIME = ("runtime", "runtime_version", "python")
CONDITIONS_OF_THE_MACHINE = tuple(name for name in CONDITIONS_THAT_MUST_MATCH if name not in _OF_THE_RUNTIME)
"""Conditions that two kits of one race must share. Runtimes may differ, and some have their own Python."""


def run_ms(run: Run, percent: int = 50) -> float | None:
    """Return a warm percentile of one run in milliseconds; None if fewer than ten samples are beyond it."""
    nanoseconds = run_percentile(run.samples_ns, percent)
    return None if nanoseconds is None else nanoseconds / 1e6


def latency_interval_ms(runs: Sequence[Run], percent: int = 50, confidence: float = LATENCY_CONFIDENCE) -> Interval | None:
    """Return the median over runs of each run's percentile; None if the runs are too few or one is too short."""
    values = _run_latencies_ms(runs, percent)
    return runs_interval(values, confidence) if len(values) == len(runs) else None


def _run_latencies_ms(runs: Sequence[Run], percent: int) -> list[float]:
    return [value for run in runs if (value := run_ms(run, percent)) is not None]


def latency(profile: Profile, *, fp32: Profile | None = None, machine: str | None = None) -> Latency:
    """Return the latency of one kit in one race.

    Args:
        profile: a race profile with its runs.
        fp32: the profile of the fp32 kit in the same race, for ``ratio_to_fp32``; None for fp32 itself.
        machine: name of the machine for readers; default: the processor's name.

    Raises:
        RACES_DIFFER, CONDITIONS_DIFFER: ``fp32`` did not run interleaved with this profile.
    """
    runs, until = profile.runs, profile.until
    confidence = confidence_at(until)
    figures = {percent: over_all_looks(latency_interval_ms(runs, percent, confidence), until) for percent in PERCENTILES}
    start, clock = startup(runs, confidence), device_clock(runs, confidence)
    measured = Latency(
        tails_within_ms=tails_within_ms(runs, confidence),
        load_ms=over_all_looks(start.load_ms, until),
        first_ms=over_all_looks(start.first_ms, until),
        cold_start_ms=over_all_looks(start.cold_start_ms, until),
        on_gpu_ms=over_all_looks(clock.on_gpu_ms, until),
        ratio_to_fp32=paired_ratio(fp32, profile) if fp32 else None,
        runs=len(runs),
        samples=sum(len(run.samples_ns) for run in runs),
        fidelity=profile.fidelity if runs else Fidelity.MISSING,
        machine=machine or profile.environment.conditions.get("cpu", profile.host),
        observed_at=profile.observed_at,
        reason=_why_incomplete(runs, figures),
        disturbed=disturbed([profile]),
        slowed_at_most=slowed_at_most([profile]),
        stopped=how_it_stopped(len(runs), figures[MEDIAN], until),
        steady=steady(runs, disturbed([profile])),
        threads=threads_of(runs),
        run_settings=run_settings_of(profile),
        dependent={
            percentile_name(percent): dependent.says
            for percent, figure in figures.items()
            if figure is not None and (dependent := dependence(_run_latencies_ms(runs, percent))) is not None
        },
        absent={**_absent(runs), **why_not_within(runs, confidence), **start.absent, **clock.absent} if runs else {},
    )
    return measured.model_copy(update={percentile_name(percent): figure for percent, figure in figures.items()})


def latency_when_chosen(profile: Profile, *, fp32: Profile | None = None, machine: str | None = None) -> Latency:
    """Return the latency of one kit in the first race, in which a candidate runs only as many rounds as needed.

    p50 and the ratio are estimates without a confidence level, see ``regret``; tails need a separate race.
    """
    measured = latency(profile, machine=machine)
    mine = _estimated(profile)
    if not mine:
        return measured
    theirs = _estimated(fp32) if fp32 is not None else {}
    paired = fp32 is not None and fp32.race == profile.race and bool(mine.keys() & theirs.keys())
    few = f"{counted(len(mine), 'round')} of the first race"
    return measured.model_copy(
        update={
            "p50_ms": estimate_alone(estimate(mine.values())),
            **dict.fromkeys(TAILS),
            "tails_within_ms": {},
            "dependent": {},
            "ratio_to_fp32": estimated_ratio(theirs, mine) if paired else None,
            "reason": f"p{PERCENTILES[-1]}: {few}",
            "absent": {
                **{name: why for name, why in measured.absent.items() if name != "p50_ms"},
                **dict.fromkeys(TAILS, few),
            },
            "stopped": f"{few}; an estimate without an interval",
            "selecting": True,
        }
    )


def estimated_ms(run: Run) -> float | None:
    """Return the median of one run in milliseconds, even of few samples: a slow network gives few in the time of a run."""
    return statistics.median(run.samples_ns) / 1e6 if run.samples_ns else None


def _estimated(profile: Profile) -> dict[int, float]:
    return {run.round: ms for run in profile.runs if (ms := estimated_ms(run)) is not None}


def paired_ratio(reference: Profile, ours: Profile) -> Interval | None:
    """Return how many times faster ``ours`` is than ``reference``: the paired ratio of their run medians, above 1 if faster.

    Rounds in which only one of them ran are ignored. None with fewer than 7 pairs, or if a run has no median.

    Raises:
        RACES_DIFFER: the profiles are not from one race.
        CONDITIONS_DIFFER: the machine was not in the same state.
        ROUND_TWICE: a round holds two runs of one kit.
    """
    if reference.race is None or reference.race != ours.race:
        raise races_differ(ours=ours.subject, theirs=reference.subject, our_race=ours.race, their_race=reference.race)
    check_conditions(ours.environment, reference.environment, CONDITIONS_OF_THE_MACHINE)
    if too_few_samples((*reference.runs, *ours.runs)):
        return None
    slow, fast = medians_by_round(reference), medians_by_round(ours)
    rounds = sorted(slow.keys() & fast.keys())
    ratio = ratio_interval([slow[number] for number in rounds], [fast[number] for number in rounds], confidence_at(ours.until))
    return over_all_looks(ratio, ours.until)


def check_conditions(ours: Environment, theirs: Environment, names: Sequence[str] = CONDITIONS_THAT_MUST_MATCH) -> None:
    """Raise CONDITIONS_DIFFER with the first differing condition and both its values."""
    for name in names:
        mine, other = ours.conditions.get(name), theirs.conditions.get(name)
        if mine != other:
            raise conditions_differ(condition=name, ours=mine, theirs=other)


def medians_by_round(profile: Profile) -> dict[int, float]:
    """Return the median of this kit's run in each round, in milliseconds; runs that are too short are ignored.

    Raises:
        ROUND_TWICE: a round holds two runs of the kit.
    """
    medians: dict[int, float] = {}
    for run in profile.runs:
        if run.round in medians:
            raise ROUND_TWICE(subject=profile.subject, round_=run.round)
        median_ms = run_ms(run)
        if median_ms is not None:
            medians[run.round] = median_ms
    return medians


def too_few_samples(runs: Sequence[Run]) -> str | None:
    """Return why runs have no median, if one ended early. Such a run was slow, so ignoring it would favour fast runs."""
    needed = samples_needed(50)
    short = sum(len(run.samples_ns) < needed for run in runs)
    return f"{short} of {len(runs)} runs have fewer than {needed} samples, so the slow runs have no median" if short else None


def too_few_runs(count: int, observed: str | None = None) -> str:
    """Return ``1 run (1.25 ms); an interval needs 7``."""
    return f"{counted(count, 'run')}{f' ({observed})' if observed else ''}; an interval needs {RUNS_NEEDED}"


def _why_incomplete(runs: Sequence[Run], figures: Mapping[int, Interval | None]) -> str | None:
    if not runs:
        return "nothing ran"
    if len(runs) < RUNS_NEEDED:
        medians = sorted(value for run in runs if (value := run_ms(run)) is not None)
        return too_few_runs(len(runs), f"{medians[len(medians) // 2]:.2f} ms" if medians else None)
    fewest = min(len(run.samples_ns) for run in runs)
    if figures[MEDIAN] is None:
        return f"a run has only {fewest} samples; a median needs 20"
    largest = PERCENTILES[-1]
    return f"p{largest}: {_too_short(fewest, largest)}" if figures[largest] is None else None


def _absent(runs: Sequence[Run]) -> dict[str, str]:
    """Return why each missing percentile is None."""
    fewest = min(len(run.samples_ns) for run in runs)
    few = too_few_runs(len(runs))
    return {
        percentile_name(percent): few if len(runs) < RUNS_NEEDED else _too_short(fewest, percent)
        for percent in PERCENTILES
        if latency_interval_ms(runs, percent) is None
    }


def _too_short(fewest: int, percent: int) -> str:
    return f"a run has only {fewest} samples; it needs {samples_needed(percent)}"
