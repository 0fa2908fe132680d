"""What can be built for one runtime: a precision reached by a method, in the scheme that the runtime wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticKnownError

from edgecnn.values.base import Value
from edgecnn.values.training import Surgery


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
    def in_a_browser(self) -> bool:
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
        *names, last = (repr(str(each)) for each in (*(each.value for each in Runtime if each.ships), ALL_RUNTIMES))
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
