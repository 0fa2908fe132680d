"""Observations: where, when, under which conditions, and every raw sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import FiniteFloat, field_validator

from edgecnn.values.base import Count, Dated, Nanoseconds, Value, utc_moment
from edgecnn.values.layers import Residency
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.verdict import Fidelity, Interval

CONDITIONS_THAT_MUST_MATCH = (
    "machine", "cpu", "isa", "cores", "affinity", "cpu_limit", "kernel", "governor", "power_mode", "clocks", "python", "runtime",
    "runtime_version", "driver", "gpu", "emulator",
)  # fmt: skip
"""Runs are joined, and a stored profile is reused, only if all of these agree.

A condition is set by someone and stays until changed, and figures depend on it. Examples are the cores (``affinity``: fast and
slow cores may differ), the share of them in control groups (``cpu_limit``: 1.5 cores are not 1, though both round to one thread),
and the clock range (``clocks``). Values that change on their own are observed but are not conditions, since no two runs could be
joined otherwise: load, stolen time, current frequencies, heat, throttling. They show whether a figure can be believed. A memory
limit is also only observed, because a run below it computes the same and a run above it ends. The kernel's own throttling may
lower ``clocks``; such runs rightly do not join.
"""

CONDITIONS_OF_A_SESSION = ("webgpu_adapter",)
"""Conditions that only an open session knows: runs of one kit must agree on them too, but they cannot be checked before."""

MEDIANS = {"others_percent": 1, "steal_percent": 2}
"""Observation to the number of digits shown; for several runs their median."""
WORST = {"temperature_c": 1}
"""Observation to the number of digits shown; for several runs their highest value."""

EMULATED_TIMES = "an emulated processor gives the times of its emulator"
"""Why runs from an environment that is not ``timed`` are figures of nothing."""
NOT_TIMED = f"not raced, because {EMULATED_TIMES}"
"""Why there is no time of a kit in an environment that is not ``timed``."""

_CLOCKS_DIFFER = timedelta(hours=1)
"""Largest difference of clocks between two machines."""


def observed_moment(text: str) -> datetime:
    """Return the time of a record in UTC. Raises ValueError: as ``utc_moment``, or in the future."""
    moment = utc_moment(text)
    if moment > datetime.now(UTC) + _CLOCKS_DIFFER:
        raise ValueError(f"{text!r} is in the future")
    return moment


Purpose = Literal[
    "screen", "select", "knobs", "report", "energy", "baseline", "against", "trial", "batches", "throughput", "end-to-end",
    "soak", "select-throughput", "select-energy", "table", "evidence",
]  # fmt: skip
"""The purpose of a race. ``select``, ``select-throughput`` and ``select-energy`` choose (``screen`` only in old stores).
``knobs`` compares settings of one kit, and ``batches`` screens batch sizes. ``against`` races two builds' kits, possibly one
alone or against itself, and ``trial`` finds the necessary length of its runs. ``table`` times untrained networks for a device's
latency table, and ``evidence`` reference networks for a record."""


class Environment(Value):
    """The state of one machine. ``conditions`` has the names above; unreadable ones are absent."""

    conditions: Mapping[str, str]
    observed: Mapping[str, str]
    """Values that change from minute to minute: load, temperature, throttling, free memory."""

    @field_validator("conditions")
    @classmethod
    def _counted(cls, conditions: Mapping[str, str]) -> Mapping[str, str]:
        cores = conditions.get("cores", "1")
        if not (cores.isascii() and cores.isdecimal() and len(cores) <= len("99999")):
            raise ValueError(f"cores is {cores[:20]!r}, no number")
        return conditions

    @field_validator("observed")
    @classmethod
    def _require_numbers(cls, observed: Mapping[str, str]) -> Mapping[str, str]:
        """Check shares and temperatures, which decide whether a figure is believed; a NaN, which exceeds no limit, must not pass.

        A kernel's counter of stolen time may run backwards, and runners of old kits report that; such a share is dropped.
        """
        for name in (*MEDIANS, *WORST):
            text, share = observed.get(name, "0"), name in MEDIANS
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if name == "steal_percent" and number < 0:
                observed = {key: value for key, value in observed.items() if key != name}
            elif not math.isfinite(number) or (share and number < 0):
                raise ValueError(f"{name} is {text!r}, no {'share' if share else 'number'}")
        return observed

    @property
    def fidelity(self) -> Fidelity:
        """The origin of figures from here: an emulated processor computes like a real one, but its times have no meaning."""
        return Fidelity.EMULATED if "emulator" in self.conditions else Fidelity.MEASURED

    @property
    def timed(self) -> bool:
        """Whether times from here are a real processor's; otherwise ``NOT_TIMED`` gives the reason."""
        return self.fidelity is Fidelity.MEASURED


class RunWindow(Value):
    """One window of a sustained run."""

    began_s: FiniteFloat
    """Seconds since its start."""
    seconds: FiniteFloat
    samples: Count
    observed: Mapping[str, str]
    """Throttling, heat, clocks and other work in that window, by the names of the environment."""


class RunEvents(Value):
    """A second series of one run, by the GPU's own clock: the network alone, without copies to and from the GPU."""

    samples_ns: tuple[Nanoseconds, ...] = ()
    absent: str | None = None
    """Why there is no second series."""


class RunEnergy(Value):
    """Energy of one process, which times nothing."""

    images: Count
    """Inferences of one image each in ``work``."""
    idle: Stretch
    work: Stretch
    readings: tuple[EnergyReading, ...]
    absent: Mapping[str, str]
    """Meter to the reason why it gave no reading."""


class RunMemory(Value):
    """Memory of one process, in MiB. ``absent`` says why there is no peak, ``gpu_absent`` why a GPU kit has no GPU memory."""

    baseline_mib: FiniteFloat | None = None
    """Peak with the runtime imported and the input loaded, before a model is opened."""
    peak_mib: FiniteFloat | None = None
    """Peak after the last inference."""
    source: str | None = None
    """VmHWM, or ru_maxrss without /proc."""
    absent: str | None = None
    gpu_mib: FiniteFloat | None = None
    """The process's GPU memory after the last inference."""
    gpu_absent: str | None = None


class RunWaiting(Value):
    """How a process got the processors that it wanted while its samples were timed, over all its threads."""

    wall_ns: Nanoseconds | None = None
    """Length of the timing. All counts are None where the kernel does not count; ``absent`` then says why."""
    ran_ns: Nanoseconds | None = None
    """CPU time of the process."""
    waited_ns: Nanoseconds | None = None
    """Time in which a thread was ready to run and had no processor."""
    switched: Count | None = None
    """How often a thread lost its processor to another one."""
    others_ns: Nanoseconds | None = None
    """CPU time of other programs on all processors."""
    absent: str | None = None


class Run(Value):
    """One process, the statistical unit. Times are in nanoseconds of a monotonic clock."""

    round: Count
    position: Count
    """Position in its round: runs that are close in time share the machine's conditions."""
    load_ns: Nanoseconds | None
    """None if other processes opened their models at the same time; so is ``process_ns``."""
    first_ns: Nanoseconds
    """The first inference, which allocates."""
    process_ns: Nanoseconds | None = None
    """From the start of the process to its first output, without the measurement's own work; None from runners that did not
    record it."""
    warmup_ns: tuple[Nanoseconds, ...]
    samples_ns: tuple[Nanoseconds, ...]
    started_at: str
    memory: RunMemory | None = None
    """None from runners that did not record it."""
    energy: RunEnergy | None = None
    """For a run that measured energy; it times nothing, so ``samples_ns`` is empty."""
    batch: Count = 1
    """Images in each timed call."""
    picture: str | None = None
    """For an end-to-end run: the image file that every call decoded."""
    events: RunEvents | None = None
    """For a session on a GPU."""
    threads: Count | None = None
    """CPU threads of a call, as the session reports; None for a GPU, and from runners that did not record it."""
    windows: tuple[RunWindow, ...] = ()
    """For a sustained run: the windows of ``samples_ns``, in order."""
    waiting: RunWaiting | None = None
    """None from runners that did not record it, and for runs that time nothing."""


class Until(Value):
    """Run rounds in blocks, and stop after a block if every kit's p50 is known precisely enough."""

    half_width: float
    """Half-width of the interval of p50, relative to p50: 0.02 is ± 2 %."""
    looks: tuple[int, ...]
    """Rounds after which to check; the last is the limit."""


class Choosing(Value):
    """A first race: after each check, only candidates that may still be the best continue."""

    looks: tuple[int, ...]
    """Rounds after which to check; the last is the limit."""
    regret: float
    """The race ends if the expected regret of the leader is at most this share."""
    contenders: tuple[str, ...]
    """Candidates that may be chosen; the others run until the first check, for their own figures."""
    budget_s: float
    """No block starts after this time."""


class Profile(Value):
    """One evaluation, race, residency, or passed self-test, stored by the SHA-256 of its kit."""

    schema_: Literal["edgecnn.profile/1"] = "edgecnn.profile/1"
    what: Literal["evaluation", "race", "residency", "selftest"]
    subject: str
    """SHA-256 of the kit's manifest, which contains the SHA-256 of every file in the kit."""
    device: str
    """The device file that the machine matched, or ``this machine``."""
    host: str
    environment: Environment
    fidelity: Fidelity
    observed_at: Dated
    knobs: Mapping[str, str] = {}
    """Session options in addition to the kit's own; profiles with other options are separate observations."""
    pixels: str | None = None
    """evaluation: digest of the pixels."""
    images: int | None = None
    logits_file: str | None = None
    """evaluation: float32 array (images, classes), next to this record."""
    race: str | None = None
    """race: identity shared by all interleaved kits; ratios are computed inside one race only."""
    purpose: Purpose | None = None
    until: Until | None = None
    """race: the rule that ended it; None for a fixed number of rounds."""
    runs: tuple[Run, ...] = ()
    failure: str | None = None
    """race: why this kit did not finish its runs; the other kits are not raced again because of it."""
    residency: Residency | None = None

    @property
    def moment(self) -> datetime:
        """Time of the observation, in UTC."""
        return utc_moment(self.observed_at)


class Stretch(Value):
    """A period of one run, by two clocks, so that a change of the clock is detected."""

    began_unix_ns: Nanoseconds
    seconds: FiniteFloat
    """By a monotonic clock."""
    clock_s: FiniteFloat
    """By the wall clock."""


class EnergyReading(Value):
    """The reading of one meter in one run: joules and seconds, idle and working."""

    meter: str
    """rapl, nvml, ina3221, pmic or external."""
    covers: str
    """The part of the machine that it measures."""
    idle_j: FiniteFloat
    idle_s: FiniteFloat
    work_j: FiniteFloat
    work_s: FiniteFloat


class DatedReference(Value):
    """A recorded measurement of the build's network on a machine of its device; not a measurement of the build."""

    candidate: str
    arch: str
    resolution_px: Resolution
    classes: int
    """Parameters of the network that ran, whose last layer may differ from the build's."""
    weights: str
    """``published`` or ``seeded``; latency does not depend on it."""
    runtime_version: str
    machine: str
    observed_at: str
    fidelity: Fidelity
    """``emulated`` stays emulated."""
    p50_ms: Interval | None
    p99_ms: Interval | None
    runs: int
    run_settings: str | None = None
    """Number of threads, and other settings; None if the record does not say, as for GPUs."""
    disturbed: str | None = None
    unsteady: str | None = None
    """Description of the runs if some did not settle, or were timed before they had."""
    signed_by: str | None = None
    """The signer, or the key, if the signature was verified; None: unsigned."""
    record_sha256: str
    """Digest of the record's content."""


class ExtraRuns(Value):
    """Measurements in addition to the races of a build. Each is measured only if the user asks for it."""

    batches: tuple[int, ...] = ()
    """Batch sizes to measure throughput at."""
    best_batch: bool = False
    """Search for the batch size with the highest throughput, and measure it."""
    end_to_end: bool = False
    soak_s: float | None = None

    @property
    def throughput(self) -> bool:
        """Whether throughput is measured at any batch size."""
        return bool(self.batches) or self.best_batch
