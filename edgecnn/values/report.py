"""Results of a build, and of a comparison of two builds, as facts. Other modules render them."""

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
from edgecnn.values.recipe import GateChoice, Recipe, RoleDraw
from edgecnn.values.scale import ScaledNetwork
from edgecnn.values.stage import digest_of
from edgecnn.values.synthesis import SynthesisFacts
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Interval, Verdict

MEDIAN: Final = 50
PERCENTILES: Final = (MEDIAN, 90, 99)
"""The percentiles of latency, from the median to the largest. To add one, add it here and its field to ``Latency``: metrics,
gates, patience, tails and charts iterate these."""


def percentile_name(percent: int) -> str:
    """Return the name of a percentile as a field, a metric and a bound: ``p90_ms``."""
    return f"p{percent}_ms"


_SELECTED = (*map(percentile_name, PERCENTILES), "ratio_to_fp32")
"""Figures of a ``Latency`` without an interval in the first race."""


class Latency(Value):
    """Latency in one race: medians over process runs. ``None`` if the sample does not support a figure."""

    p50_ms: Interval | None = None
    p99_ms: Interval | None = None
    """Needs 1,000 samples a run, of which at least ten lie beyond it; p90 needs 100."""
    ratio_to_fp32: Interval | None = None
    """Paired ratio of fp32 to this candidate, from interleaved runs of one race: above 1 is faster."""
    runs: int = 0
    samples: int = 0
    fidelity: Fidelity = Fidelity.MISSING
    machine: str
    observed_at: str = ""
    reason: str | None = None
    """Why there is no figure, and the command that measures it."""
    disturbed: str | None = None
    """Other work of the machine, or throttling, that may have slowed a kit: slow is then not shown, fast is."""
    slowed_at_most: int | None = None
    """Factor by which disturbance may have lengthened a median; None if undisturbed, or if there is no such limit."""
    p90_ms: Interval | None = None
    tails_within_ms: Mapping[str, float] = {}
    """``p90_ms``, ``p99_ms``: three of four processes stay within this value, at one-sided 99 %. Needs 17 runs."""
    load_ms: Interval | None = None
    """Time to open the model."""
    first_ms: Interval | None = None
    """Time of a process's first inference, which allocates memory."""
    cold_start_ms: Interval | None = None
    """From the start of a process to its first output: interpreter, imports, checking files, opening, one inference."""
    on_gpu_ms: Interval | None = None
    """Median between two CUDA events around the network alone, without copies; p50 and the others include copies."""
    dependent: Mapping[str, str] = {}
    """``p50_ms``, ``p90_ms``, ``p99_ms`` to how its runs depend on each other, if they do. With 16 runs or more the interval is
    then wider."""
    absent: Mapping[str, str] = {}
    """Name of a figure above to the reason why it is None, although there were runs."""
    stopped: str | None = None
    """How a race ended that ran until p50 was known precisely enough; None for a fixed number of rounds."""
    selecting: bool = False
    """True for the first race: estimates from few rounds, without intervals. The chosen candidate, fp32 and the best of
    another precision are raced again. Times of two races cannot be compared, and no gate uses these."""
    steady: Steady | None = None
    """Whether the runs became steady; all runs count in any case. None without times."""
    threads: int | None = None
    """CPU threads of every run; None if runs differ, or do not say."""
    run_settings: str | None = None
    """Description of the threads and other session settings: ``1 thread, spinning off``."""

    @property
    def known(self) -> Latency:
        """The latency, with times of the first race as estimates, even if an older version stored intervals."""
        if not self.selecting:
            return self
        times = {name: figure.alone for name, figure in self if isinstance(figure, Interval) and name in _SELECTED}
        return self.model_copy(update=times)


for _name in map(percentile_name, PERCENTILES):
    if _name not in Latency.model_fields:
        raise TypeError(f"Latency has no field {_name}")


class EndToEnd(Value):
    """From an image file to logits: reading, decoding, preprocessing and the network."""

    latency: Latency
    picture: str
    """The image file; decoding time depends on its size."""


class CandidateFacts(Value):
    """One row of the table."""

    candidate: Candidate
    chosen: bool = False
    is_baseline: bool = False
    test: Accuracy | None = None
    validation: Accuracy | None = None
    agreement: Agreement | None = None
    """Agreement with fp32 on the test split, instead of ``test`` for images without labels."""
    agreement_on_validation: Agreement | None = None
    """The same instead of ``validation``."""
    multi_label: MultiLabelAccuracy | None = Field(default=None, exclude_if=lambda value: value is None)
    """Figures of a multi-label network on the test split, instead of ``test``."""
    multi_label_on_validation: MultiLabelAccuracy | None = Field(default=None, exclude_if=lambda value: value is None)
    """The same instead of ``validation``."""
    latency: Latency | None = None
    forecast: Forecast | None = Field(default=None, exclude_if=lambda forecast: forecast is None)
    """For a device that is not attached; None if it was measured, or if no table supports a forecast. Gates ignore it."""
    memory: Memory | None = None
    energy: Energy | None = None
    throughput: Throughput | None = None
    """None if it was not requested, as in the next two fields."""
    end_to_end: EndToEnd | None = None
    sustained: Sustained | None = None
    size_mib: float | None = None
    """Size of the model's files."""
    kit_mib: float | None = None
    """Size of the complete kit as copied to a device: with runner, labels and golden set."""
    residency: Residency | None = None
    verdict: Verdict = Verdict.MISSING
    gates: tuple[GateResult, ...] = ()
    kit: str | None = None
    """SHA-256 of the kit's manifest."""
    evaluated_kit: str | None = None
    """SHA-256 of the kit that the accuracy comes from, if it is an emulated twin."""
    saturates_on: Literal["device", "answering machine"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """For INT8: the only one of the two machines on which sums of 8-bit products saturate. None: both, or neither."""
    runtime_version: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """Runtime in which the kit itself ran on the device; None if another machine or a twin ran instead."""
    outcomes: Mapping[str, Outcome] = {}
    """Stage kind to its outcome."""
    reason: str = ""
    """Why this candidate was or was not chosen."""
    because: Reason | None = None
    """The same as a typed fact, which ``reason`` puts into a sentence; None in older reports."""
    kept_float: tuple[str, ...] = ()
    """For INT8: layers kept in float, by their nodes in the ONNX trunk. In mixed precision the most sensitive come first, then
    products of activations, as in attention."""

    @property
    def broken(self) -> Failed | Blocked | Unavailable | None:
        """The first necessary step without a result; None if all have one.

        A failed ahead-of-time compilation does not count, because the device builds its own engine.
        """
        needed = (self.outcomes.get(kind) for kind in ("quantize", "package", "measure"))
        return next((outcome for outcome in needed if isinstance(outcome, Failed | Blocked | Unavailable)), None)

    @property
    def works(self) -> bool:
        """Whether it has a kit without failures; only such candidates are chosen, shipped or counted as a success."""
        return self.kit is not None and self.broken is None

    @property
    def compact(self) -> CandidateFacts:
        """The facts without layers, for a document on many builds."""
        if self.residency is None:
            return self
        return self.model_copy(update={"residency": self.residency.model_copy(update={"layers": ()})})

    @property
    def answered(self) -> Accuracy | MultiLabelAccuracy | None:
        """Its accuracy on the test split, single-label or multi-label."""
        return self.test or self.multi_label


class Choice(Value):
    """The kit that ships, and whether the choice is final."""

    state: Literal["settled", "provisional", "none"]
    candidate: str | None
    why: str
    settle_command: str | None = None
    carried: tuple[str, ...] = ()
    """Candidates whose kits are in the bundle."""
    regret: float | None = None
    """Expected regret of this choice as a share of the objective; None without a race."""
    knobs: KnobRace | None = None
    """The settings of the chosen kit, and why; None if its settings were not raced, so it uses the default."""


class BaselineVariant(Value):
    """Another way to run the same network on the same GPU, in the reference's race, so ratios to it are paired."""

    id: str
    how: str
    """The requested precision; what the GPU used is not read back."""
    latency: Latency
    """``ratio_to_fp32`` is to the reference."""
    accuracy: Accuracy | None = None
    """With its drop from the reference's predictions; None if it was not evaluated."""
    throughput: Throughput | None = None
    """None if it was not requested."""


class BaselineFacts(Value):
    """The desktop GPU's figures."""

    device: str
    accuracy_from: str
    latency: Latency
    how: str | None = None
    """What ran on the GPU: runtime, precision, batch, and whether copies are included."""
    accuracy: Accuracy | None = None
    """Accuracy on the test split, evaluated on the GPU itself, with its drop from the fp32 network here; None without a GPU."""
    throughput: Throughput | None = None
    """Memory of the reference; None if it was not requested."""
    variants: tuple[BaselineVariant, ...] = ()
    """Variants besides the reference, including those that could not run; none without a GPU."""


class Build(Value):
    """The resolved request."""

    name: str
    arch: str
    parameters: int
    """The row of the shipped network, with its own number of classes; a row of the catalogue has the published number."""
    macs: int | None
    resolution_px: Resolution
    photographs: str | None = None
    """Description of how images are resized; None in older reports."""
    weights: str
    """One sentence: the weights that training started from, with their SHA-256, or from scratch and why."""
    weights_sha256: str | None
    weights_published: PretrainedWeights | None = Field(default=None, exclude_if=lambda weights: weights is None)
    """Publisher of the weights; None for a user's file, and from scratch."""
    data: str
    scale: ScaledNetwork | None = None
    """None for an unscaled network of the catalogue."""
    classes: int
    splits: Mapping[str, int]
    drawn: RoleDraw | None = Field(default=None, exclude_if=lambda drawn: drawn is None)
    """How the roles that are not the user's own splits were drawn; None in older reports."""
    synthesis: SynthesisFacts | None = Field(default=None, exclude_if=lambda facts: facts is None)
    """Composed training images, which ``splits`` excludes; None if there are none."""
    device: str
    device_attached: bool
    command: str
    """The command that made this build, as typed."""
    called: Command = Field(default=Command(), exclude_if=lambda called: not called)
    """The same as a value; empty if no command line made it, and in older reports."""

    @model_validator(mode="after")
    def _called_in_older_reports(self) -> Self:
        """Read the command of earlier reports, which have it only as text."""
        if self.command and not self.called:
            object.__setattr__(self, "called", Command.read(self.command))
        return self

    @property
    def again(self) -> str:
        """The command that makes this build again, whichever verb wrote the report; empty if there was none."""
        return str(self.called.to("build")) or self.command


class Remedy(Value):
    """The change to a build's command that is most likely to improve a weak network."""

    cause: Literal["custom-model", "kept-head", "weights-not-used", "random-weights", "head-only", "short-training"]
    arch: str | None = None
    """Network with pretrained weights on this machine."""
    without: tuple[str, ...] = ()
    """Options that the command loses."""
    options: tuple[tuple[str, ...], ...] = ()
    """Options that the command gets, each with its value."""

    @property
    def sentence(self) -> str:
        """Why the network is weak, with the options to use."""
        options = f"`{' '.join(word for option in self.options for word in option)}`"
        here = f"pretrained weights of {self.arch} are on this machine"
        return {
            "custom-model": "nothing was trained here: check the order of the classes and the preprocessing of the model",
            "kept-head": "nothing was trained: without --keep-head, the network learns these classes",
            "weights-not-used": f"pretrained weights were not used: {options}",
            "random-weights": f"training started from random weights; {here}: {options}",
            "head-only": f"more images may help, or training every layer: {options}",
            "short-training": f"more images may help, or a longer training: {options}",
        }[self.cause]

    def applied_to(self, command: Command) -> Command | None:
        """Return the build's command with the change; None if there is no command or no change."""
        if not command or not (self.options or self.without):
            return None
        replaced = {option[0] for option in self.options if option[0] != "--set"} | set(self.without)
        return command.without(*replaced).adding(*self.options)


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
    """Rungs that the time budget excluded, with the command that continues."""
    unavailable: Mapping[str, Unavailable] = {}
    """Candidates that the device could run but this machine could not make, with the reason."""
    choice: Choice
    verdict: Verdict
    gates: tuple[GateResult, ...]
    """Gates of the chosen candidate."""
    gates_dropped: GateChoice = Field(default=GateChoice(), exclude_if=lambda bounds: not bounds)
    """Bounds that a command line added to the earlier build in this folder, and that this build does not judge."""
    require_measured: bool = Field(default=False, exclude_if=lambda required: not required)
    """Whether the recipe or the command line requires every gated figure; it decides the exit code."""
    baseline: BaselineFacts
    references: tuple[DatedReference, ...] = Field(default=(), exclude_if=lambda references: not references)
    """From dated records of the same network on a machine of this device; not used by gates or choices."""
    calibration: CalibrationFacts | None = None
    """The calibration images of INT8 ranges; None without an INT8 candidate."""
    remedy: Remedy | None = Field(default=None, exclude_if=lambda remedy: remedy is None)
    """Change to the build's command, if the chosen candidate is weak or is not shown to have learned."""
    notices: tuple[str, ...]
    """Facts that a reader must know before trusting the table: scratch training, emulation, equivalents."""
    unexecuted: tuple[str, ...]
    """Shipped files that were not run here, and the command that runs them."""
    outcomes: Mapping[str, Outcome]
    seconds: float
    timings_s: Mapping[str, float] = {}
    output: str | None = None
    keys: Mapping[str, str] = {}
    """Step to its key in the store, which identifies the report, since a later call renews ``plan.json``."""

    @property
    def shipped(self) -> CandidateFacts | None:
        """The candidate that ships; None if none does."""
        return next((facts for facts in self.candidates if facts.chosen), None)


ChangeKind = Literal["recipe", "weights", "data", "device", "kit", "tools"]


class Change(Value):
    """One difference between the inputs or tools of two kits."""

    kind: ChangeKind
    name: str
    """Such as ``recipe train.epochs``."""
    before: str
    after: str
    candidate: str | None = None
    """The kit to which it applies; None: both."""
    data: DataChange | None = Field(default=None, exclude_if=lambda data: data is None)
    """How the images differ, for a change named ``images``; ``before`` and ``after`` are then digests."""

    def __str__(self) -> str:
        whose = "" if self.candidate is None else f"[{self.candidate}] "
        if self.data is not None:
            return f"{whose}{self.name}: {self.data.sentence}"
        return f"{whose}{self.name}: {self.before} → {self.after}"


class Origin(Value):
    """The inputs and tools of a kit, one by one, in words, so two origins can be compared line by line."""

    kit: Mapping[str, str]
    """From the kit's own manifest."""
    plan: Mapping[str, str] | None = None
    """From the ``plan.json`` of its build; None for a bundle without one."""
    data: DataTotals | None = None
    """The images of its build, without names of files and folders; None if the plan has another version."""


class ShippedKitFacts(Value):
    """The kit that a build ships, as one side of a comparison."""

    name: str
    """Path of the build's folder."""
    candidate: Candidate
    kit: str
    """SHA-256 of the kit's manifest."""
    knobs: Knobs = DEFAULT
    """The settings that its build chose; each side is raced with its own settings, because those ship."""
    arch: str | None = None
    device: str | None = None
    """The device that it was built for; None for a bundle alone."""
    observed_at: str | None = None
    """Date of its runs, if it differs from the other side's."""

    def is_identical_to(self, other: ShippedKitFacts, *machines: Mapping[str, str]) -> bool:
        """Whether both sides are the same files, with the same knobs, for the same device and on one machine.

        ``machines``: the conditions of every machine involved; none if one call runs both sides. A machine without a name counts
        as the same, and so does a condition that is unknown on both sides. Differences between identical sides are 0, and ratios
        1, by definition.
        """
        devices = {self.device, other.device} - {None}
        conditions = [{name: known.get(name) for name in CONDITIONS_THAT_MUST_MATCH} for known in machines]
        named = all(known.get("machine") for known in machines)
        one_machine = named and all(condition == conditions[0] for condition in conditions)
        return (self.kit, self.knobs) == (other.kit, other.knobs) and len(devices) <= 1 and one_machine


def sealed_digest(written: Mapping[str, Any]) -> str:
    """SHA-256 of a document without its own digest, as stored, so that unknown fields of later versions do not make it look
    edited.
    """
    return digest_of({name: value for name, value in written.items() if name != "sha256"})


class ClassAlone(Value):
    """A class that only HEAD has, on HEAD's test images of this class."""

    name: str
    images: int | None = None
    """None if HEAD's accuracy is unknown."""
    right: int | None = None
    recall: Interval | None = None
    """0…1; None without images."""


class ClassesApart(Value):
    """The classes that only one of two compared builds has. Their images are not part of the comparison."""

    images_compared: int
    """Images of the classes that both builds have."""
    only_head: tuple[ClassAlone, ...]
    only_base: tuple[str, ...]


class Comparison(Value):
    """``edgecnn judge HEAD --against BASE`` and ``edgecnn baseline compare``, schema edgecnn.comparison/1."""

    schema_: Literal["edgecnn.comparison/1"] = Field(default="edgecnn.comparison/1", alias="schema")
    version: str
    made_at: str
    how: Literal["paired", "unpaired"]
    """paired: both ran interleaved in one race. unpaired: BASE's runs are from another day, so differences include drift."""
    head: ShippedKitFacts
    base: ShippedKitFacts
    identical: bool = Field(default=False, exclude_if=lambda identical: not identical)
    """Both sides are the same files with the same settings: ``ratio`` and ``drop_pp`` are known by definition, not measured."""
    machine: str
    environment: Environment
    rounds: int
    """Timed processes of HEAD."""
    ratio: Interval | None
    """Latency of HEAD relative to BASE: above 1, HEAD is slower."""
    latency: Latency
    """HEAD's own accuracy."""
    base_latency: Latency
    drop_pp: Interval | None
    """Top-1, or mAP, lost by HEAD against BASE on the same images, in percentage points; two-sided 90 %."""
    drop_of: Literal["top-1", "mAP"] = Field(default="top-1", exclude_if=lambda of: of == "top-1")
    """The figure of the drop: mAP for multi-label images."""
    drop_absent: str | None = None
    """Why there is no drop."""
    verdict: Verdict
    gates: tuple[GateResult, ...]
    not_judged: tuple[Gate, ...] = Field(default=(), exclude_if=lambda gates: not gates)
    """Gates that belong to HEAD's build. A comparison does not judge them."""
    changed: tuple[str, ...]
    """Differences between the inputs and tools of the two, BASE → HEAD."""
    classes: ClassesApart | None = Field(default=None, exclude_if=lambda classes: classes is None)
    """None if both builds have the same classes."""
    notices: tuple[str, ...] = ()
    seconds: float


class LatencyBaseline(Value):
    """A file of ``edgecnn baseline``, schema edgecnn.latency-baseline/1: every raw run of one kit on one machine.

    It is for boards and pinned runners, to compare a later build's runs with it. The records in ``baselines/`` are different:
    they are measurements of reference networks.
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
    """Every process that measured energy, without times."""
    energy_absent: str | None = None
    """Why there are no energy runs, if known."""
    companions: int | None = None
    """Other kits of the same race, which ran between these processes; None if the file does not say."""
    origin: Origin
    """To explain a later regression."""
    sha256: str = ""
    """Digest of the canonical JSON of everything else, by which edited files are refused."""

    @field_validator("observed_at")
    @classmethod
    def _dated(cls, observed_at: str) -> str:
        observed_moment(observed_at)
        return observed_at


class PinnedBuild(Value):
    """A file of ``edgecnn baseline pin``, schema edgecnn.pinned-build/2: the kit that later commits are raced against.

    It is small, and committed next to the recipe. It has no runs, since a hosted runner may be another machine tomorrow, and no
    kit, which comes from the store or from the command that rebuilds it.
    """

    schema_: Literal["edgecnn.pinned-build/2"] = Field(default="edgecnn.pinned-build/2", alias="schema")
    version: str
    """Version of edgecnn."""
    shipped: ShippedKitFacts
    evaluated_kit: str
    """SHA-256 of the manifest of the kit that was evaluated: the same kit, or its emulated twin."""
    device_attached: bool
    """Whether the machine that built it was the device, so the predictions are the device's own."""
    keys: Mapping[str, str]
    """Step to its key in the store: the trunk, and the branch of the shipped candidate."""
    tools: Mapping[str, str]
    """Distribution to its version on that machine."""
    recipe: Recipe
    """The resolved recipe; paths are relative to this file's folder."""
    origin: Origin
    """To explain a later regression."""
    made_at: str
    sha256: str = ""
    """Digest of the canonical JSON of everything else, by which edited files are refused."""
