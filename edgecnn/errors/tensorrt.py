"""Failures of what TensorRT is given: files that it would read wrongly or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class UnsignedQuantization(EdgecnnError):
    """Raised before a build: TensorRT only warns here, keeps the scale, and every value above 127 becomes negative."""

    ref = "tensorrt-reads-uint8-as-int8"

    def __init__(self, *, file: Path, tensors: Sequence[str]) -> None:
        super().__init__(
            what=f"{file}: {_named(tensors)} quantized to uint8, which TensorRT reads as int8 with the same scale",
            hint="quantize activations to int8 with zero-point 0: the scheme of the candidate tensorrt-int8",
        )


class NonZeroZeroPoint(EdgecnnError):
    """Raised before a build: TensorRT's quantization is symmetric."""

    ref = "tensorrt-zero-point"

    def __init__(self, *, file: Path, tensors: Sequence[str]) -> None:
        super().__init__(
            what=f"{file}: {_named(tensors)} quantized with a zero-point that is not 0 throughout",
            because="TensorRT knows symmetric quantization alone",
            hint="quantize with symmetric activations and weights: the scheme of the candidate tensorrt-int8",
        )


class QuantizedBias(EdgecnnError):
    """Raised before a build: a bias behind DequantizeLinear is a parse error in TensorRT."""

    ref = "tensorrt-quantized-bias"

    def __init__(self, *, file: Path, tensors: Sequence[str]) -> None:
        super().__init__(
            what=f"{file}: {_named(tensors)} dequantized from int32, as quantized biases are",
            because="TensorRT dequantizes 8-bit numbers only",
            hint="leave biases in floating point: QuantizeBias False in onnxruntime's quantize_static",
        )


class PerChannelAxis(EdgecnnError):
    """Raised before a build: the scales of a tensor do not fit the axis they are said to run along."""

    ref = "tensorrt-per-channel-axis"

    def __init__(self, *, file: Path, tensors: Sequence[str]) -> None:
        super().__init__(
            what=f"{file}: {_named(tensors)} quantized per channel, and the axis is missing or not as long as the scales",
            hint="give every per-channel QuantizeLinear and DequantizeLinear the axis that its scales run along",
        )


class OnnxBeyondReader(EdgecnnError):
    """Raised before a build: the file says a version that the device's parser does not know."""

    def __init__(self, *, file: Path, what: str, found: int, limit: int) -> None:
        super().__init__(
            what=f"{file}: {what} {found} is above {limit}, the highest that this TensorRT reads",
            hint=f"export with {what} {limit} or lower",
        )


class OpsetTooLowForHalf(EdgecnnError):
    """Raised when Q/DQ cannot be typed fp16: scales in fp16 came with opset 19."""

    ref = "opset-too-low-for-half-quantization"

    def __init__(self, *, found: int) -> None:
        super().__init__(
            what=f"a quantized model of opset {found} cannot be typed fp16: fp16 scales came with opset 19",
            hint="export with opset 19 or 20",
        )


class TwinDisagrees(EdgecnnError):
    """Raised when the twin cannot answer for the file that ships, which computes something else."""

    def __init__(self, *, candidate: str, ships: float, twin: float, images: int) -> None:
        super().__init__(
            what=f"{candidate}: the fp16 file is {ships:.3g} of the logits' spread from the float network, its twin {twin:.3g}",
            because=f"root mean square over {images} calibration images",
            hint="an activation probably leaves fp16's range; choose another candidate for this network",
        )


class OpsetNotLowered(EdgecnnError):
    """Raised when a network has no form in the older opset that a device's TensorRT reads."""

    def __init__(self, *, file: Path, found: int, limit: int, why: str) -> None:
        super().__init__(
            what=f"{file}: cannot be converted from opset {found} to {limit}",
            because=why,
            hint="leave TensorRT 8.5 out, or write the network without that operator",
        )


class BuildLogUnreadable(EdgecnnError):
    """Raised when a builder's log does not say which layers it planned."""

    def __init__(self, *, log: Path, missing: str) -> None:
        super().__init__(
            what=f"{log}: no planned precision can be read, since {missing}",
            hint="build again with build-engine, which asks the builder for its verbose log and detailed layers",
        )


def _named(tensors: Sequence[str]) -> str:
    more = f" and {len(tensors) - 1} more are" if len(tensors) > 1 else " is"
    return f"tensor {tensors[0]}{more}"
