"""What can be built for one runtime: a precision, reached by a method, in a scheme; and the knobs that open its session.

A knob changes how fast a kit answers and not what it answers. The precision in which OpenVINO computes changes answers, so it
makes another candidate with an accuracy of its own, and so does every other session option that a kit states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, PositiveInt, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticKnownError

from edgecnn.errors.wording import plural
from edgecnn.values.base import Value
from edgecnn.values.training import Surgery
from edgecnn.values.verdict import Estimate


class Runtime(StrEnum):
    """An inference runtime, by the name that people call it; ``runner/runtimes`` has its distributions."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"
    NCNN = "ncnn"
    LITERT = "litert"
    WASM = "wasm"
    WEBGPU = "webgpu"
    TORCH = "torch"
    """Plays the desktop-GPU baseline and is never shipped: no device file names it, no backend makes it."""

    @property
    def runs_in_browser(self) -> bool:
        """Whether its kits are pages, with the runtime in them."""
        return self in (Runtime.WASM, Runtime.WEBGPU)

    @property
    def ships(self) -> bool:
        """True for runtimes that a bundle may need on a device."""
        return self is not Runtime.TORCH


ALL_RUNTIMES: Final = "all"
"""In a target's place of a runtime: every one that the device's file lists."""


def _one_problem(value: object, known: ValidatorFunctionWrapHandler) -> object:
    try:
        return known(value)
    except ValidationError:  # it says a problem for each half of the union
        *names, last = (repr(str(name)) for name in (*(name.value for name in Runtime if name.ships), ALL_RUNTIMES))
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(names)} or {last}"}) from None


TargetRuntime = Annotated[Runtime | Literal["all"], WrapValidator(_one_problem)]


class Precision(StrEnum):
    """The arithmetic that a candidate asks its runtime for; residency says what really ran."""

    FP32 = "fp32"
    TF32 = "tf32"
    """fp32 numbers that an NVIDIA GPU multiplies with 10 bits of mantissa; of the desktop-GPU baseline alone."""
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"

    @property
    def is_float(self) -> bool:
        """True for every precision that needs no calibration."""
        return self is not Precision.INT8

    @property
    def ships(self) -> bool:
        """True for those that a device's candidate may have."""
        return self is not Precision.TF32


class Method(StrEnum):
    """How the precision is reached."""

    FLOAT = "float"
    POST_TRAINING = "post-training"
    MIXED = "mixed"
    """Post-training INT8 in which the layers that lose most stay in float: still of the INT8 family."""
    AWARE_TRAINING = "quantization-aware"
    """Trained a little further with the rounding in place; its files are made from that training's own ONNX."""
    ORIGINAL = "original"
    """It came quantized: nothing is made of it but a kit, and no float network is known to hold it against."""


class Scheme(Value):
    """How INT8 numbers stand for real ones, in one runtime's wish."""

    activation_dtype: Literal["uint8", "int8"]
    activation_symmetric: bool
    weight_granularity: Literal["per-channel", "per-tensor"] = "per-channel"
    weight_dtype: Literal["int8"] = "int8"
    bias: Literal["int32", "float"] = "int32"
    reduced_range: bool = False
    """7-bit weights, where the processor's u8×s8 multiply-add saturates at 16 bits (x86 without VNNI)."""


class Candidate(Value):
    """One artifact that may be shipped. ``session_options`` reach the runtime unchanged, through the kit."""

    id: str
    runtime: Runtime
    precision: Precision
    method: Method = Method.FLOAT
    scheme: Scheme | None = None
    session_options: Mapping[str, str] = {}
    needs_engine: bool = False
    """True where the device builds its own engine from the kit's ONNX; accuracy then comes from a twin or the device."""
    builder_flags: tuple[str, ...] = Field(default=(), exclude_if=lambda flags: not flags)
    """``BuilderFlag`` of TensorRT that a weakly typed network is built with. Empty: its numbers' types are the network's."""
    surgery: Surgery | None = Field(default=None, exclude_if=lambda done: done is None)
    """What was done to the network that it is made from. None: the network as trained, or the custom model as given, and its keys
    and kits hold no word of surgery."""


class Unsupported(Value):
    """A precision that a runtime does not really compute in on this device, and why."""

    runtime: Runtime
    precision: Precision
    why: str


class Rung(Value):
    """A step of the ladder: candidates of equal standing, tried together."""

    name: str
    candidates: tuple[Candidate, ...]
    mends: str | None = None
    """The INT8 candidate whose loss it mends: climbed only where that is outside the accuracy budget. None: always climbed."""
    kept_float: int | None = None
    """So many layers stay in float, the first of the ranking: a rule, so that the key is known before the ranking is."""


BASELINE_ID = "onnxruntime-fp32"
"""The network that every drop is counted from: fp32 in ONNX Runtime, whatever the device."""
ORIGINAL_ID = "onnxruntime-original"
"""The one candidate of a file that came quantized, in the place of fp32: its float network is not in it."""
ENGINE = "engine"
"""Begins the names of the steps that build on the device."""


def is_of_a_device(step_id: str) -> bool:
    """Whether a step builds an engine where it runs: another board makes another, and the build stays the same."""
    return step_id.startswith(f"{ENGINE}:")


def reference_of(candidates: Iterable[Candidate]) -> str:
    """What everything else is held against: fp32 in ONNX Runtime; or a file that came quantized, which stands alone."""
    alone = any(candidate.method is Method.ORIGINAL for candidate in candidates)
    return ORIGINAL_ID if alone else BASELINE_ID


AWARE = "aware"
"""The rung of quantization-aware training, and the step whose file the CPU runtimes share."""
AWARE_FLOAT_BIAS = "aware-float-bias"
"""The step of a training of its own, for runtimes of another scheme: a network learns the roundings that it will get."""
TRUNK = "export"
"""The step whose ONNX every candidate is made from that learned nothing anew."""
KINDS = {AWARE_FLOAT_BIAS: AWARE}
"""The kind of a step that is not named after its kind."""
SURGERY = "surgery"
"""The step and the rung of surgery; the candidates of the rung share the one step."""


def graph_of(candidate: Candidate) -> str:
    """The step whose ONNX a candidate is made from, and whose table counts its multiply-adds under its layers' names."""
    if candidate.surgery is not None:
        return SURGERY
    if candidate.method is not Method.AWARE_TRAINING:
        return TRUNK
    return AWARE_FLOAT_BIAS if candidate.scheme is not None and candidate.scheme.bias == "float" else AWARE


def is_of_trunk(candidate: Candidate) -> bool:
    """Whether a candidate begins from the network as it was trained or is custom."""
    return graph_of(candidate) == TRUNK


def learned_by(candidate: Candidate) -> str | None:
    """The rung of a candidate whose network learned anew; the trainings of one rung may be several, one a scheme."""
    if candidate.surgery is not None:
        return SURGERY
    return None if is_of_trunk(candidate) else AWARE


class Knobs(Value):
    """A setting. What is None is left to the runtime, or to the runner where the field says so."""

    threads: PositiveInt | None = None
    """Threads of the processor that one inference is spread over. None: the runner gives as many as it has cores.

    ONNX Runtime's ``intra_op_num_threads``, OpenVINO's ``INFERENCE_NUM_THREADS``. Sources:
    https://onnxruntime.ai/docs/performance/tune-performance/threading.html and
    https://docs.openvino.ai/2025/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device/performance-hint-and-thread-scheduling.html
    """
    graph_optimization_level: Literal["disable", "basic", "extended"] | None = None
    """ONNX Runtime: how far a graph is rewritten before it runs. None: as far as it can. ``extended`` leaves out the last step,
    which gives convolutions another memory layout. Source:
    https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html"""
    spinning: bool | None = None
    """ONNX Runtime: whether idle threads wait in a loop, which answers sooner and takes a core meanwhile. None: they do. Source:
    https://onnxruntime.ai/docs/performance/tune-performance/threading.html"""
    pin_threads: bool | None = None
    """ONNX Runtime: whether each of its threads stays on one of the processors that the process may use; the calling thread is
    left alone. None: they may move, since the runner states how many there are. Source: ``session.intra_op_thread_affinities``
    of https://onnxruntime.ai/docs/performance/tune-performance/threading.html"""
    cpu_pinning: bool | None = None
    """OpenVINO: whether each thread stays on one core. None: under Linux it does, where the hint is latency. Source: as
    OpenVINO's of ``threads``."""
    hyper_threading: bool | None = None
    """OpenVINO: whether both logical processors of a core are used. None: one of them, where the hint is latency. Source: as
    OpenVINO's of ``threads``."""

    core_type: Literal["ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"] | None = None
    """OpenVINO, on a processor of performance and efficient cores: which of them are used. None: the runtime chooses by its hint.
    Set by hand and not raced: most processors have one kind. Source: as OpenVINO's of ``threads``."""

    @property
    def options(self) -> dict[str, str]:
        """By the names, and in the words, in which the runner's sessions take them; empty where nothing is set."""
        return {_SPELLED[name].option: _SPELLED[name].text(value) for name, value in self if value is not None}

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Knobs:
        """Back from session options. Raises ValueError: one of them is no knob, or has no value of its kind."""
        names = {spelled.option: name for name, spelled in _SPELLED.items()}
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no knob that this version knows")
        try:
            return cls.model_validate({names[option]: text for option, text in options.items()})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"the knob {first['loc'][0]} is {first['input']!r}") from error

    @property
    def words(self) -> str:
        """For people: ``1 thread, spinning off``, or ``the default``."""
        settings = [_SPELLED[name].phrase(value) for name, value in self if value is not None]
        return ", ".join(settings) or "the default"


class _Spelled(NamedTuple):
    option: str
    words: str
    yes_no: tuple[str, str] = ("YES", "NO")

    def text(self, value: int | str | bool) -> str:
        return str(value) if not isinstance(value, bool) else self.yes_no[0] if value else self.yes_no[1]

    def phrase(self, value: int | str | bool) -> str:
        if isinstance(value, bool):
            return f"{self.words} {'on' if value else 'off'}"
        return f"{self.words} {value}" if isinstance(value, str) else f"{value} {plural(value, self.words)}"


_SPELLED: Mapping[str, _Spelled] = {
    "threads": _Spelled("threads", "thread"),
    "graph_optimization_level": _Spelled("graph_optimization_level", "graph optimization"),
    "spinning": _Spelled("session.intra_op.allow_spinning", "spinning", ("1", "0")),
    "pin_threads": _Spelled("pin_threads", "thread pinning", ("1", "0")),
    "cpu_pinning": _Spelled("ENABLE_CPU_PINNING", "CPU pinning"),
    "hyper_threading": _Spelled("ENABLE_HYPER_THREADING", "hyper-threading"),
    "core_type": _Spelled("SCHEDULING_CORE_TYPE", "core type"),
}

DEFAULT = Knobs()


class KnobTrial(Value):
    """One setting of a kit, raced against the default of the same kit, and what became of it."""

    knobs: Knobs
    ratio: Estimate | None
    """Speed over that of the default, paired, from interleaved runs of one race: above 1 is faster. An estimate alone, since the
    settings are several. None: it was not measured."""
    outcome: Literal["taken", "faster", "disturbed", "not-shown", "unusable"]
    """taken: the fastest whose own interval lies above 1, and what the bundle runs with. faster: so lies its interval too, but
    another setting is faster still. disturbed: faster beside other work or throttling, which says nothing of the machine by
    itself. not-shown: the interval does not lie above 1.
    unusable: it did not finish, or does not answer as the kit must."""
    why: str | None = None
    """Of what is not usable, was disturbed, or has no ratio."""


class KnobRace(Value):
    """What the knobs of one candidate's kit were raced for, and what came out."""

    candidate: str
    knobs: Knobs
    """What the kit runs with from now on."""
    trials: tuple[KnobTrial, ...]
    observed_at: str
    reused: bool
