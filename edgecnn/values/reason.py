"""Why a candidate stands where it does, as a typed fact: one class a kind. ``judging.reasons`` alone puts them into words.

A new kind is a class here, its name in ``Reason``, and one sentence there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.recipe import Objective, Raced
from edgecnn.values.verdict import Interval


class Taken(Value):
    """It ships, and what it was taken for."""

    kind: Literal["taken"] = "taken"
    by: Literal["fastest", "nothing-shown-faster", "smallest", "fallback", "original"]
    """``fastest``: best by the objective. ``nothing-shown-faster``: nothing was shown better by it. ``fallback``: nothing was
    shown to be inside the accuracy budget, so fp32 ships whatever it costs. ``original``: the file came quantized."""
    budget_pp: float
    objective: Objective = "latency"
    ms: float | None = None
    """Its p50 in the race that selected, where latency is the objective."""
    images_per_s: float | None = None
    """The same of throughput."""
    batch: int | None = None
    """Images in a call there."""
    energy_mj: float | None = None
    """Of one image, where energy is the objective."""
    mib: float | None = None
    against: str | None = None
    """What it had to be shown faster than."""
    ratio: Interval | None = None
    """How many times as good as ``against`` by the objective (as fast, or reference's energy / its own), paired in one race."""


class Provisional(Value):
    """The device has not spoken: what is carried until it does, in a fixed order that predicts nothing."""

    kind: Literal["provisional"] = "provisional"
    part: Literal["used", "carried", "reference"]
    """``reference``: the fp32 that every other candidate is held against."""
    order: tuple[str, ...]
    """Candidates inside the budget, the one that is used for now first."""
    missing: str
    """What would have settled it, such as ``jetson-orin-nano was not attached``."""


class Slower(Value):
    """Another was measured faster in the race that selected."""

    kind: Literal["slower"] = "slower"
    against: str
    ms: float
    """p50."""
    against_ms: float
    ratio: Interval | None
    """How many times as fast as ``against``, paired in one race, so below 1; None where no round has both."""
    machine: str
    run_settings: str | None = None
    """How its runs were made, such as ``2 threads``; None where that is not known."""
    against_run_settings: str | None = None


class FewerImages(Value):
    """Another was measured to do more images a second, where throughput is what counts."""

    kind: Literal["fewer-images"] = "fewer-images"
    against: str
    images_per_s: float
    against_images_per_s: float
    batch: int
    """Images in a call: its best number, as screening has it."""
    against_batch: int
    ratio: Interval | None
    """How many times the images a second of ``against``, paired in one race, so below 1; None where no round has both."""
    machine: str
    run_settings: str | None = None
    against_run_settings: str | None = None


class MoreEnergy(Value):
    """Another was measured to take less energy for an image, where energy is what counts."""

    kind: Literal["more-energy"] = "more-energy"
    against: str
    energy_mj: float
    """Of one image, all that the meter covers."""
    against_energy_mj: float
    ratio: Interval | None
    """Energy of ``against`` / its own, paired in one race, so below 1; None where no round has both."""
    meter: str
    machine: str
    run_settings: str | None = None
    against_run_settings: str | None = None


class Larger(Value):
    """Another inside the budget is smaller, where size is what counts."""

    kind: Literal["larger"] = "larger"
    against: str
    mib: float
    against_mib: float


class NotShownFaster(Value):
    """A lower precision ships only where its paired interval lies beyond 1, and this one's does not."""

    kind: Literal["not-shown-faster"] = "not-shown-faster"
    objective: Raced = "latency"
    """In what it was not shown better."""
    against: str
    ratio: Interval | None
    """How many times as good as ``against`` by the objective; None where they have no paired runs."""
    machine: str | None = None
    run_settings: str | None = None
    """How its runs were made, such as ``2 threads``; None where that is not known."""
    against_run_settings: str | None = None
    rounds: int = 0
    """Of the race."""
    smallest_ratio: float | None = None
    """What this race could have shown, where the advantage seen hides in that: then not shown is no answer, but UNSURE."""
    rounds_to_settle: int | None = None
    """About how many would show the advantage seen; None where there is none, or more than anybody should wait for."""


class Loses(Value):
    """Over the accuracy budget on the split that is chosen by."""

    kind: Literal["loses"] = "loses"
    split: Literal["choose", "report"]
    drop_pp: Interval
    bound_pp: float
    images: int


class Differs(Value):
    """Without labels: more answers differ from fp32's, on the split that is chosen by, than accuracy may fall."""

    kind: Literal["differs"] = "differs"
    split: Literal["choose", "report"]
    same: Interval
    """Share of images with fp32's answer."""
    bound_pp: float
    images: int


class Outside(Value):
    """Built to be held against, and not what was asked for."""

    kind: Literal["outside"] = "outside"
    runtime: Runtime
    """Its own; the target names another."""


class NotSupported(Value):
    """The runtime does not really compute in this precision on this device."""

    kind: Literal["not-supported"] = "not-supported"
    runtime: Runtime
    precision: Precision
    why: str


class NotClimbed(Value):
    """Its rung of the ladder was not tried."""

    kind: Literal["not-climbed"] = "not-climbed"
    rung: str
    why: str


class OutOfTime(Value):
    """Its rung of the ladder was not tried because the time budget was spent."""

    kind: Literal["out-of-time"] = "out-of-time"
    rung: str
    spent_s: float
    """On the rungs that were climbed; more than the budget where one began inside it and ended after it."""
    budget_s: float
    command: str | None = None
    """What climbs on."""


class NotMeasured(Value):
    """A step without which nothing can be said of it has no result."""

    kind: Literal["not-measured"] = "not-measured"
    step: Literal["kit", "choose", "size", "race", "measure"]
    """Making its kit; answering to the choose split; weighing; the race that selects; or any measuring, where that failed."""
    outcome: Literal["failed", "blocked", "unavailable"] | None = None
    stage: str | None = None
    """Where a stage of making it has no result: its kind."""
    why: str | None = None
    command: str | None = None
    """What mends it."""


Reason = Annotated[
    Taken
    | Provisional
    | Slower
    | FewerImages
    | MoreEnergy
    | Larger
    | NotShownFaster
    | Loses
    | Differs
    | Outside
    | NotSupported
    | NotClimbed
    | OutOfTime
    | NotMeasured,
    Field(discriminator="kind"),
]
"""The closed set, told apart by ``kind``."""
