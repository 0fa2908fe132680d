"""From runs to memory. A process run is the unit: its peak is one number, and the interval is taken over runs by rank.

What a device must hold is no median: a gate takes the largest peak of all runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.judging.intervals import median_interval
from edgecnn.judging.runs.latency import RUNS_NEEDED, too_few_runs
from edgecnn.values.figures import Memory
from edgecnn.values.profile import Profile, RunMemory
from edgecnn.values.verdict import Fidelity, Interval


def memory(profile: Profile, *, machine: str | None = None) -> Memory:
    """One race's figures for one kit.

    Args:
        profile: a race profile with its runs.
        machine: how a reader would name the machine; the processor's name unless stated.
    """
    runs = [run.memory for run in profile.runs]
    known = [each for each in runs if each is not None and each.peak_mib is not None and each.baseline_mib is not None]
    complete = bool(runs) and len(known) == len(runs)
    return Memory(
        peak_mib=_interval([each.peak_mib for each in known], complete),
        baseline_mib=_interval([each.baseline_mib for each in known], complete),
        above_baseline_mib=_interval([(each.peak_mib or 0) - (each.baseline_mib or 0) for each in known], complete),
        gpu_mib=_gpu(runs),
        largest_mib=max((each.peak_mib or 0 for each in known), default=None) if complete else None,
        runs=len(known),
        fidelity=profile.fidelity if known else Fidelity.MISSING,
        machine=machine or profile.environment.conditions.get("cpu", profile.host),
        reason=_why(runs, known),
        gpu_reason=next((each.gpu_absent for each in runs if each is not None and each.gpu_absent), None),
    )


def _interval(values: Sequence[float | None], complete: bool) -> Interval | None:
    return median_interval([value for value in values if value is not None]) if complete else None


def _gpu(runs: Sequence[RunMemory | None]) -> Interval | None:
    held = [each.gpu_mib for each in runs if each is not None and each.gpu_mib is not None]
    return _interval(held, len(held) == len(runs))


def _why(runs: Sequence[RunMemory | None], known: Sequence[RunMemory]) -> str | None:
    if not runs:
        return "nothing ran"
    if len(known) < len(runs):
        said = next((each.absent for each in runs if each is not None and each.absent), "a run recorded no memory")
        return said if not known else f"{len(runs) - len(known)} of {len(runs)} runs: {said}"
    if len(runs) >= RUNS_NEEDED:
        return None
    seen = sorted(each.peak_mib for each in known if each.peak_mib is not None)
    return too_few_runs(len(runs), f"{seen[len(seen) // 2]:.1f} MiB")
