"""What was observed: where, when, under which conditions, and every raw sample."""

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
"""Runs may be joined, and a stored profile reused, only where all of these agree.

What somebody set and what stays until they set it otherwise is a condition, since a figure belongs to it: which cores
(``affinity``: fast and slow ones need not be alike), the control groups' share of them (``cpu_limit``: 1.5 cores are not 1,
though both round to one thread), and the range that clocks may take (``clocks``). What comes and goes by itself is observed
and never a condition, or no two runs could be joined: load, stolen time, present frequencies, heat, throttling. They say
whether a figure can be believed, not what it is a figure of. A memory limit is observed too: a run that stays below it computes
as it would without, and one that does not ends. The kernel's own throttling may lower ``clocks``; such runs rightly do not join.
"""

CONDITIONS_OF_A_SESSION = ("webgpu_adapter",)
"""What only an open session can tell: runs of one kit are joined where it agrees too, and nothing asks for it beforehand."""

MEDIANS = {"others_percent": 1, "steal_percent": 2}
"""Observation to the digits that it is written with; of several runs their median."""
WORST = {"temperature_c": 1}
"""The same of those of which the highest counts."""

EMULATED_TIMES = "times of an emulated processor are its emulator's and no device's"
"""Why runs from an environment that is not ``timed`` are figures of nothing."""
NOT_TIMED = f"not raced, since {EMULATED_TIMES}"
"""Why there is no time of a kit in an environment that is not ``timed``."""

_CLOCKS_DIFFER = timedelta(hours=1)
"""Of two people's machines, at most."""


def observed_moment(text: str) -> datetime:
    """The moment that another's record names, in UTC. Raises ValueError: as ``utc_moment``, or in the future."""
    moment = utc_moment(text)
    if moment > datetime.now(UTC) + _CLOCKS_DIFFER:
        raise ValueError(f"{text!r} is in the future")
    return moment


Purpose = Literal[
    "screen", "select", "knobs", "report", "energy", "baseline", "against", "trial", "batches", "throughput", "end-to-end",
    "soak", "select-throughput", "select-energy", "table", "evidence",
]  # fmt: skip
"""What a race was run for: ``select``, ``select-throughput`` and ``select-energy`` choose (``screen`` is of stores of before);
``knobs`` holds one kit against itself in other settings, ``batches`` screens the numbers of images in a call, ``against`` is of
two builds' kits, one of them perhaps by itself or against itself, and ``trial`` says beforehand how long such a race's runs must
be; ``table`` is of networks that learned nothing, for a device's latency table, and ``evidence`` of reference networks, for a
record that is sent."""


class Environment(Value):
    """What one machine really was that day. ``conditions`` holds the names above; what could not be read is absent."""

    conditions: Mapping[str, str]
    observed: Mapping[str, str]
    """What changes from minute to minute: load, temperature, throttling, free memory."""

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
        """Shares and heat decide whether a figure is believed, so that a NaN, which is above no bound, must not pass for one.

        A kernel's counter of stolen time may run backwards, and runners of old kits say so: such a share is none.
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
        """What a figure from here can be: an emulated processor answers as a real one does, and says nothing of its time."""
        return Fidelity.EMULATED if "emulator" in self.conditions else Fidelity.MEASURED

    @property
    def timed(self) -> bool:
        """Whether times from here are a processor's own, so that a race says something; where not, ``NOT_TIMED`` says why."""
        return self.fidelity is Fidelity.MEASURED


class RunWindow(Value):
    """One stretch of a soak."""

    began_s: FiniteFloat
    """After the soak began."""
    seconds: FiniteFloat
    samples: Count
    observed: Mapping[str, str]
    """Throttling, heat, clocks and other work of that stretch, by the names of the environment."""


class RunEvents(Value):
    """A second series of one run, by the GPU's own clock: the network alone, copies to and from the GPU outside."""

    samples_ns: tuple[Nanoseconds, ...] = ()
    absent: str | None = None
    """Why there is none."""


class RunEnergy(Value):
    """Of one process, which timed nothing."""

    images: Count
    """Inferences of one image each in ``work``."""
    idle: Stretch
    work: Stretch
    readings: tuple[EnergyReading, ...]
    absent: Mapping[str, str]
    """Meter to why it gave no reading."""


class RunMemory(Value):
    """Of one process, in MiB. ``absent`` says why there is no peak, ``gpu_absent`` why a GPU kit has no GPU memory."""

    baseline_mib: FiniteFloat | None = None
    """Peak with the runtime imported, the input at hand and no model open."""
    peak_mib: FiniteFloat | None = None
    """Peak after the last inference."""
    source: str | None = None
    """VmHWM, or ru_maxrss where there is no /proc."""
    absent: str | None = None
    gpu_mib: FiniteFloat | None = None
    """What the process held of the GPU's memory after the last inference."""
    gpu_absent: str | None = None


class Run(Value):
    """One process: the statistical unit. Times are in nanoseconds of a monotonic clock."""

    round: Count
    position: Count
    """Place inside its round: neighbours in time share the machine's conditions."""
    load_ns: Nanoseconds | None
    """None of a run that opened its model beside others, like ``process_ns``."""
    first_ns: Nanoseconds
    """The first inference, which allocates."""
    process_ns: Nanoseconds | None = None
    """From the start of the process to its first answer, without what only the measurement did; None of a runner that did not
    record it."""
    warmup_ns: tuple[Nanoseconds, ...]
    samples_ns: tuple[Nanoseconds, ...]
    started_at: str
    memory: RunMemory | None = None
    """None of a run of a runner that did not record it."""
    energy: RunEnergy | None = None
    """Of a run that measured energy; it timed nothing, so ``samples_ns`` is empty."""
    batch: Count = 1
    """Images in every call that was timed."""
    picture: str | None = None
    """Of an end-to-end run: the picture that every call read and decoded."""
    events: RunEvents | None = None
    """Of a session on a GPU."""
    threads: Count | None = None
    """Threads of the processor that a call was spread over, as its session says; None of a GPU, and of a runner that did not
    record it."""
    windows: tuple[RunWindow, ...] = ()
    """Of a soak: what ``samples_ns`` is made of, in order."""


class Until(Value):
    """Rounds are run in blocks; after each the rule looks, and stops where every kit's p50 is known well enough."""

    half_width: float
    """Of the interval of p50, as a share of p50: 0.02 is ± 2 %."""
    looks: tuple[int, ...]
    """After how many rounds it looks; the last is the cap."""


class Choosing(Value):
    """A race for the choice: after each look only those run on that may still turn out to be the best."""

    looks: tuple[int, ...]
    """After how many rounds it looks; the last is the cap."""
    regret: float
    """It ends where shipping the one ahead is expected to cost no more than this share."""
    contenders: tuple[str, ...]
    """Entrants that may be chosen; the others run until the first look, for their own figures."""
    budget_s: float
    """No look later than this begins another block."""


class Profile(Value):
    """Filed under the sha256 of the kit that ran. One of evaluation, race, residency, or a self-test that passed."""

    schema_: Literal["edgecnn.profile/1"] = "edgecnn.profile/1"
    what: Literal["evaluation", "race", "residency", "selftest"]
    subject: str
    """sha256 of the kit's manifest, which holds the sha256 of every file in the kit."""
    device: str
    """The device file that the machine matched, or ``this machine``."""
    host: str
    environment: Environment
    fidelity: Fidelity
    observed_at: Dated
    knobs: Mapping[str, str] = {}
    """Session options that it ran with beside the kit's own; what ran with others is another observation."""
    pixels: str | None = None
    """evaluation: content digest of the pixels that were shown."""
    images: int | None = None
    logits_file: str | None = None
    """evaluation: float32 array (images, classes), beside this record."""
    race: str | None = None
    """race: identity shared by all that ran interleaved; ratios are taken only inside one race."""
    purpose: Purpose | None = None
    until: Until | None = None
    """race: the rule by which it stopped; None where the number of rounds was fixed."""
    runs: tuple[Run, ...] = ()
    failure: str | None = None
    """race: why this kit did not finish its runs; the others of the race are not run again for its sake."""
    residency: Residency | None = None

    @property
    def moment(self) -> datetime:
        """When it was observed, in UTC."""
        return utc_moment(self.observed_at)


class Stretch(Value):
    """A stretch of one run, by both clocks, so that a clock that was set meanwhile is noticed."""

    began_unix_ns: Nanoseconds
    seconds: FiniteFloat
    """Of a monotonic clock."""
    clock_s: FiniteFloat
    """Of the clock on the wall."""


class EnergyReading(Value):
    """What one meter read in one run: joules over seconds, waiting and working."""

    meter: str
    """rapl, nvml, ina3221, pmic or external."""
    covers: str
    """Of what the energy is."""
    idle_j: FiniteFloat
    idle_s: FiniteFloat
    work_j: FiniteFloat
    work_s: FiniteFloat


class DatedReference(Value):
    """What a machine of a build's device once did with the build's network, out of a record: no measurement of the build."""

    candidate: str
    arch: str
    resolution_px: Resolution
    classes: int
    """Of the network that ran, whose last layer may be larger or smaller than the build's."""
    weights: str
    """``published`` or ``seeded``, upon which latency does not depend."""
    runtime_version: str
    machine: str
    observed_at: str
    fidelity: Fidelity
    """``emulated`` stays so."""
    p50_ms: Interval | None
    p99_ms: Interval | None
    runs: int
    run_settings: str | None = None
    """On how many threads, and with which knobs besides; None where the record does not say, as of GPUs."""
    disturbed: str | None = None
    unsteady: str | None = None
    """What is said of the runs where some did not settle, or were timed before they had."""
    signed_by: str | None = None
    """The signer, or the key, once the signature was found good; None: unsigned."""
    record_sha256: str
    """Of the record's content."""
