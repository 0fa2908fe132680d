"""From energy runs to millijoules per image. A process run is the unit, as for latency: one run gives one figure.

One meter speaks for a candidate: the one that covers most, since a part of the energy under the name of the whole would flatter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecnn.judging.runs.dependence import dependence, runs_interval
from edgecnn.judging.runs.latency import RUNS_NEEDED, disturbed, too_few_runs
from edgecnn.values.figures import Energy
from edgecnn.values.profile import EnergyReading, Profile, Run, RunEnergy

METERS = ("external", "ina3221", "pmic", "nvml", "rapl")
"""From the one that covers most to the one that covers least; ``nvml`` is read beside a model on the GPU alone."""


def energy(profile: Profile, *, machine: str | None = None) -> Energy:
    """One energy race's figures for one kit.

    Args:
        profile: a race profile whose runs measured energy.
        machine: how a reader would name the machine; the processor's name unless stated.
    """
    runs = [run.energy for run in profile.runs if run.energy is not None]
    named = machine or profile.environment.conditions.get("cpu", profile.host)
    meter = next((name for name in METERS if any(_reading(run, name) for run in runs)), None)
    if meter is None:
        return Energy(reason=_why_none(runs), machine=named)
    read = [(run, reading) for run in runs if (reading := _reading(run, meter)) is not None]
    totals = [_total_mj(run, reading) for run, reading in read]
    complete = len(read) == len(profile.runs)
    dependent = dependence(totals) if complete else None
    return Energy(
        total_mj=runs_interval(totals) if complete else None,
        above_idle_mj=runs_interval([_above_mj(run, reading) for run, reading in read]) if complete else None,
        idle_w=runs_interval([reading.idle_j / reading.idle_s for _, reading in read]) if complete else None,
        meter=meter,
        covers=read[0][1].covers,
        runs=len(read),
        images=sum(run.images for run, _ in read),
        fidelity=profile.fidelity,
        machine=named,
        observed_at=profile.observed_at,
        reason=_why_incomplete(profile, meter, totals),
        disturbed=disturbed(profile.environment),
        dependent=None if dependent is None else dependent.says,
    )


def meter_of(every: Iterable[Run]) -> str | None:
    """The meter that covers most among those that every one of these runs was read by; None where there is none.

    The processor's own does not speak for a field in which a model ran on the GPU: what that took would be left out.
    """
    runs = [run.energy for run in every]
    common = [name for name in METERS if runs and all(run is not None and _reading(run, name) for run in runs)]
    on_gpu = any(run is not None and _reading(run, "nvml") for run in runs)
    return next((name for name in common if not (on_gpu and name == "rapl")), None)


def image_mj(run: Run, meter: str) -> float | None:
    """What an image took in one run by this meter, in millijoules, idle power included; None where it gave no reading."""
    reading = None if run.energy is None else _reading(run.energy, meter)
    return None if run.energy is None or reading is None else _total_mj(run.energy, reading)


def _reading(run: RunEnergy, meter: str) -> EnergyReading | None:
    return next((reading for reading in run.readings if reading.meter == meter), None)


def _total_mj(run: RunEnergy, reading: EnergyReading) -> float:
    """The meter's power, over the time that the inferences took by the run's own clock."""
    return 1e3 * reading.work_j / reading.work_s * run.work.seconds / run.images


def _above_mj(run: RunEnergy, reading: EnergyReading) -> float:
    return _total_mj(run, reading) - 1e3 * reading.idle_j / reading.idle_s * run.work.seconds / run.images


def _why_none(runs: Sequence[RunEnergy]) -> str:
    if not runs:
        return "nothing ran"
    said = dict.fromkeys(f"{name}: {why}" for run in runs for name, why in run.absent.items())
    return "no meter could be read: " + "; ".join(said) if said else "no meter could be read"


def _why_incomplete(profile: Profile, meter: str, totals: Sequence[float]) -> str | None:
    runs = profile.runs
    if len(totals) < len(runs):
        why = next((run.energy.absent[meter] for run in runs if run.energy and meter in run.energy.absent), "no reading")
        return f"{len(runs) - len(totals)} of {len(runs)} runs: {meter}: {why}"
    if len(runs) >= RUNS_NEEDED:
        return None
    return too_few_runs(len(runs), f"{sorted(totals)[len(totals) // 2]:.2f} mJ")
