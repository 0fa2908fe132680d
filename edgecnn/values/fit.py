"""What networks cost on one machine, measured; and what a search for the best inside a budget was asked, looked at and found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.data.preprocessing import Resolution
from edgecnn.values.profile import Environment
from edgecnn.values.scale import CompoundScale
from edgecnn.values.training import AS_IT_IS, Form
from edgecnn.values.verdict import Fidelity, GateResult, Interval, Verdict

LEAST_TIMED = 12
"""Networks of a table of which others are predicted: an interval of 90 % needs nine, and the prices are about as many."""
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

    count: PositiveInt
    us: NonNegativeFloat
    """Of all together."""


class TracedLayers(Value):
    """Where the time of one traced process went: its mean over some calls, with what tracing itself costs."""

    multiplying_us: tuple[NonNegativeFloat | None, ...]
    """Of each layer that multiplies, in the order in which the network computes them; None of what the trace does not name."""
    others: Mapping[str, OtherLayers]
    """By the runtime's own name of the operator."""


class TimedProbe(Value):
    """One candidate of one probe, timed in fresh processes that took turns with the others of its batch."""

    probe: Probe
    macs: PositiveInt
    """Of that network when it was timed: today's of the same name may be another one."""
    medians_ms: tuple[PositiveFloat, ...]
    """Of each process; the statistical unit."""
    disturbed: str | None = None
    """Why these figures are of a machine that did other work; None: it did not."""
    traced: TracedLayers | None = Field(default=None, exclude_if=lambda traced: traced is None)
    """None where the runtime does not time each layer."""

    @property
    def least_ms(self) -> float:
        """Of its processes: other work makes one slower, and none faster."""
        return min(self.medians_ms)


class LatencyTable(Value):
    """Schema edgecnn.latency-table/1. Measured; what is predicted from it is marked as predicted wherever it is shown."""

    schema_: Literal["edgecnn.latency-table/1"] = Field(default="edgecnn.latency-table/1", alias="schema")
    version: str
    """Of edgecnn, whose catalogue names the networks."""
    device: str
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
    seconds: NonNegativeFloat
    """That measuring took, making what is measured included; what was stored already took none."""
    timed: Mapping[str, tuple[TimedProbe, ...]]
    """Candidate, such as ``openvino-int8``, to what was timed of it."""
    failed: Mapping[str, str] = {}
    """``candidate of probe`` to why it has no time; a candidate alone, of which nothing could be timed."""
    left: NonNegativeInt = 0
    """Probes of the plan for which no time was left; the same command goes on with them."""


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
        return next((each for each in self.predicted if not each.extrapolated), None)


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
