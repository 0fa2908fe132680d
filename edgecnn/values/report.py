"""What a build found, and what a comparison of two builds found, as facts. Other modules render them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from edgecnn.values.arch import PretrainedWeights
from edgecnn.values.artifact import Blocked, Failed, Outcome, Unavailable
from edgecnn.values.base import Dated, Value
from edgecnn.values.candidate import DEFAULT, Candidate, KnobRace, Knobs, Unsupported
from edgecnn.values.command import Command
from edgecnn.values.dataset import DataChange, DataTotals
from edgecnn.values.figures import (
    Accuracy,
    Agreement,
    CalibrationFacts,
    Energy,
    Memory,
    MultiLabelAccuracy,
    Steady,
    Sustained,
    Throughput,
)
from edgecnn.values.forecast import Forecast
from edgecnn.values.layers import Residency
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, DatedReference, Environment, Run, observed_moment
from edgecnn.values.reason import OutOfTime, Reason
from edgecnn.values.recipe import Recipe, RoleDraw
from edgecnn.values.scale import ScaledNetwork
from edgecnn.values.stage import digest_of
from edgecnn.values.synthesis import SynthesisFacts
from edgecnn.values.verdict import Fidelity, GateResult, Interval, Verdict

MEDIAN: Final = 50
PERCENTILES: Final = (MEDIAN, 90, 99)
"""The percentiles of latency, from the median to the largest. To add one, write it here and its field in ``Latency``: metrics,
gates, patience, tails and charts iterate these."""


def percentile_name(percent: int) -> str:
    """``p90_ms``: the name of a percentile as a field, a metric and a bound."""
    return f"p{percent}_ms"


_SELECTED = (*map(percentile_name, PERCENTILES), "ratio_to_fp32")
"""Figures of a ``Latency`` of which the race for the choice knows no interval."""


class Latency(Value):
    """Of one race: medians over process runs. ``None`` where the sample cannot support the figure."""

    p50_ms: Interval | None = None
    p99_ms: Interval | None = None
    """Of 1,000 samples a run or more: ten at least lie beyond it. So too p90, of 100."""
    ratio_to_fp32: Interval | None = None
    """Paired ratio fp32 / this one, from interleaved runs of one race: above 1 is faster."""
    runs: int = 0
    samples: int = 0
    fidelity: Fidelity = Fidelity.MISSING
    machine: str
    observed_at: str = ""
    reason: str | None = None
    """Why there is no figure, and the command that would make it."""
    disturbed: str | None = None
    """What the machine did besides, or throttling, where that was enough to slow a kit down: then slow is not shown, fast is."""
    slowed_at_most: int | None = None
    """So many times longer may a median be for what disturbed it; None where it was not disturbed, or nothing bounds that."""
    p90_ms: Interval | None = None
    tails_within_ms: Mapping[str, float] = {}
    """``p90_ms``, ``p99_ms``: three of four processes keep theirs within it, at one-sided 99 %. Of 17 runs or more."""
    load_ms: Interval | None = None
    """Opening the model."""
    first_ms: Interval | None = None
    """The first inference of a process, which allocates."""
    cold_start_ms: Interval | None = None
    """From the start of a process to its first answer: interpreter, imports, checked files, opening, one inference."""
    on_gpu_ms: Interval | None = None
    """Median between two CUDA events around the network alone, copies outside; p50 and the others hold the copies."""
    dependent: Mapping[str, str] = {}
    """``p50_ms``, ``p90_ms``, ``p99_ms`` to how its runs depend on each other, where they do. Of 16 runs or more the interval is
    wider then."""
    absent: Mapping[str, str] = {}
    """Name of a figure above to why it is None, where runs there were."""
    stopped: str | None = None
    """How a race ended that ran until p50 was known well enough; None where the number of rounds was fixed."""
    selecting: bool = False
    """True of the race for the choice: an estimate by however few rounds it ran, without an interval. What ships, fp32 and
    the best other precision raced once more; times of two races cannot be compared, and no gate is judged by this one."""
    steady: Steady | None = None
    """Whether the runs became steady; nothing is left out of any figure where they did not. None where nothing was timed."""
    threads: int | None = None
    """Threads of the processor behind every run; None where runs differ, or do not say."""
    run_settings: str | None = None
    """The same in words, with whatever else the session was set to beside its kit: ``1 thread, spinning off``."""

    @property
    def known(self) -> Latency:
        """The same; of the race for the choice its times are estimates alone, whatever an older version stored."""
        if not self.selecting:
            return self
        times = {name: figure.alone for name, figure in self if isinstance(figure, Interval) and name in _SELECTED}
        return self.model_copy(update=times)


for _name in map(percentile_name, PERCENTILES):
    if _name not in Latency.model_fields:
        raise TypeError(f"Latency has no field {_name}")


class EndToEnd(Value):
    """From a picture file to logits: reading, decoding, preprocessing and the network."""

    latency: Latency
    picture: str
    """Which one, since decoding costs what the picture is large."""


class CandidateFacts(Value):
    """One row of the table."""

    candidate: Candidate
    chosen: bool = False
    is_baseline: bool = False
    test: Accuracy | None = None
    validation: Accuracy | None = None
    agreement: Agreement | None = None
    """With fp32 on the test split, in place of ``test`` where the images have no labels."""
    agreement_on_validation: Agreement | None = None
    """The same in place of ``validation``."""
    multi_label: MultiLabelAccuracy | None = Field(default=None, exclude_if=lambda value: value is None)
    """Of a multi-label network on the test split, in place of ``test``."""
    multi_label_on_validation: MultiLabelAccuracy | None = Field(default=None, exclude_if=lambda value: value is None)
    """The same in place of ``validation``."""
    latency: Latency | None = None
    forecast: Forecast | None = Field(default=None, exclude_if=lambda forecast: forecast is None)
    """Of a device that is away; None where it measured, and where no table supports one. No gate takes it."""
    memory: Memory | None = None
    energy: Energy | None = None
    throughput: Throughput | None = None
    """None where it was not asked for; so too the next two."""
    end_to_end: EndToEnd | None = None
    sustained: Sustained | None = None
    size_mib: float | None = None
    """Of the model's own files."""
    kit_mib: float | None = None
    """Of the whole kit, as it is copied to a device: with the runner, the labels and the golden set."""
    residency: Residency | None = None
    verdict: Verdict = Verdict.MISSING
    gates: tuple[GateResult, ...] = ()
    kit: str | None = None
    """sha256 of the kit's manifest."""
    evaluated_kit: str | None = None
    """sha256 of the kit whose accuracy is shown, where an emulated twin stands in."""
    saturates_on: Literal["device", "answering machine"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """Of INT8: on which of the two alone sums of 8-bit products saturate. None: on both, or on neither."""
    runtime_version: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """Of the runtime in which the kit itself answered on the device; None where another machine or a twin answered for it."""
    outcomes: Mapping[str, Outcome] = {}
    """Stage kind to what became of it."""
    reason: str = ""
    """Why this candidate was, or was not, chosen."""
    because: Reason | None = None
    """The same as a typed fact, of which ``reason`` is the sentence; None in a report of before there was one."""
    kept_float: tuple[str, ...] = ()
    """Of INT8: the layers that were left in float, by their nodes in the ONNX trunk: of mixed precision the most damaging first,
    then products of activations, which is attention."""

    @property
    def broken(self) -> Failed | Blocked | Unavailable | None:
        """The first step that a candidate cannot do without and that has no result; None where each has one.

        A failed ahead-of-time compilation is not such a step: the device builds its own engine.
        """
        needed = (self.outcomes.get(kind) for kind in ("quantize", "package", "measure"))
        return next((outcome for outcome in needed if isinstance(outcome, Failed | Blocked | Unavailable)), None)

    @property
    def works(self) -> bool:
        """Whether it has a kit that failed nowhere: nothing else is chosen, shipped or counted as a success."""
        return self.kit is not None and self.broken is None

    @property
    def compact(self) -> CandidateFacts:
        """For a document of many builds: the layers of each are in its own report."""
        if self.residency is None:
            return self
        return self.model_copy(update={"residency": self.residency.model_copy(update={"layers": ()})})

    @property
    def answered(self) -> Accuracy | MultiLabelAccuracy | None:
        """How right it was on the test split, of either kind of labels."""
        return self.test or self.multi_label


class Choice(Value):
    """Which kit ships, and whether that is settled."""

    state: Literal["settled", "provisional", "none"]
    candidate: str | None
    why: str
    settle_command: str | None = None
    carried: tuple[str, ...] = ()
    """Candidates whose kits the bundle carries."""
    regret: float | None = None
    """What this choice is expected to cost against the best candidate, as a share of the objective; None where nothing raced."""
    knobs: KnobRace | None = None
    """What the chosen kit runs with, and why; None where its settings were not raced, so that it runs with the default."""


class BaselineVariant(Value):
    """Another way of running the same network on the same GPU; of the reference's race, so that ratios to it are paired."""

    id: str
    how: str
    """As requested: what the GPU made of it is not read back."""
    latency: Latency
    """``ratio_to_fp32`` is to the reference."""
    accuracy: Accuracy | None = None
    """With its drop against the reference's own answers; None where it did not answer."""
    throughput: Throughput | None = None
    """None where it was not asked for."""


class BaselineFacts(Value):
    """The desktop GPU's part."""

    device: str
    accuracy_from: str
    latency: Latency
    how: str | None = None
    """What ran on the GPU: runtime, precision, batch, and whether copies are inside."""
    accuracy: Accuracy | None = None
    """On the test split, as the GPU itself answered, with its drop against the fp32 network here; None where none did."""
    throughput: Throughput | None = None
    """Of the reference; None where it was not asked for."""
    variants: tuple[BaselineVariant, ...] = ()
    """Beside the reference, those that could not run included; none where nobody played."""


class Build(Value):
    """What was asked, resolved."""

    name: str
    arch: str
    parameters: int
    """Of the network that ships, with as many classes as it answers; a row of the catalogue has those of the published one."""
    macs: int | None
    resolution_px: Resolution
    photographs: str | None = None
    """How they are brought to that size, as a reader is told; None of a report that is older than this."""
    weights: str
    """One sentence: which weights training began from, with their sha256, or from scratch and why."""
    weights_sha256: str | None
    weights_published: PretrainedWeights | None = Field(default=None, exclude_if=lambda weights: weights is None)
    """Where they came from, if somebody published them; None of a file of the user's, and from scratch."""
    data: str
    scale: ScaledNetwork | None = None
    """None of a network as the catalogue has it."""
    classes: int
    splits: Mapping[str, int]
    drawn: RoleDraw | None = Field(default=None, exclude_if=lambda drawn: drawn is None)
    """How those of them that are no split of the user's were drawn; None of a report that is older than this."""
    synthesis: SynthesisFacts | None = Field(default=None, exclude_if=lambda facts: facts is None)
    """Training images that were composed, which ``splits`` does not count; None where none was."""
    device: str
    device_attached: bool
    command: str
    """The command that made this build, as it is typed."""
    called: Command = Field(default=Command(), exclude_if=lambda called: not called)
    """The same as a value; empty where no command line made it, and of a report that is older than this."""

    @model_validator(mode="after")
    def _called_in_older_reports(self) -> Self:
        """A report of an earlier version has the command as text alone."""
        if self.command and not self.called:
            object.__setattr__(self, "called", Command.read(self.command))
        return self

    @property
    def again(self) -> str:
        """The command that makes this build again, whichever verb wrote the report; empty where none did."""
        return str(self.called.to("build")) or self.command


REPORT_SCHEMA: Final = "edgecnn.report/2"


class BuildReport(Value):
    """``report.json``, schema edgecnn.report/2."""

    schema_: Literal["edgecnn.report/2"] = Field(default="edgecnn.report/2", alias="schema")
    version: str
    made_at: Dated
    build: Build
    environment: Environment
    candidates: tuple[CandidateFacts, ...]
    unsupported: tuple[Unsupported, ...]
    skipped_rungs: Mapping[str, str]
    out_of_time: Mapping[str, OutOfTime] = {}
    """Those of them that the time budget left out, with what climbs on."""
    unavailable: Mapping[str, Unavailable] = {}
    """Candidate that the device could run to why it could not be made on this machine."""
    choice: Choice
    verdict: Verdict
    gates: tuple[GateResult, ...]
    """Of the chosen candidate."""
    require_measured: bool = Field(default=False, exclude_if=lambda required: not required)
    """Whether the recipe or the command line lets no figure of a gate be missing: the exit code follows."""
    baseline: BaselineFacts
    references: tuple[DatedReference, ...] = Field(default=(), exclude_if=lambda references: not references)
    """Out of dated records of the same network on a machine of this device: no gate takes them, and nothing is chosen by them."""
    calibration: CalibrationFacts | None = None
    """The images that INT8 ranges were taken from; None where there is no INT8 candidate."""
    notices: tuple[str, ...]
    """What a reader must know before believing the table: scratch training, emulation, stand-ins."""
    unexecuted: tuple[str, ...]
    """What ships but was not run here, and what would run it."""
    outcomes: Mapping[str, Outcome]
    seconds: float
    timings_s: Mapping[str, float] = {}
    output: str | None = None
    keys: Mapping[str, str] = {}
    """Step to its key in the store. A later call renews ``plan.json``, so this says whose report it is."""

    @property
    def shipped(self) -> CandidateFacts | None:
        """The candidate that ships; None where none does."""
        return next((facts for facts in self.candidates if facts.chosen), None)


ChangeKind = Literal["recipe", "weights", "data", "device", "kit", "tools"]


class Change(Value):
    """One thing that two kits were made from or with, and that differs between them."""

    kind: ChangeKind
    name: str
    """Such as ``recipe train.epochs``."""
    before: str
    after: str
    candidate: str | None = None
    """Of which alone it is known; None: it holds for every one."""
    data: DataChange | None = Field(default=None, exclude_if=lambda data: data is None)
    """How the images differ, of a change named ``images``; ``before`` and ``after`` are then digests."""

    def __str__(self) -> str:
        whose = "" if self.candidate is None else f"[{self.candidate}] "
        if self.data is not None:
            return f"{whose}{self.name}: {self.data.sentence}"
        return f"{whose}{self.name}: {self.before} → {self.after}"


class Origin(Value):
    """What a kit was made from and with, leaf by leaf, in words: two origins can be held against each other line by line."""

    kit: Mapping[str, str]
    """From the kit's own manifest."""
    plan: Mapping[str, str] | None = None
    """From the ``plan.json`` of its build; None for a bundle without one."""
    data: DataTotals | None = None
    """The images of its build, without names of files and folders; None where the plan is of another version."""


class ShippedKitFacts(Value):
    """The kit that a build ships, as one side of a comparison."""

    name: str
    """Of the build's folder."""
    candidate: Candidate
    kit: str
    """sha256 of the kit's manifest."""
    knobs: Knobs = DEFAULT
    """What its build chose that it runs with: each side is raced in its own setting, since that is what ships."""
    arch: str | None = None
    device: str | None = None
    """What it was built for; None where only a bundle was given."""
    observed_at: str | None = None
    """When its runs were made, where that is another day than the other side's."""

    def is_identical_to(self, other: ShippedKitFacts, *machines: Mapping[str, str]) -> bool:
        """Whether both sides are the same files, with the same knobs, for the same device and on one machine.

        ``machines``: the conditions of every machine that is involved; none where one call runs both sides. A machine without a
        name is not known to be another one; a condition that is unknown on both sides counts as equal. Differences between
        identical sides are 0, and ratios 1, by definition.
        """
        devices = {self.device, other.device} - {None}
        conditions = [{name: known.get(name) for name in CONDITIONS_THAT_MUST_MATCH} for known in machines]
        named = all(known.get("machine") for known in machines)
        one_machine = named and all(condition == conditions[0] for condition in conditions)
        return (self.kit, self.knobs) == (other.kit, other.knobs) and len(devices) <= 1 and one_machine


def sealed_digest(written: Mapping[str, Any]) -> str:
    """SHA-256 of a document but for its own: as it stands in its file, so that a later version's field makes none look edited."""
    return digest_of({name: value for name, value in written.items() if name != "sha256"})


class Comparison(Value):
    """``edgecnn judge HEAD --against BASE`` and ``edgecnn baseline compare``, schema edgecnn.comparison/1."""

    schema_: Literal["edgecnn.comparison/1"] = Field(default="edgecnn.comparison/1", alias="schema")
    version: str
    made_at: str
    how: Literal["paired", "unpaired"]
    """paired: both ran interleaved in one race. unpaired: BASE's runs are of another day, so that drift too is a difference."""
    head: ShippedKitFacts
    base: ShippedKitFacts
    identical: bool = Field(default=False, exclude_if=lambda identical: not identical)
    """Both sides are the same files in the same setting: ``ratio`` and ``drop_pp`` are so by definition and were not measured."""
    machine: str
    environment: Environment
    rounds: int
    """Processes of HEAD that were timed."""
    ratio: Interval | None
    """Latency of HEAD over BASE: above 1, HEAD is slower."""
    latency: Latency
    """HEAD's own."""
    base_latency: Latency
    drop_pp: Interval | None
    """Top-1, or mAP, lost by HEAD against BASE on the same images, percentage points; two-sided 90 %."""
    drop_of: Literal["top-1", "mAP"] = Field(default="top-1", exclude_if=lambda of: of == "top-1")
    """What is lost: mAP where an image has several labels."""
    drop_absent: str | None = None
    """Why there is no drop."""
    verdict: Verdict
    gates: tuple[GateResult, ...]
    changed: tuple[str, ...]
    """What differs between what the two were made from and with, BASE → HEAD."""
    notices: tuple[str, ...] = ()
    seconds: float


class LatencyBaseline(Value):
    """A file of ``edgecnn baseline``, schema edgecnn.latency-baseline/1: every raw run of one kit on one machine.

    It is for boards and pinned runners, where a later build's runs may be held against it; the records in ``baselines/`` are
    something else, what reference GPUs did with a network.
    """

    schema_: Literal["edgecnn.latency-baseline/1"] = Field(default="edgecnn.latency-baseline/1", alias="schema")
    version: str
    shipped: ShippedKitFacts
    machine: str
    environment: Environment
    """Conditions and observations of the race."""
    observed_at: str
    runs: tuple[Run, ...] = Field(min_length=1)
    """Every process, with every timed inference in nanoseconds."""
    energy_runs: tuple[Run, ...] = ()
    """Every process that measured energy, and timed nothing."""
    energy_absent: str | None = None
    """Why there are no energy runs, where that is known."""
    companions: int | None = None
    """Other kits of the same race, which ran between these processes; None of a file that does not say."""
    origin: Origin
    """So that a later regression can say what changed."""
    sha256: str = ""
    """Of the canonical JSON of everything else: an edited file is refused."""

    @field_validator("observed_at")
    @classmethod
    def _dated(cls, observed_at: str) -> str:
        observed_moment(observed_at)
        return observed_at


class PinnedBuild(Value):
    """A file of ``edgecnn baseline pin``, schema edgecnn.pinned-build/2: which kit a later commit is raced against.

    It is small and committed beside the recipe. It holds no runs, since a hosted runner is another machine tomorrow, and no kit:
    that comes out of the store, or out of the command that builds it again.
    """

    schema_: Literal["edgecnn.pinned-build/2"] = Field(default="edgecnn.pinned-build/2", alias="schema")
    version: str
    """Of edgecnn."""
    shipped: ShippedKitFacts
    evaluated_kit: str
    """sha256 of the manifest of the kit that answered: the same, or its emulated twin."""
    device_attached: bool
    """Whether the machine that built it was the device, so that its answers are the device's own."""
    keys: Mapping[str, str]
    """Step to its key in the store: the trunk, and the branch of what ships."""
    tools: Mapping[str, str]
    """Distribution to its version there."""
    recipe: Recipe
    """As resolved; what is a path counts from this file's folder."""
    origin: Origin
    """So that a later regression can say what changed."""
    made_at: str
    sha256: str = ""
    """Of the canonical JSON of everything else: an edited file is refused."""
