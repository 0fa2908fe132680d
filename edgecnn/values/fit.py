"""Measured costs of networks on one machine; and the request, the search and the results of `edgecnn fit`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.profile import Environment, observed_moment
from edgecnn.values.recipe import GateChoice
from edgecnn.values.scale import CompoundScale
from edgecnn.values.training import AS_IT_IS, Form
from edgecnn.values.verdict import Fidelity, GateResult, Interval, Verdict

LEAST_TIMED = 12
"""Networks that a table needs for predictions: a 90 % interval needs nine, and there are about as many prices."""
MS_MIN, MS_MAX = 1e-5, 1e7
"""Limits of a median in a table: 10 ns and about three hours."""
US_MAX = 1e10
"""Limit of a layer's time in a table: about three hours."""
MOST_CLASSES = 1 << 16
"""Limit of the classes of a timed network, whose head then has at most a gigabyte."""
_MOST_ROWS = 256
"""Limit of a candidate's networks in a table. A complete table has 40, and prediction time grows with their cube."""
_Ms = Annotated[float, Field(ge=MS_MIN, le=MS_MAX, allow_inf_nan=False)]
_Us = Annotated[float, Field(ge=0, le=US_MAX, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Macs = Annotated[int, Field(ge=1, le=10**15)]
_Count = Annotated[int, Field(ge=1, le=10**6)]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
BudgetMetric = Literal["p50_ms", "energy_mj", "peak_memory_mib", "size_mib"]
"""Budgets, named as the gates of a build. A budget is met if its gate passes."""


class Probe(Value):
    """A network that is timed with untrained weights, which have the arithmetic of trained ones."""

    arch: str
    """A network of the catalogue, or a scaled one by name, such as ``mobilenet-v2-d0.8-w0.5``."""
    resolution_px: Resolution
    classes: PositiveInt
    form: Form = Field(default=AS_IT_IS, exclude_if=lambda form: not form.suffix)

    @property
    def name(self) -> str:
        """Name for people and files."""
        form = self.form.suffix
        return f"{self.arch}{f'-{form}' if form else ''}@{self.resolution_px}x{self.classes}"


class OtherLayers(Value):
    """Layers of one operator that do not multiply."""

    count: _Count
    us: _Us
    """Time of all together."""


class TracedLayers(Value):
    """Mean layer times of one traced process over some calls, including the cost of tracing."""

    multiplying_us: Annotated[tuple[_Us | None, ...], Field(max_length=100_000)]
    """Time of each multiplying layer, in order of computation; None for layers that the trace does not name."""
    others: Annotated[Mapping[str, OtherLayers], Field(max_length=1000)]
    """By the runtime's name of the operator."""


class TimedProbe(Value):
    """One candidate of one probe, timed in fresh processes that took turns with the others of its batch."""

    probe: Probe
    macs: _Macs
    """Multiply-adds of that network when it was timed; a later version may have another network of that name."""
    medians_ms: Annotated[tuple[_Ms, ...], Field(min_length=1, max_length=1000)]
    """Medians of the processes, which are the statistical unit."""
    disturbed: str | None = None
    """Why other work disturbed these figures; None if none did."""
    traced: TracedLayers | None = Field(default=None, exclude_if=lambda traced: traced is None)
    """None if the runtime does not time each layer."""

    @field_validator("probe")
    @classmethod
    def _bounded(cls, probe: Probe) -> Probe:
        """Refuse a head that no table times and that could fill the memory."""
        if probe.classes > MOST_CLASSES:
            raise ValueError(f"{probe.classes:,} classes, more than {MOST_CLASSES:,}")
        return probe

    @property
    def least_ms(self) -> float:
        """The smallest median of its processes, because other work only slows them down."""
        return min(self.medians_ms)


class LatencyTable(Value):
    """Schema edgecnn.latency-table/1. The table is measured; predictions from it are marked as predicted everywhere."""

    schema_: Literal["edgecnn.latency-table/1"] = Field(default="edgecnn.latency-table/1", alias="schema")
    version: str
    """Version of edgecnn, whose catalogue names the networks."""
    device: _Name
    """The device file."""
    machine: str
    """Description of the machine."""
    fidelity: Fidelity
    """``emulated``: the times describe the emulator only."""
    environment: Environment
    """Conditions of the machine, without those that depend on a kit."""
    runtimes: Mapping[str, str]
    """Runtime to its version."""
    observed_at: str
    seconds: _Seconds
    """Seconds of the measurement, including making the kits; stored work took none."""
    timed: Annotated[Mapping[_Name, Annotated[tuple[TimedProbe, ...], Field(max_length=_MOST_ROWS)]], Field(max_length=100)]
    """Candidate, such as ``openvino-int8``, to its timed networks."""
    failed: Mapping[str, str] = {}
    """``candidate of probe`` to the reason why it has no time; a candidate alone if none of its networks could be timed."""
    left: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Probes of the plan that were not reached in time; the same command continues with them."""

    @field_validator("observed_at")
    @classmethod
    def _dated(cls, text: str) -> str:
        observed_moment(text)
        return text

    @model_validator(mode="after")
    def _consistent(self) -> LatencyTable:
        if self.fidelity is not self.environment.fidelity:
            raise ValueError(f"it is marked {self.fidelity.value}, but its machine was {self.environment.fidelity.value}")
        if (networks := len({row.probe for rows in self.timed.values() for row in rows})) > _MOST_ROWS:
            raise ValueError(f"{networks:,} networks, more than {_MOST_ROWS}")
        return self


class Predicted(Value):
    """Predicted latency of one candidate of an untimed network, from a table; gates ignore it."""

    candidate: str
    p50_ms: Interval
    """Interval at 90 %; ``benchmarks/fit`` shows how often such intervals held."""
    extrapolated: tuple[str, ...] = ()
    """Features that no network of the table has to this extent; the prediction is then a guess and not used."""


class Trained(Value):
    """One training of a member, and its accuracy on ``validation``, 0…1."""

    epochs: PositiveInt
    """Its own epochs; those before surgery count if they are not the first network's."""
    whole: bool
    """Whether it has its build's full length, or a part of it, to compare members."""
    taught: bool
    """Whether it learned another network's outputs instead of labels."""
    validation_top1: NonNegativeFloat
    seconds: NonNegativeFloat
    """Seconds; 0 if it was in the store."""


class Member(Value):
    """One network of the family."""

    name: str
    """Its scale, and its form if changed."""
    scale: str
    """The text that ``--scale`` accepts."""
    form: Form = Field(default=AS_IT_IS, exclude_if=lambda form: not form.suffix)
    """Its surgery."""
    resolution_px: Resolution
    parameters: PositiveInt
    macs: PositiveInt
    """Multiply-adds for one image."""
    standin: float
    """The stand-in for accuracy before training; only its order has a meaning."""
    predicted: tuple[Predicted, ...] = ()
    """The fastest first."""
    trained: tuple[Trained, ...] = ()
    build: str | None = None
    """Folder of its build, if it was built."""
    candidate: str | None = None
    """The candidate that its build chose."""
    validation_top1: Interval | None = None
    """Accuracy of that candidate."""
    test_top1: Interval | None = None
    """Test accuracy of that candidate; not used for any choice."""
    untrained_ms: Interval | None = None
    """p50 of its untrained network, of the faster of two candidates, from a few rounds."""
    p50_ms: Interval | None = None
    """p50 of that candidate in the race of the front; if its kit was not in it, from its own build."""
    fidelity: Fidelity | None = None
    gates: tuple[GateResult, ...] = ()
    """Gates of the budgets, of a required accuracy, and of the recipe."""
    gates_dropped: GateChoice = Field(default=GateChoice(), exclude_if=lambda bounds: not bounds)
    """Bounds of an earlier command line that its build does not judge."""
    inside: Verdict | None = None
    """Whether all budgets are met: UNSURE if an interval contains a bound; None if it was not built."""
    failed: str | None = None
    """Why it could not be trained or built."""

    @property
    def multipliers(self) -> tuple[float, float, float]:
        """Depth, width, and the side of a square with as many pixels as its input. Pruned networks have the width of their
        remaining channels.
        """
        scale = CompoundScale.from_text(self.scale)
        return scale.depth or 1.0, (scale.width or 1.0) * (1 - self.form.pruned), math.sqrt(self.resolution_px.area_px)

    @property
    def best_predicted(self) -> Predicted | None:
        """The fastest prediction that is used."""
        return next((prediction for prediction in self.predicted if not prediction.extrapolated), None)

    @property
    def prediction(self) -> Predicted | None:
        """The prediction of the candidate that its build chose, or of the fastest candidate before it was built."""
        if self.build is None:
            return self.best_predicted
        return next((known for known in self.predicted if known.candidate == self.candidate and not known.extrapolated), None)


class Trial(Value):
    """One network whose cost was predicted."""

    name: str
    p50_ms: PositiveFloat
    """Prediction of its fastest candidate."""
    standin: float


class TableUsed(Value):
    """The latency table behind the predictions."""

    file: str
    machine: str
    observed_at: str
    networks: PositiveInt
    fidelity: Fidelity


class OnAnother(Value):
    """Predicted latency of built members on a further device."""

    device: str
    table: TableUsed
    predicted: Mapping[str, Predicted]
    """Name of a member to its fastest candidate there."""


class FitReport(Value):
    """Schema edgecnn.fit/1."""

    schema_: Literal["edgecnn.fit/1"] = Field(default="edgecnn.fit/1", alias="schema")
    version: str
    family: str
    device: str
    attached: bool
    machine: str
    within: Mapping[BudgetMetric, PositiveFloat]
    """Budget to its limit; images per second are converted to p50."""
    stated: Mapping[str, PositiveFloat] = {}
    """The budgets as they were stated; empty in older files."""
    required_top1: float | None = None
    """Required accuracy of ``--accuracy``; the fastest network that reaches it ships."""
    table: TableUsed
    trials: tuple[Trial, ...]
    """All networks whose cost was predicted, in search order, without repeats."""
    axes: Mapping[str, float] = {}
    """Single change of the first network, such as half of its depth, to the share of its predicted p50 that is left."""
    members: tuple[Member, ...]
    """Trained networks, the shipped one first."""
    front: tuple[str, ...]
    """Names of built members for which no other is both more accurate and faster."""
    rank_correlation: float | None
    """Spearman's rank correlation of the stand-in and accuracy after a short training; None for fewer than four networks. Members
    changed only by surgery are excluded, because they start from trained weights."""
    ranked: NonNegativeInt = 0
    """Number of networks in the correlation."""
    teacher: str | None
    """The member that taught the others."""
    distillation_gain_pp: Interval | None = None
    """Gain of the shipped member from the teacher, compared with labels alone, paired on the test images; not used for any
    choice."""
    shipped_distilled: bool = False
    """Whether the shipped network learned another network's outputs: the teacher's, if that training is the more accurate on
    ``validation``; or the first network's before surgery, if only surgery distinguishes it."""
    against_first_pp: Interval | None = None
    """Gain of the shipped member over the family's first network in top-1, paired on the test images; None for the first itself.
    """
    shipped: str | None
    """Name of the shipped member; None if none is within the budgets."""
    state: Literal["settled", "provisional", "none"]
    why: str
    gates_dropped: GateChoice = Field(default=GateChoice(), exclude_if=lambda bounds: not bounds)
    """Bounds of an earlier command line that the shipped build does not judge."""
    elsewhere: tuple[OnAnother, ...] = ()
    left_out: int = 0
    """Trainings that the time limit excluded."""
    seconds: NonNegativeFloat
    command: str
