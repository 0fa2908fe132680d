"""Memory, energy, throughput and sustained speed from runs. The process run is the unit, as for latency.

A gate on memory takes the largest peak of all runs, because a device must hold it. The energy of a candidate comes from the power
meter that covers most, because a part of the energy would be too low. The best batch is found with one short run per batch and
then measured in a separate race, because the figure that won a selection is too good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from statistics import median

from edgecnn.errors.wording import counted
from edgecnn.judging.dependence import dependence, runs_interval
from edgecnn.judging.disturbance import disturbed
from edgecnn.judging.intervals import median_interval
from edgecnn.judging.latency import latency_interval_ms, too_few_runs
from edgecnn.runner.meters.kinds import GPU, KINDS, PROCESSOR
from edgecnn.runner.runs.figures import RUNS_NEEDED, run_percentile
from edgecnn.values.figures import BatchFigure, Energy, Memory, SoakWindow, Sustained, Throughput
from edgecnn.values.profile import EnergyReading, Profile, Run, RunEnergy, RunMemory, RunWindow
from edgecnn.values.verdict import Fidelity, Interval


def memory(profile: Profile, *, machine: str | None = None) -> Memory:
    """Return the memory of one kit in one race.

    Args:
        profile: a race profile with its runs.
        machine: name of the machine for readers; default: the processor's name.
    """
    runs = [run.memory for run in profile.runs]
    known = [usage for usage in runs if usage is not None and usage.peak_mib is not None and usage.baseline_mib is not None]
    complete = bool(runs) and len(known) == len(runs)
    gpu_mib = [usage.gpu_mib for usage in runs if usage is not None and usage.gpu_mib is not None]
    return Memory(
        peak_mib=_interval([usage.peak_mib for usage in known], complete),
        baseline_mib=_interval([usage.baseline_mib for usage in known], complete),
        above_baseline_mib=_interval([(usage.peak_mib or 0) - (usage.baseline_mib or 0) for usage in known], complete),
        gpu_mib=_interval(gpu_mib, len(gpu_mib) == len(runs)),
        largest_mib=max((usage.peak_mib or 0 for usage in known), default=None) if complete else None,
        runs=len(known),
        fidelity=profile.fidelity if known else Fidelity.MISSING,
        machine=machine or profile.environment.conditions.get("cpu", profile.host),
        reason=_why(runs, known),
        gpu_reason=next((usage.gpu_absent for usage in runs if usage is not None and usage.gpu_absent), None),
    )


def _interval(values: Sequence[float | None], complete: bool) -> Interval | None:
    return median_interval([value for value in values if value is not None]) if complete else None


def _why(runs: Sequence[RunMemory | None], known: Sequence[RunMemory]) -> str | None:
    if not runs:
        return "nothing ran"
    if len(known) < len(runs):
        reason = next((usage.absent for usage in runs if usage is not None and usage.absent), "a run recorded no memory")
        return reason if not known else f"{len(runs) - len(known)} of {len(runs)} runs: {reason}"
    if len(runs) >= RUNS_NEEDED:
        return None
    peaks = sorted(usage.peak_mib for usage in known if usage.peak_mib is not None)
    return too_few_runs(len(runs), f"{peaks[len(peaks) // 2]:.1f} MiB")


METERS = {kind.name: kind for kind in sorted(KINDS, key=lambda kind: kind.coverage)}
"""Meters by name, those that cover most of a machine first."""


def energy(profile: Profile, *, machine: str | None = None) -> Energy:
    """Return the energy of one kit in one race.

    Args:
        profile: a race profile whose runs measured energy.
        machine: name of the machine for readers; default: the processor's name.
    """
    runs = [run.energy for run in profile.runs if run.energy is not None]
    named = machine or profile.environment.conditions.get("cpu", profile.host)
    meter = next((name for name in METERS if any(_reading(run, name) for run in runs)), None)
    if meter is None:
        return Energy(reason=_why_none(runs), machine=named)
    read = [(run, reading) for run in runs if (reading := _reading(run, meter)) is not None]
    totals = [_total_mj(run, reading) for run, reading in read]
    idle = [1e3 * reading.idle_j / reading.idle_s * run.work.seconds / run.images for run, reading in read]
    complete = len(read) == len(profile.runs)
    dependent = dependence(totals) if complete else None
    return Energy(
        total_mj=runs_interval(totals) if complete else None,
        above_idle_mj=runs_interval([total - rest for total, rest in zip(totals, idle, strict=True)]) if complete else None,
        idle_w=runs_interval([reading.idle_j / reading.idle_s for _, reading in read]) if complete else None,
        meter=meter,
        covers=read[0][1].covers,
        runs=len(read),
        images=sum(run.images for run, _ in read),
        fidelity=profile.fidelity,
        machine=named,
        observed_at=profile.observed_at,
        reason=_why_incomplete(profile, meter, totals),
        disturbed=disturbed([profile]),
        dependent=None if dependent is None else dependent.says,
    )


def meter_of(every: Iterable[Run]) -> str | None:
    """Return the meter that covers most among those that read every run; None if there is none.

    A meter of the CPU does not count if a model ran on the GPU of the same chip.
    """
    runs = [run.energy for run in every]
    common = [name for name in METERS if runs and all(run is not None and _reading(run, name) for run in runs)]
    read = {reading.meter for run in runs if run is not None for reading in run.readings}
    on_gpu = any(METERS[name].watches == GPU for name in read if name in METERS)
    return next((name for name in common if not (on_gpu and METERS[name].watches == PROCESSOR)), None)


def image_mj(run: Run, meter: str) -> float | None:
    """Return the energy per image of one run by this meter, in millijoules, including idle power; None without a reading."""
    reading = None if run.energy is None else _reading(run.energy, meter)
    return None if run.energy is None or reading is None else _total_mj(run.energy, reading)


def _reading(run: RunEnergy, meter: str) -> EnergyReading | None:
    return next((reading for reading in run.readings if reading.meter == meter), None)


def _total_mj(run: RunEnergy, reading: EnergyReading) -> float:
    """Return the meter's power times the duration of the inferences by the run's clock, per image."""
    return 1e3 * reading.work_j / reading.work_s * run.work.seconds / run.images


def _why_none(runs: Sequence[RunEnergy]) -> str:
    if not runs:
        return "nothing ran"
    reasons = dict.fromkeys(f"{name}: {why}" for run in runs for name, why in run.absent.items())
    return "no meter could be read: " + "; ".join(reasons) if reasons else "no meter could be read"


def _why_incomplete(profile: Profile, meter: str, totals: Sequence[float]) -> str | None:
    runs = profile.runs
    if len(totals) < len(runs):
        why = next((run.energy.absent[meter] for run in runs if run.energy and meter in run.energy.absent), "no reading")
        return f"{len(runs) - len(totals)} of {len(runs)} runs: {meter}: {why}"
    if len(runs) >= RUNS_NEEDED:
        return None
    return too_few_runs(len(runs), f"{sorted(totals)[len(totals) // 2]:.2f} mJ")


NS_PER_S = 1e9


def batches_up_to(largest: int) -> tuple[int, ...]:
    """Return 1, 2, 4, … and the largest batch itself."""
    doubled = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    return (*doubled, largest)


def images_per_s(run: Run) -> float:
    """Return all images over the total time of the calls, so that a slow call weighs as long as it took."""
    return run.batch * len(run.samples_ns) / sum(run.samples_ns) * NS_PER_S


def screened_rates(profiles: Mapping[int, Profile]) -> dict[int, float]:
    """Return the images a second of each batch in its screening run; batches without a run are omitted."""
    return {batch: images_per_s(profile.runs[0]) for batch, profile in sorted(profiles.items()) if profile.runs}


def best_batch(rates: Mapping[int, float]) -> int | None:
    """Return the batch with the most images a second, the smaller of two equal ones; None if nothing was screened."""
    return max(rates, key=lambda batch: (rates[batch], -batch), default=None)


def throughput(
    profiles: Sequence[Profile], rates: Mapping[int, float], requested: Sequence[int], machine: str, reason: str | None = None
) -> Throughput:
    """Return one candidate's throughput.

    Args:
        profiles: races of this candidate, one per measured batch.
        rates: images a second by batch, from the screening.
        requested: batches that the user named.
        machine: name of the machine for readers.
        reason: why a batch is missing.
    """
    raced = sorted((profile for profile in profiles if profile.runs), key=lambda profile: profile.runs[0].batch)
    best = best_batch(rates)
    return Throughput(
        figures=tuple(_figure(profile, best, requested) for profile in raced),
        screened=rates,
        fidelity=raced[0].fidelity if raced else Fidelity.MISSING,
        machine=machine,
        observed_at=max((profile.observed_at for profile in raced), default=""),
        reason=reason,
        disturbed=next((cause for profile in raced if (cause := disturbed([profile]))), None),
    )


def _figure(profile: Profile, best: int | None, requested: Sequence[int]) -> BatchFigure:
    runs, batch = profile.runs, profile.runs[0].batch
    interval = runs_interval([images_per_s(run) for run in runs])
    return BatchFigure(
        batch=batch,
        images_per_s=interval,
        call_ms=latency_interval_ms(runs),
        runs=len(runs),
        best=batch == best,
        asked=batch in requested,
        reason=None if interval else too_few_runs(len(runs)),
    )


WINDOWS_MIN = 3
NS_PER_MS = 1e6


def sustained(profile: Profile, machine: str) -> Sustained | None:
    """Return the sustained speed of one kit from its soak; None without a soak."""
    if not profile.runs or not profile.runs[0].windows:
        return None
    run = profile.runs[0]
    windows = _windows(run)
    slowdown, throttled = _slowdown(windows), _throttled(run.windows)
    return Sustained(
        windows=windows,
        slowdown=slowdown,
        throttled=throttled,
        says=_says(windows, slowdown, throttled),
        fidelity=profile.fidelity,
        machine=machine,
        observed_at=profile.observed_at,
    )


def _windows(run: Run) -> tuple[SoakWindow, ...]:
    ends = list(accumulate(window.samples for window in run.windows))
    parts = [run.samples_ns[end - window.samples : end] for end, window in zip(ends, run.windows, strict=True)]
    medians = [run_percentile(part, 50) for part in parts]
    return tuple(
        SoakWindow(
            began_s=window.began_s,
            p50_ms=None if middle is None else middle / NS_PER_MS,
            samples=window.samples,
            observed=window.observed,
            seconds=window.seconds,
        )
        for window, middle in zip(run.windows, medians, strict=True)
    )


def _slowdown(windows: tuple[SoakWindow, ...]) -> float | None:
    known = [window.p50_ms for window in windows if window.p50_ms is not None]
    if len(known) < len(windows) or len(windows) < WINDOWS_MIN:
        return None
    third = len(windows) // 3
    return median(known[-third:]) / median(known[:third])


def _throttled(windows: tuple[RunWindow, ...]) -> str | None:
    readings = [window.observed.get("throttled") for window in windows]
    known = [reading for reading in readings if reading is not None]
    if len(known) < len(readings):
        return None
    causes = [cause for cause in known if cause != "no"]
    return f"{', '.join(dict.fromkeys(causes))} in {len(causes)} of {len(readings)} windows" if causes else "no"


def _says(windows: tuple[SoakWindow, ...], slowdown: float | None, throttled: str | None) -> str:
    heat = {
        None: "throttling cannot be ruled out",
        "no": "the machine did not throttle",
    }.get(throttled, f"the machine throttled: {throttled}")
    if slowdown is None:
        few = f"{counted(len(windows), 'window')} with too few inferences to compare"
        return f"one process, {few}; {heat}"
    third = len(windows) // 3
    last, first = ("window", "first") if third == 1 else (f"{third} windows", f"first {third}")
    ratio = f"time per inference in the last {last} was {slowdown:.2f} × that in the {first}"
    return f"one process, {len(windows)} windows; {ratio} ({_range(windows, third)}); {heat}"


def _range(windows: tuple[SoakWindow, ...], third: int) -> str:
    """Return the range of ratios between single windows, because one process gives no interval."""
    if third == 1:
        return "one window each, so no range"
    known = [window.p50_ms for window in windows if window.p50_ms is not None]
    first, last = known[:third], known[-third:]
    return f"{min(last) / max(first):.2f} to {max(last) / min(first):.2f} × for single windows"
