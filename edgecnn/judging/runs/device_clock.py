"""What a GPU's own clock says of the network alone, beside the wall time that holds the copies too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgecnn.errors.wording import counted
from edgecnn.judging.intervals import LATENCY_CONFIDENCE, samples_needed, tail
from edgecnn.judging.runs.dependence import runs_interval
from edgecnn.values.profile import Run
from edgecnn.values.verdict import Interval


@dataclass(frozen=True)
class DeviceClock:
    """The median over runs of each run's median between two CUDA events; or why there is none, by the name of the figure."""

    on_gpu_ms: Interval | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


def device_clock(runs: Sequence[Run], confidence: float = LATENCY_CONFIDENCE) -> DeviceClock:
    """Of one kit's runs of one race; neither a figure nor a reason where it did not run on a GPU's session."""
    seen = [run.events for run in runs if run.events is not None]
    if not seen:
        return DeviceClock()
    medians = [found / 1e6 for each in seen if (found := tail(each.samples_ns, 50)) is not None]
    if len(medians) == len(runs) and (known := runs_interval(medians, confidence)) is not None:
        return DeviceClock(on_gpu_ms=known)
    fewest = min(len(each.samples_ns) for each in seen)
    short = f"a run has only {fewest} samples; it needs {samples_needed(50)}"
    few = f"{counted(len(runs), 'run')} are too few for an interval"
    said = next((each.absent for each in seen if each.absent), None) or (few if len(medians) == len(runs) else short)
    return DeviceClock(absent={"on_gpu_ms": said})
