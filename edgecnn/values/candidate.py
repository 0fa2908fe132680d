"""Candidates for one runtime: a precision, a method and a scheme; and the runtime settings (knobs) of a session.

A knob changes a kit's speed but not its output. OpenVINO's precision and other session options that change outputs make separate
candidates with their own accuracy.
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
    """An inference runtime, by its usual name; ``runner/packages`` has its distributions."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"
    NCNN = "ncnn"
    LITERT = "litert"
    WASM = "wasm"
    WEBGPU = "webgpu"
    TORCH = "torch"
    """Runs the desktop-GPU baseline only; no device file names it and no backend makes it."""

    @property
    def runs_in_browser(self) -> bool:
        """Whether its kits are web pages that contain the runtime."""
        return self in (Runtime.WASM, Runtime.WEBGPU)

    @property
    def ships(self) -> bool:
        """Whether a bundle may need the runtime on a device."""
        return self is not Runtime.TORCH


ALL_RUNTIMES: Final = "all"
"""In a target, instead of a runtime: every runtime in the device's file."""


def _require_runtime(value: object, known: ValidatorFunctionWrapHandler) -> object:
    try:
        return known(value)
    except ValidationError:  # pydantic reports a problem for each half of the union
        *names, last = (repr(str(name)) for name in (*(name.value for name in Runtime if name.ships), ALL_RUNTIMES))
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(names)} or {last}"}) from None


TargetRuntime = Annotated[Runtime | Literal["all"], WrapValidator(_require_runtime)]


class Precision(StrEnum):
    """The arithmetic that a candidate requests; the executed precision shows what ran."""

    FP32 = "fp32"
    TF32 = "tf32"
    """fp32 numbers that an NVIDIA GPU multiplies with 10 bits of mantissa; for the desktop-GPU baseline only."""
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"

    @property
    def is_float(self) -> bool:
        """Whether the precision needs no calibration."""
        return self is not Precision.INT8

    @property
    def ships(self) -> bool:
        """Whether a device's candidate may have it."""
        return self is not Precision.TF32


class Method(StrEnum):
    """How the precision is reached."""

    FLOAT = "float"
    POST_TRAINING = "post-training"
    MIXED = "mixed"
    """Post-training INT8 with the most sensitive layers in float; still an INT8 candidate."""
    AWARE_TRAINING = "quantization-aware"
    """Trained further with simulated rounding; its files come from that training's own ONNX."""
    ORIGINAL = "original"
    """Already quantized: it is only packaged, and there is no float network to compare with."""


class Scheme(Value):
    """How INT8 numbers represent real ones in a runtime."""

    activation_dtype: Literal["uint8", "int8"]
    activation_symmetric: bool
    weight_granularity: Literal["per-channel", "per-tensor"] = "per-channel"
    weight_dtype: Literal["int8"] = "int8"
    bias: Literal["int32", "float"] = "int32"
    reduced_range: bool = False
    """7-bit weights, if the CPU's u8×s8 multiply-add saturates at 16 bits (x86 without VNNI)."""


class Candidate(Value):
    """One model file that may ship. ``session_options`` are passed unchanged to the runtime by the kit."""

    id: str
    runtime: Runtime
    precision: Precision
    method: Method = Method.FLOAT
    scheme: Scheme | None = None
    session_options: Mapping[str, str] = {}
    needs_engine: bool = False
    """Whether the device builds its own engine from the kit's ONNX; accuracy then comes from a twin or the device."""
    builder_flags: tuple[str, ...] = Field(default=(), exclude_if=lambda flags: not flags)
    """TensorRT's ``BuilderFlag`` for a weakly typed network. Empty: the network's own types apply."""
    surgery: Surgery | None = Field(default=None, exclude_if=lambda done: done is None)
    """The change of its network. None: the network as trained, or the custom model as given; keys and kits then do not mention
    surgery."""


class Unsupported(Value):
    """A precision that a runtime does not really compute in on this device, and why."""

    runtime: Runtime
    precision: Precision
    why: str


class Rung(Value):
    """A step of the ladder: candidates that are tried together."""

    name: str
    candidates: tuple[Candidate, ...]
    mends: str | None = None
    """The INT8 candidate with too much loss; the rung is built only if that candidate exceeds the accuracy budget. None: always.
    """
    kept_float: int | None = None
    """Number of layers to keep in float, by the ranking. A fixed number, so that the key is known before the ranking."""


BASELINE_ID = "onnxruntime-fp32"
"""The network that drops are measured from: fp32 in ONNX Runtime on every device."""
ORIGINAL_ID = "onnxruntime-original"
"""The only candidate of a quantized file, instead of fp32, which the file does not contain."""
ENGINE = "engine"
"""Prefix of the names of steps that build on the device."""


def is_of_a_device(step_id: str) -> bool:
    """Whether a step builds an engine on the device; another board makes another engine, but the build is the same."""
    return step_id.startswith(f"{ENGINE}:")


def reference_of(candidates: Iterable[Candidate]) -> str:
    """Return the reference of all comparisons: fp32 in ONNX Runtime, or the candidate of a quantized file."""
    alone = any(candidate.method is Method.ORIGINAL for candidate in candidates)
    return ORIGINAL_ID if alone else BASELINE_ID


AWARE = "aware"
"""The rung of quantization-aware training, and the step whose file the CPU runtimes share."""
AWARE_FLOAT_BIAS = "aware-float-bias"
"""The step of a separate training for a runtime with another scheme, because a network is trained for its own rounding."""
TRUNK = "export"
"""The step whose ONNX is the source of every candidate that was not trained further."""
KINDS = {AWARE_FLOAT_BIAS: AWARE}
"""The kind of a step that has another name than its kind."""
SURGERY = "surgery"
"""The step and the rung of surgery, which all candidates of the rung share."""


def graph_of(candidate: Candidate) -> str:
    """Return the step whose ONNX a candidate is made from, which also defines layer names for its multiply-adds."""
    if candidate.surgery is not None:
        return SURGERY
    if candidate.method is not Method.AWARE_TRAINING:
        return TRUNK
    return AWARE_FLOAT_BIAS if candidate.scheme is not None and candidate.scheme.bias == "float" else AWARE


def is_of_trunk(candidate: Candidate) -> bool:
    """Whether a candidate starts from the network as trained, or from a custom model."""
    return graph_of(candidate) == TRUNK


def learned_by(candidate: Candidate) -> str | None:
    """Return the rung of a candidate with a further training; one rung may have a training for each scheme."""
    if candidate.surgery is not None:
        return SURGERY
    return None if is_of_trunk(candidate) else AWARE


class Knobs(Value):
    """Runtime settings. None leaves a setting to the runtime, or to the runner if the field says so."""

    threads: PositiveInt | None = None
    """CPU threads of one inference. None: the runner uses one for each core.

    ONNX Runtime's ``intra_op_num_threads``, OpenVINO's ``INFERENCE_NUM_THREADS``. Sources:
    https://onnxruntime.ai/docs/performance/tune-performance/threading.html and
    https://docs.openvino.ai/2025/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device/performance-hint-and-thread-scheduling.html
    """
    graph_optimization_level: Literal["disable", "basic", "extended"] | None = None
    """ONNX Runtime: level of graph optimization. None: the highest. ``extended`` omits the last step, which changes the memory
    layout of convolutions. Source: https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html"""
    spinning: bool | None = None
    """ONNX Runtime: whether idle threads spin, which is faster but uses their cores meanwhile. None: they do. Source:
    https://onnxruntime.ai/docs/performance/tune-performance/threading.html"""
    pin_threads: bool | None = None
    """ONNX Runtime: whether each worker thread is pinned to one of the process's cores; the calling thread is not. None: not
    pinned, since the runner states their number. Source: ``session.intra_op_thread_affinities`` of
    https://onnxruntime.ai/docs/performance/tune-performance/threading.html"""
    cpu_pinning: bool | None = None
    """OpenVINO: whether each thread is pinned to a core. None: pinned on Linux with the latency hint. Source: as OpenVINO's of
    ``threads``."""
    hyper_threading: bool | None = None
    """OpenVINO: whether both logical processors of a core are used. None: only one, with the latency hint. Source: as OpenVINO's
    of ``threads``."""

    core_type: Literal["ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"] | None = None
    """OpenVINO, on CPUs with performance and efficient cores: which to use. None: the runtime's hint decides. Set by hand only,
    because most CPUs have one kind. Source: as OpenVINO's of ``threads``."""

    @property
    def options(self) -> dict[str, str]:
        """Return the settings in the names and words of the runner's sessions; empty if nothing is set."""
        return {_SPELLED[name].option: _SPELLED[name].text(value) for name, value in self if value is not None}

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Knobs:
        """Parse session options. Raises ValueError: an option is not a knob, or its value is invalid."""
        names = {spelled.option: name for name, spelled in _SPELLED.items()}
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a knob of this version")
        try:
            return cls.model_validate({names[option]: text for option, text in options.items()})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"the knob {first['loc'][0]} is {first['input']!r}") from error

    @property
    def words(self) -> str:
        """Describe the settings: ``1 thread, spinning off``, or ``the default``."""
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
    """One setting of a kit, raced against the kit's default, and its result."""

    knobs: Knobs
    ratio: Estimate | None
    """Speed relative to the default, paired, from interleaved runs of one race: above 1 is faster. An estimate without an
    interval, because several settings share the race. None: not measured."""
    outcome: Literal["taken", "faster", "disturbed", "not-shown", "unusable"]
    """taken: the fastest with its interval above 1; the bundle runs with it. faster: its interval is above 1 too, but another
    setting is faster. disturbed: faster, but with other work or throttling on the machine. not-shown: the interval is not above
    1. unusable: it did not finish, or its output is wrong."""
    why: str | None = None
    """Reason if the setting is unusable, was disturbed, or has no ratio."""


class KnobRace(Value):
    """Settings raced for one candidate's kit, and the result."""

    candidate: str
    knobs: Knobs
    """The setting that the kit uses from now on."""
    trials: tuple[KnobTrial, ...]
    observed_at: str
    reused: bool
