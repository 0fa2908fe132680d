"""Failures of reading, making and checking the ONNX trunk, of calibration and quantization, and of TensorRT's input."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import reason_in


class ExportDisagrees(EdgecnnError):
    """The exported graph does not compute what the network computes on real images."""


class MacsUnknown(EdgecnnError):
    """A layer's multiply-adds cannot be counted. Without it, all shares would be wrong."""


class OnnxBeyondReader(EdgecnnError):
    """A file states a version that the device's parser does not know."""


class BuildLogUnreadable(EdgecnnError):
    """A builder's log does not show the planned layers."""


EXPORT_AGAIN = "export it again with opset 20 and a dynamic batch"

NOT_AN_ONNX_MODEL = ErrorRow("not-an-onnx-model", "{path} is not an ONNX model", "{why}", "copy or export the file again")
MODEL_TOO_LARGE = ErrorRow(
    "model-too-large",
    "the model {path} has {size:gib}, including its weights",
    "an ONNX file has at most 2 GiB, and every candidate is made from an ONNX file",
    "choose a smaller network; every network of the catalogue fits",
)
OPERATOR_MISSING = ErrorRow("operator-missing", "{runtime} lacks the operator {op} of {path}{where}", fix="{hint}")
EXTERNAL_DATA_OUTSIDE = ErrorRow(
    "external-data-outside",
    "the weights {tensor!r} of {path} are outside its folder",
    "the file refers to {location!r}",
    "save the model with its weights inside the file, or next to it",
)
EXTERNAL_DATA_MISSING = ErrorRow(
    "external-data-missing",
    "{path} needs the file {location}, which is not in its folder",
    "the model's weights are stored there",
    "copy {location} from the folder of the export into {path.parent}",
)
WRONG_OPSET = ErrorRow(
    "wrong-opset",
    "{exporter} wrote ONNX opset {found} instead of {wanted}",
    fix="install versions of torch and onnxscript that write opset {wanted}, such as those that edgecnn requires",
    exit_code=ExitCode.OWN_FAULT,
)
EXPORT_DISAGREES = ErrorRow(
    "export-disagrees",
    "an exported logit differs by {max_abs_diff:.3g}; the limit is {allowed:.3g}",
    "the network and the graph predict the same class for {top1_agreement:.1%} of {images} images",
    exit_code=ExitCode.OWN_FAULT,
    kind=ExportDisagrees,
)
MERGE_DIFFERS = ErrorRow(
    "merge-differs",
    "merging the branches of {network} changed its logits",
    "one logit differs by {off:.3g}, but only {allowed:.3g} is allowed; the network's own library merges the branches",
    exit_code=ExitCode.OWN_FAULT,
)
ROUNDING_DECIDES = ErrorRow(
    "rounding-decides",
    "rounding decides the predictions of this network",
    "in fp64, a logit differs by {max_abs_diff:.3g}, more than {allowed:.3g}; short training of deep networks often causes this",
    "if training was short, train longer with --set train.epochs=...; if there are few images, use --set train.batch_size=...",
)
PROGRAM_NOT_MADE = ErrorRow(
    "program-not-made", "torch cannot export this network as a program", "{because}", exit_code=ExitCode.OWN_FAULT
)
NETWORK_NOT_EXPORTED = ErrorRow(
    "network-not-exported",
    "torch cannot export this network to ONNX",
    "{because}",
    "choose another network; docs/howto/use-a-timm-network.md lists the timm networks that were tested",
)
MACS_UNKNOWN = ErrorRow(
    "macs-unknown",
    "the multiply-adds of {op} {node} cannot be counted",
    "shape inference at batch 1 does not give the shape of {tensor!r}",
    exit_code=ExitCode.OWN_FAULT,
    kind=MacsUnknown,
)
TRUNK_DISAGREES = ErrorRow(
    "trunk-disagrees",
    "edgecnn cannot build from {path}",
    "{change}, an output differs by {max_abs_diff:.3g}, more than the allowed {allowed:.3g}",
    "{hint}",
)
OPSET_UNREACHABLE = ErrorRow(
    "opset-unreachable",
    "{path} has ONNX opset {opset}, which cannot be converted to {wanted}",
    "{because}",
    "export it again with opset {wanted}",
)
CALIBRATION_SET_TOO_SMALL = ErrorRow(
    "calibration-set-too-small",
    "quantize needs {asked} calibration images, but there are only {found}",
    fix="lower [quantize] images (--set quantize.images={found}), or raise [data] calibration_images",
)
_LOWER_RATE = "train again with a lower learning rate (--set train.learning_rate=...), or check the weights file"
CALIBRATION_NOT_FINITE = ErrorRow(
    "calibration-not-finite",
    "the output for calibration image {image} of {images} is NaN or infinity",
    "the weights are broken, or training diverged",
    _LOWER_RATE,
)
CALIBRATION_RANGE_NOT_FINITE = ErrorRow(
    "calibration-range-not-finite",
    "tensor {tensor} reaches NaN or infinity on the calibration images",
    "a layer overflows there, and a later layer hides it from the output",
    _LOWER_RATE,
)
ALREADY_QUANTIZED = ErrorRow(
    "already-quantized", "{path} is already quantized", "it contains {op} {node}", "start from the float model"
)
HALF_REFUSED = ErrorRow(
    "half-refused",
    "the network of {candidate} cannot be used in fp16",
    "{because}",
    "choose a candidate that does not compute in fp16",
)
HALF_OVERFLOW = ErrorRow(
    "half-overflow",
    "{subject} {tensor} reaches {largest:,.6g}; the largest fp16 number is 65,504",
    "{because}",
    "choose a candidate that does not compute in fp16, or train with weight decay",
)
OUTPUTS_DIFFER = ErrorRow(
    "outputs-differ",
    "{candidate} differs from the ONNX file by {away:.2g}; the limit is {allowed:g}",
    "{converter} changed the network; differences are fractions of the output range over {images:,} calibration images",
    "choose another runtime, or replace the layer that is converted wrongly",
)
OUTPUTS_SHAPED_OTHERWISE = ErrorRow(
    "outputs-shaped-otherwise",
    "{candidate} has outputs of the shape {found}, not {wanted}",
    "{converter} changed the network's output",
    "choose another runtime, or replace the last layer, which is converted wrongly",
)
NOTHING_LEFT_TO_QUANTIZE = ErrorRow(
    "nothing-left-to-quantize",
    "{candidate} keeps {kept} layers in float, so no INT8 layer is left",
    "the network has only {layers} layers",
)
NOTHING_QUANTIZED = ErrorRow(
    "nothing-quantized",
    "{candidate} has no INT8 layer",
    "the quantizer found no convolution or matrix product with constant weights that it supports",
    "choose another candidate, or write the network without branches and loops around its layers",
)
LAYER_NOT_FOUND = ErrorRow(
    "layer-not-found",
    "{candidate} cannot keep {layer} in float",
    "the converted model has neither a layer of that name nor its output tensor",
)
GOLDEN_NOT_TELLING = ErrorRow(
    "golden-not-telling",
    "{candidate} gives the same output, or NaN, for all {images} golden images",
    "the network was hardly trained, or quantization destroyed it",
    "train longer, or calibrate with more images",
)
TENSORRT_READS_UINT8_AS_INT8 = ErrorRow(
    "tensorrt-reads-uint8-as-int8",
    "in {file}, {tensors:subject tensor} quantized to uint8",
    "TensorRT reads uint8 as int8 with the same scale",
    "quantize activations to int8 with zero-point 0, as the candidate tensorrt-int8 does",
)
TENSORRT_ZERO_POINT = ErrorRow(
    "tensorrt-zero-point",
    "in {file}, {tensors:subject tensor} quantized with a zero-point that is not 0",
    "TensorRT supports symmetric quantization only",
    "quantize with symmetric activations and weights, as the candidate tensorrt-int8 does",
)
TENSORRT_QUANTIZED_BIAS = ErrorRow(
    "tensorrt-quantized-bias",
    "in {file}, {tensors:subject tensor} dequantized from int32, as quantized biases are",
    "TensorRT dequantizes 8-bit numbers only",
    "keep biases in floating point, with QuantizeBias=False in onnxruntime's quantize_static",
)
TENSORRT_PER_CHANNEL_AXIS = ErrorRow(
    "tensorrt-per-channel-axis",
    "in {file}, {tensors:subject tensor} quantized per channel with a wrong axis",
    "the axis is missing, or its length differs from the number of scales",
    "give every per-channel QuantizeLinear and DequantizeLinear the axis of its scales",
)
ONNX_BEYOND_READER = ErrorRow(
    "onnx-beyond-reader",
    "{what} {found} of {file} is above {limit}",
    "this TensorRT reads at most {what} {limit}",
    "export with {what} {limit} or lower",
    kind=OnnxBeyondReader,
)
OPSET_TOO_LOW_FOR_HALF_QUANTIZATION = ErrorRow(
    "opset-too-low-for-half-quantization",
    "a quantized model of opset {found} cannot use fp16",
    "fp16 scales need opset 19",
    "export with opset 19 or 20",
)
TWIN_DISAGREES = ErrorRow(
    "twin-disagrees",
    "the fp16 file of {candidate} differs from its twin",
    "relative to the logits' spread, the file is {ships:.3g} from the float network and its twin {twin:.3g} "
    "(RMS over {images} calibration images)",
    "an activation probably exceeds fp16's range; choose another candidate for this network",
)
OPSET_NOT_LOWERED = ErrorRow(
    "opset-not-lowered",
    "{file} cannot be converted from opset {found} to {limit}",
    "{why}",
    "drop TensorRT 8.5, or write the network without that operator",
)
BUILD_LOG_UNREADABLE = ErrorRow(
    "build-log-unreadable",
    "{log} shows no planned precision, because {missing}",
    fix="build again with build-engine, which makes the builder write a verbose log with detailed layers",
    kind=BuildLogUnreadable,
)


def operator_missing(path: Path, runtime: str, op: str, node: str | None, nearest: str | None) -> EdgecnnError:
    """``nearest``: an operator that every runtime has."""
    hint = "edgecnn builds the other candidates; to use this runtime, write the network without that operator"
    return OPERATOR_MISSING(
        path=path,
        runtime=runtime,
        op=op,
        where=f" (node {node})" if node else "",
        hint=f"write it as {nearest}, which every runtime has" if nearest else hint,
    )


def program_not_made(error: Exception) -> EdgecnnError:
    return PROGRAM_NOT_MADE(because=reason_in(error))


def network_not_exported(error: Exception) -> EdgecnnError:
    cause = error.__cause__ or error  # the cause of the exporter's error explains more than the error
    line = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    return NETWORK_NOT_EXPORTED(because=reason_in(line))


def trunk_disagrees(path: Path, change: str, max_abs_diff: float, allowed: float, better_export: bool = True) -> EdgecnnError:
    """``change``: the change to the file, such as ``with opset 11 to 20``. ``better_export``: another export avoids it."""
    hint = EXPORT_AGAIN if better_export else "report this and attach the file, because edgecnn's conversion changed its outputs"
    return TRUNK_DISAGREES(path=path, change=change, max_abs_diff=max_abs_diff, allowed=allowed, hint=hint)


def half_overflow(
    tensor: str,
    largest: float,
    candidate: str | None = None,
    images: int = 0,
    kind: Literal["weight", "sum", "tensor"] = "tensor",
) -> EdgecnnError:
    """``images``: number of images that showed the largest magnitude; 0 for a weight. ``kind``: sum is one inside the layer."""
    named = {"sum": "the sum in the layer of"}.get(kind, kind)
    subject = f"{'' if candidate is None else f'in {candidate}, '}{named}"
    what = "sum of squares" if kind == "sum" else "magnitude"
    because = f"this is the largest {what} over {images:,} calibration images" if images else None
    return HALF_OVERFLOW(subject=subject, tensor=tensor, largest=largest, because=because)
