"""Why a candidate stands where it does, as a typed fact: one class a kind. ``judging.reasons`` alone puts them into words.

A new kind is a class here, its name in ``Reason``, and one sentence there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.recipe import Objective, Raced
from edgecnn.values.verdict import Estimate, Interval


class Taken(Value):
    """It ships, and what it was taken for."""

    kind: Literal["taken"] = "taken"
    by: Literal["estimate", "precision", "network", "smallest", "fallback", "original"]
    """``estimate``: the best estimate of the objective. ``precision``: within 1 % of ``ahead``, the best estimate, and of higher
    precision. ``network``: the same of the network as given, where a changed one is ahead. ``fallback``: nothing was shown to be
    inside the accuracy budget, so fp32 ships whatever it costs. ``original``: the file came quantized."""
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
    ahead: str | None = None
    """The best estimate, where another within 1 % of it was kept."""
    regret: float | None = None
    """What this choice is expected to cost against the best, as a share of the objective, when the race for it ended."""
    rounds: int | None = None
    """Of that race."""
    against: str | None = None
    """The best candidate of another precision, beside which it ran once more for the figures."""
    ratio: Interval | None = None
    """How many times as fast as ``against``, paired in that later race: a claim, which the choice is not."""
    disturbed: str | None = None
    """What the machine did besides in that race: neither of the two is then shown to be faster."""
    rounds_to_settle: int | None = None
    """Where the ratio leaves open which is faster: about how many rounds would show it, were the estimate to stay."""


class DatedOrder(Value):
    """How fast candidates were on a machine of the device on another day: what a provisional choice is ordered by."""

    relative: Mapping[str, float]
    """Candidate to its time over that of fp32 in ONNX Runtime, as the geometric mean over ``networks``."""
    networks: tuple[str, ...]
    """The build's own where the record has it, else all of the record that have every candidate's time."""
    machine: str
    observed_on: str
    """The day of the record, such as 2026-11-20."""


class PredictedOrder(Value):
    """What a forecast says of candidates on the device: it orders a provisional choice where no record has all of them."""

    p50_ms: Mapping[str, Interval]
    """Candidate to its predicted p50, at 90 %; without those that have no forecast."""
    whole: bool
    """Whether every candidate whose accuracy counts has one. Else precisions keep the default order."""


class Provisional(Value):
    """The device was not raced on: what is carried until it is, in the order of a dated record, of a forecast, or by default."""

    kind: Literal["provisional"] = "provisional"
    part: Literal["used", "carried", "reference", "fallback"]
    """``reference``: the candidate that every drop is counted from. ``fallback``: another fp32 candidate, which is not known to
    be inside the budget."""
    order: tuple[str, ...]
    """Candidates inside the budget, the one that is used for now first."""
    missing: str
    """What would have settled it, such as ``jetson-orin-nano was not attached``."""
    late: tuple[str, ...] = Field(default=(), exclude_if=lambda late: not late)
    """Of the order those at its end whose accuracy is not known to have been computed as the device does."""
    dated: DatedOrder | None = Field(default=None, exclude_if=lambda dated: dated is None)
    """The record that the order is by; None: another one."""
    predicted: PredictedOrder | None = Field(default=None, exclude_if=lambda predicted: predicted is None)
    """The forecast that the order is by; None, and no record: the default order, which estimates no speed."""


class Slower(Value):
    """Another was measured faster in the race that selected."""

    kind: Literal["slower"] = "slower"
    against: str
    ms: float
    """p50."""
    against_ms: float
    ratio: Estimate | None
    """How many times as fast as ``against`` in the rounds that both ran; None where no round has both."""
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
    ratio: Estimate | None
    """How many times the images a second of ``against``; None where no round has both."""
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
    ratio: Estimate | None
    """Energy of ``against`` / its own; None where no round has both."""
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


class Alike(Value):
    """Within 1 % of what was taken, which is rougher in less: of higher precision, or the network as given."""

    kind: Literal["alike"] = "alike"
    objective: Raced = "latency"
    against: str
    ratio: Estimate
    """How many times as good as ``against`` by the objective, when it was chosen."""
    kept: Literal["precision", "network"] = "precision"
    """What ``against`` was taken for: its precision, or that surgery did not change it."""


class Loses(Value):
    """Over the accuracy budget on the split that is chosen by."""

    kind: Literal["loses"] = "loses"
    split: Literal["validation", "test"]
    drop_pp: Interval
    bound_pp: float
    images: int
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """In which they came, where they did."""


class Differs(Value):
    """Without labels: more answers differ from fp32's, on the split that is chosen by, than accuracy may fall."""

    kind: Literal["differs"] = "differs"
    split: Literal["validation", "test"]
    same: Interval
    """Share of images with fp32's answer."""
    bound_pp: float
    images: int
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """In which they came, where they did."""


class TooLarge(Value):
    """Its files are larger than a gate on size allows, and another's, inside the accuracy budget too, are not."""

    kind: Literal["too-large"] = "too-large"
    mib: float
    bound_mib: float


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
    step: Literal["kit", "validation", "size", "race", "measure"]
    """Making its kit; answering to the validation split; weighing; the race that selects; or any measuring, where that failed."""
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
    | Alike
    | Loses
    | Differs
    | TooLarge
    | Outside
    | NotSupported
    | NotClimbed
    | OutOfTime
    | NotMeasured,
    Field(discriminator="kind"),
]
"""The closed set, told apart by ``kind``."""
