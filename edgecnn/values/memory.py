"""How much memory a process held at most, and how much of that is the runtime's own."""

from __future__ import annotations

from edgecnn.values.base import Value
from edgecnn.values.verdict import Fidelity, Interval


class RunMemory(Value):
    """Of one process, in MiB. ``absent`` says why there is no peak, ``gpu_absent`` why a GPU kit has no GPU memory."""

    baseline_mib: float | None = None
    """Peak with the runtime imported, the input at hand and no model open."""
    peak_mib: float | None = None
    """Peak after the last inference."""
    source: str | None = None
    """VmHWM, or ru_maxrss where there is no /proc."""
    absent: str | None = None
    gpu_mib: float | None = None
    """What the process held of the GPU's memory after the last inference."""
    gpu_absent: str | None = None


class Memory(Value):
    """Of one candidate: medians over process runs. ``None`` where the sample cannot support the figure, ``reason`` says why."""

    peak_mib: Interval | None
    baseline_mib: Interval | None
    above_baseline_mib: Interval | None
    """What the model added to the runtime's own baseline: the median over runs of their differences."""
    gpu_mib: Interval | None = None
    largest_mib: float | None = None
    """The largest peak of all runs: what a gate bounds, for a process that runs out of memory ends."""
    runs: int
    fidelity: Fidelity
    machine: str
    reason: str | None = None
    gpu_reason: str | None = None
    """Why a candidate of a GPU has no GPU memory; None for one of a CPU, which needs none."""
