"""Energy as it was read, and what an image costs."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.values.base import Value
from edgecnn.values.verdict import Fidelity, Interval


class Stretch(Value):
    """A stretch of one run, by both clocks, so that a clock that was set meanwhile is noticed."""

    began_unix_ns: int
    seconds: float
    """Of a monotonic clock."""
    clock_s: float
    """Of the clock on the wall."""


class EnergyReading(Value):
    """What one meter read in one run: joules over seconds, waiting and working."""

    meter: str
    """rapl, nvml, ina3221, pmic or external."""
    covers: str
    """Of what the energy is."""
    idle_j: float
    idle_s: float
    work_j: float
    work_s: float


class RunEnergy(Value):
    """Of one process, which timed nothing."""

    images: int
    """Inferences of one image each in ``work``."""
    idle: Stretch
    work: Stretch
    readings: tuple[EnergyReading, ...]
    absent: Mapping[str, str]
    """Meter to why it gave no reading."""


class Energy(Value):
    """Energy per image of one candidate: medians over process runs. ``None`` where nothing can support the figure."""

    total_mj: Interval | None
    """All that the meter covers, over the time that the image took."""
    above_idle_mj: Interval | None
    """Of that, what is above the idle power taken before, in the same process; negative where a meter cannot tell them apart."""
    idle_w: Interval | None
    meter: str | None
    covers: str | None
    runs: int
    images: int
    fidelity: Fidelity
    machine: str
    observed_at: str = ""
    reason: str | None = None
    """Why there is no figure, and what would make it."""
    disturbed: str | None = None
    """What the machine did besides, where that was enough to draw power of its own."""


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
