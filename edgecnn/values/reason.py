"""Why a candidate was or was not chosen, as a typed fact of one class for each kind. ``judging.reasons`` alone formats them.

To add a kind, add a class here, its name to ``Reason``, and one sentence there.
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
    """The chosen candidate, and the reason."""

    kind: Literal["taken"] = "taken"
    by: Literal["estimate", "precision", "network", "smallest", "fallback", "original"]
    """``estimate``: the best estimate of the objective. ``precision``: within 1 % of ``ahead``, the best estimate, and of higher
    precision. ``network``: likewise, as the original network, if a changed one is ahead. ``fallback``: no candidate is shown to
    be within the accuracy budget, so fp32 ships. ``original``: the file was already quantized."""
    budget_pp: float
    objective: Objective = "latency"
    ms: float | None = None
    """Its p50 in the selecting race, if latency is the objective."""
    images_per_s: float | None = None
    """Its throughput there, if throughput is the objective."""
    batch: int | None = None
    """Its batch size there."""
    energy_mj: float | None = None
    """Its energy for one image, if energy is the objective."""
    mib: float | None = None
    ahead: str | None = None
    """The best estimate, if another candidate within 1 % of it was chosen."""
    regret: float | None = None
    """The expected regret of this choice as a share of the objective, when its race ended."""
    rounds: int | None = None
    """The rounds of that race."""
    against: str | None = None
    """The best candidate of another precision, which ran again with it for the figures."""
    ratio: Interval | None = None
    """Speed relative to ``against``, paired in that last race. Unlike the choice, this is a claim."""
    disturbed: str | None = None
    """Other work of the machine in that race; neither of the two is then shown to be faster."""
    rounds_to_settle: int | None = None
    """If the ratio does not decide: about how many rounds would, if the estimate stayed the same."""


class DatedOrder(Value):
    """The speed of candidates on a machine of the device on another day, which orders a provisional choice."""

    relative: Mapping[str, float]
    """Candidate to its time relative to fp32 in ONNX Runtime, as the geometric mean over ``networks``."""
    networks: tuple[str, ...]
    """The build's own network if the record has it, else all networks with a time for every candidate."""
    machine: str
    observed_on: str
    """Date of the record, such as 2026-11-20."""


class PredictedOrder(Value):
    """Forecasts of candidates on the device, which order a provisional choice if no record has all of them."""

    p50_ms: Mapping[str, Interval]
    """Candidate to its predicted p50, at 90 %; candidates without a forecast are absent."""
    whole: bool
    """Whether every candidate has a forecast; otherwise the ones without follow in the default order."""


class Provisional(Value):
    """The device was not raced on. Until it is, candidates are ordered by a dated record, by forecasts, or by default."""

    kind: Literal["provisional"] = "provisional"
    part: Literal["used", "carried", "reference", "fallback"]
    """``reference``: the candidate that drops are measured from. ``fallback``: another fp32 candidate, which is not known to be
    within the budget."""
    order: tuple[str, ...]
    """Candidates within the budget, the provisionally used one first."""
    missing: str
    """Why it is not settled, such as ``jetson-orin-nano was not attached``."""
    late: tuple[str, ...] = Field(default=(), exclude_if=lambda late: not late)
    """Candidates at the end of the order: their speed is unknown, and their accuracy may differ in the device's arithmetic."""
    dated: DatedOrder | None = Field(default=None, exclude_if=lambda dated: dated is None)
    """The record behind the order; None if there is none."""
    predicted: PredictedOrder | None = Field(default=None, exclude_if=lambda predicted: predicted is None)
    """The forecast behind the order; if there is neither a forecast nor a record, the default order applies, which is not a speed
    estimate."""


class Slower(Value):
    """Another candidate was faster in the selecting race."""

    kind: Literal["slower"] = "slower"
    against: str
    ms: float
    """p50."""
    against_ms: float
    ratio: Estimate | None
    """Speed of ``against`` relative to it, in the rounds that both ran; None if there is no such round."""
    machine: str
    run_settings: str | None = None
    """Settings of its runs, such as ``2 threads``; None if unknown."""
    against_run_settings: str | None = None


class FewerImages(Value):
    """Another candidate had more images a second, if throughput is the objective."""

    kind: Literal["fewer-images"] = "fewer-images"
    against: str
    images_per_s: float
    against_images_per_s: float
    batch: int
    """Its best batch size by screening."""
    against_batch: int
    ratio: Estimate | None
    """Images a second of ``against`` relative to it; None if no round has both."""
    machine: str
    run_settings: str | None = None
    against_run_settings: str | None = None


class MoreEnergy(Value):
    """Another candidate used less energy an image, if energy is the objective."""

    kind: Literal["more-energy"] = "more-energy"
    against: str
    energy_mj: float
    """Energy of one image, everything that the meter covers."""
    against_energy_mj: float
    ratio: Estimate | None
    """Energy of ``against`` / its own; None if no round has both."""
    meter: str
    machine: str
    run_settings: str | None = None
    against_run_settings: str | None = None


class Larger(Value):
    """Another candidate within the budget is smaller, if size is the objective."""

    kind: Literal["larger"] = "larger"
    against: str
    mib: float
    against_mib: float


class Alike(Value):
    """Within 1 % of the chosen candidate, which has higher precision or the original network."""

    kind: Literal["alike"] = "alike"
    objective: Raced = "latency"
    against: str
    ratio: Estimate
    """Its advantage over ``against`` by the objective, when it was chosen."""
    kept: Literal["precision", "network"] = "precision"
    """Why ``against`` was chosen: its precision, or its unchanged network."""


class Loses(Value):
    """Over the accuracy budget on the split for choices."""

    kind: Literal["loses"] = "loses"
    split: Literal["validation", "test"]
    drop_pp: Interval
    bound_pp: float
    images: int
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Number of groups of the images, if they have groups."""


class Differs(Value):
    """Without labels: more predictions differ from fp32's than the accuracy budget allows, on the split for choices."""

    kind: Literal["differs"] = "differs"
    split: Literal["validation", "test"]
    same: Interval
    """Share of images with fp32's prediction."""
    bound_pp: float
    images: int
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Number of groups of the images, if they have groups."""


class TooLarge(Value):
    """Its files exceed a gate on size that another candidate within the accuracy budget meets."""

    kind: Literal["too-large"] = "too-large"
    mib: float
    bound_mib: float


class Outside(Value):
    """Built as a reference, but not requested."""

    kind: Literal["outside"] = "outside"
    runtime: Runtime
    """Its own runtime; the target names another."""


class NotSupported(Value):
    """The runtime does not really compute in this precision on this device."""

    kind: Literal["not-supported"] = "not-supported"
    runtime: Runtime
    precision: Precision
    why: str


class NotClimbed(Value):
    """Its rung of the ladder was not needed."""

    kind: Literal["not-climbed"] = "not-climbed"
    rung: str
    why: str


class OutOfTime(Value):
    """Its rung of the ladder was not built because the time budget was used up."""

    kind: Literal["out-of-time"] = "out-of-time"
    rung: str
    spent_s: float
    """Time of the rungs that were built; more than the budget if one started within it and ended after it."""
    budget_s: float
    command: str | None = None
    """The command that continues."""


class NotMeasured(Value):
    """A necessary step of it has no result."""

    kind: Literal["not-measured"] = "not-measured"
    step: Literal["kit", "validation", "size", "race", "measure"]
    """The missing step: making its kit, evaluating the validation split, its size, the selecting race, or any measurement that
    failed."""
    outcome: Literal["failed", "blocked", "unavailable"] | None = None
    stage: str | None = None
    """The kind of a stage without a result."""
    why: str | None = None
    command: str | None = None
    """The fix."""


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
"""The closed set of kinds, distinguished by ``kind``."""
