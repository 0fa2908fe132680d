"""What networks cost on one machine, measured; and what a search for the best inside a budget was asked, looked at and found."""

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
from edgecnn.values.scale import CompoundScale
from edgecnn.values.training import AS_IT_IS, Form
from edgecnn.values.verdict import Fidelity, GateResult, Interval, Verdict

LEAST_TIMED = 12
"""Networks of a table of which others are predicted: an interval of 90 % needs nine, and the prices are about as many."""
MS_MIN, MS_MAX = 1e-5, 1e7
"""Bounds of a median in a table: 10 ns and about three hours."""
US_MAX = 1e10
"""Bound of a layer's time in a table: about three hours."""
MOST_CLASSES = 1 << 16
"""Bound of the classes of a timed network: a head of so many weighs a gigabyte at most."""
_MOST_ROWS = 256
"""Bound of a candidate's networks in a table. A whole table has 40, and a prediction takes time with their cube."""
_Ms = Annotated[float, Field(ge=MS_MIN, le=MS_MAX, allow_inf_nan=False)]
_Us = Annotated[float, Field(ge=0, le=US_MAX, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Macs = Annotated[int, Field(ge=1, le=10**15)]
_Count = Annotated[int, Field(ge=1, le=10**6)]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
BudgetMetric = Literal["p50_ms", "energy_mj", "peak_memory_mib", "size_mib"]
"""Gates of a build by the same names: a budget is met where its gate passes."""


class Probe(Value):
    """A network that is timed with weights that learned nothing: its arithmetic is that of a trained one."""

    arch: str
    """Of the catalogue, or a scaled one by its own name, such as ``mobilenet-v2-d0.8-w0.5``."""
    resolution_px: Resolution
    classes: PositiveInt
    form: Form = Field(default=AS_IT_IS, exclude_if=lambda form: not form.suffix)

    @property
    def name(self) -> str:
        """For people and files."""
        form = self.form.suffix
        return f"{self.arch}{f'-{form}' if form else ''}@{self.resolution_px}x{self.classes}"


class OtherLayers(Value):
    """What a runtime ran of one of its operators, none of which multiplies."""

    count: _Count
    us: _Us
    """Of all together."""


class TracedLayers(Value):
    """Where the time of one traced process went: its mean over some calls, with what tracing itself costs."""

    multiplying_us: Annotated[tuple[_Us | None, ...], Field(max_length=100_000)]
    """Of each layer that multiplies, in the order in which the network computes them; None of what the trace does not name."""
    others: Annotated[Mapping[str, OtherLayers], Field(max_length=1000)]
    """By the runtime's own name of the operator."""


class TimedProbe(Value):
    """One candidate of one probe, timed in fresh processes that took turns with the others of its batch."""

    probe: Probe
    macs: _Macs
    """Of that network when it was timed: today's of the same name may be another one."""
    medians_ms: Annotated[tuple[_Ms, ...], Field(min_length=1, max_length=1000)]
    """Of each process; the statistical unit."""
    disturbed: str | None = None
    """Why these figures are of a machine that did other work; None: it did not."""
    traced: TracedLayers | None = Field(default=None, exclude_if=lambda traced: traced is None)
    """None where the runtime does not time each layer."""

    @field_validator("probe")
    @classmethod
    def _bounded(cls, probe: Probe) -> Probe:
        """Refuse a head that no table times and that could fill the memory."""
        if probe.classes > MOST_CLASSES:
            raise ValueError(f"{probe.classes:,} classes, more than {MOST_CLASSES:,}")
        return probe

    @property
    def least_ms(self) -> float:
        """Of its processes: other work makes one slower, and none faster."""
        return min(self.medians_ms)


class LatencyTable(Value):
    """Schema edgecnn.latency-table/1. Measured; what is predicted from it is marked as predicted wherever it is shown."""

    schema_: Literal["edgecnn.latency-table/1"] = Field(default="edgecnn.latency-table/1", alias="schema")
    version: str
    """Of edgecnn, whose catalogue names the networks."""
    device: _Name
    """The device file that was named."""
    machine: str
    """The concrete machine, for people."""
    fidelity: Fidelity
    """``emulated``: an emulated processor's times are of nothing but the emulator."""
    environment: Environment
    """The machine's, without the conditions that only a kit decides."""
    runtimes: Mapping[str, str]
    """Runtime to the version that ran there."""
    observed_at: str
    seconds: _Seconds
    """That measuring took, making what is measured included; what was stored already took none."""
    timed: Annotated[Mapping[_Name, Annotated[tuple[TimedProbe, ...], Field(max_length=_MOST_ROWS)]], Field(max_length=100)]
    """Candidate, such as ``openvino-int8``, to what was timed of it."""
    failed: Mapping[str, str] = {}
    """``candidate of probe`` to why it has no time; a candidate alone, of which nothing could be timed."""
    left: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Probes of the plan for which no time was left; the same command goes on with them."""

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
    """Latency of one candidate of a network that was not timed, from a table; no gate takes it."""

    candidate: str
    p50_ms: Interval
    """At 90 %; how often such intervals held is in ``benchmarks/fit``."""
    extrapolated: tuple[str, ...] = ()
    """Features in which the table has nothing like this network: then the figure is a guess, and is not used."""


class Trained(Value):
    """One training of a member, and what it came to on ``validation``, 0…1."""

    epochs: PositiveInt
    """Of its own: those before surgery are counted where they are not the first's."""
    whole: bool
    """As long as its build's; else a part of that, to see which members are worth it."""
    taught: bool
    """By another network's answers; else by labels."""
    validation_top1: NonNegativeFloat
    seconds: NonNegativeFloat
    """That it took; 0 where it was in the store."""


class Member(Value):
    """One network of the family."""

    name: str
    """Its scale, and its form where that is another."""
    scale: str
    """As ``--scale`` takes it."""
    form: Form = Field(default=AS_IT_IS, exclude_if=lambda form: not form.suffix)
    """What surgery changes of it."""
    resolution_px: Resolution
    parameters: PositiveInt
    macs: PositiveInt
    """Multiply-adds for one image."""
    standin: float
    """What stands in for accuracy until it is trained; says nothing but an order."""
    predicted: tuple[Predicted, ...] = ()
    """The fastest first."""
    trained: tuple[Trained, ...] = ()
    build: str | None = None
    """Folder of its build, where one was made."""
    candidate: str | None = None
    """What that build chose."""
    validation_top1: Interval | None = None
    """Of that candidate."""
    test_top1: Interval | None = None
    """Of that candidate; nothing is chosen by it."""
    untrained_ms: Interval | None = None
    """p50 of its network with weights that learned nothing, of the faster of two candidates, by few rounds."""
    p50_ms: Interval | None = None
    """Of that candidate, in the race of the front; of a kit that was not in it, in its build's own."""
    fidelity: Fidelity | None = None
    gates: tuple[GateResult, ...] = ()
    """Of the budgets, of an accuracy that is required, and the recipe's own."""
    inside: Verdict | None = None
    """Whether all budgets are met: UNSURE where an interval holds a bound; None of what was not built."""
    failed: str | None = None
    """Why it could not be trained or built."""

    @property
    def multipliers(self) -> tuple[float, float, float]:
        """Depth, width and the side of a square of as many pixels as its input; a network that lost channels is as wide as those
        that are left."""
        scale = CompoundScale.from_text(self.scale)
        return scale.depth or 1.0, (scale.width or 1.0) * (1 - self.form.pruned), math.sqrt(self.resolution_px.area_px)

    @property
    def best_predicted(self) -> Predicted | None:
        """The fastest of those that are used."""
        return next((prediction for prediction in self.predicted if not prediction.extrapolated), None)


class Trial(Value):
    """One network of which cost was predicted."""

    name: str
    p50_ms: PositiveFloat
    """Predicted, of its fastest candidate."""
    standin: float


class TableUsed(Value):
    """The latency table that predictions are from."""

    file: str
    machine: str
    observed_at: str
    networks: PositiveInt
    fidelity: Fidelity


class OnAnother(Value):
    """What built members are predicted to take on a device that was asked about beside the one that they are for."""

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
    required_top1: float | None = None
    """Of ``--accuracy``: then the fastest that reaches it ships."""
    table: TableUsed
    trials: tuple[Trial, ...]
    """Everything of which cost was predicted, in the order of the search; a network that came up twice stands once."""
    axes: Mapping[str, float] = {}
    """What is changed of the first network, such as half of its depth, to the share of its predicted p50 that is left."""
    members: tuple[Member, ...]
    """What was trained, the shipped one first."""
    front: tuple[str, ...]
    """Names of built members that no other is both more accurate and faster than."""
    rank_correlation: float | None
    """Spearman's, of the stand-in and of accuracy after a short training; None below four networks. What only surgery makes
    another than the first is not among them: it begins where the others end."""
    ranked: NonNegativeInt = 0
    """Networks that it is of."""
    teacher: str | None
    """The member whose answers the others learned."""
    distillation_gain_pp: Interval | None = None
    """What that gives the shipped member against labels alone, paired on the test images; by these nothing is chosen."""
    shipped_distilled: bool = False
    """Whether what ships learned a network's answers: the teacher's, where that training of the two is the more accurate on
    ``validation``; or those of the first before surgery, where only that makes it another."""
    against_first_pp: Interval | None = None
    """What the shipped member gains in top-1 over the family's first, paired on the test images; None of that one itself."""
    shipped: str | None
    """Its name; None where nothing is inside."""
    state: Literal["settled", "provisional", "none"]
    why: str
    elsewhere: tuple[OnAnother, ...] = ()
    left_out: int = 0
    """Trainings for which the time did not suffice."""
    seconds: NonNegativeFloat
    command: str
