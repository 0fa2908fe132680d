"""Failures of reading, making and checking the ONNX trunk, of calibration and quantization, and of what TensorRT is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import reason_in


class NotAnOnnxModel(EdgecnnError):
    """Raised when a file cannot be parsed as an ONNX model."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(what=f"{path} is no ONNX model", because=why)


class ModelTooLarge(EdgecnnError):
    """Raised before a model of 2 GiB or more is read: one file of ONNX cannot hold it, and trying would take the memory first."""

    def __init__(self, *, path: Path, size: int) -> None:
        super().__init__(
            what=f"{path}: a model of {size / 2**30:.2f} GiB, weights included",
            because="an ONNX file ends at 2 GiB, and every candidate is made from one",
            hint="choose a smaller network; of the catalogue's none comes near",
        )


class OperatorMissing(EdgecnnError):
    """Raised when a runtime refuses a model for an operator that it does not have."""

    def __init__(self, *, path: Path, runtime: str, op: str, node: str | None, nearest: str | None) -> None:
        where = f" (node {node})" if node else ""
        hint = "the other candidates are built without this runtime; or write the network without that operator"
        super().__init__(
            what=f"{path}: {runtime} has no operator {op}{where}",
            hint=f"write it as {nearest}, which every runtime has" if nearest else hint,
        )


class ExternalDataOutside(EdgecnnError):
    """Raised when a model's weights lie outside its own folder: reading them would follow a path that somebody else wrote."""

    def __init__(self, *, path: Path, tensor: str, location: str) -> None:
        super().__init__(
            what=f"{path}: the weights {tensor!r} are said to lie at {location!r}, outside the model's folder",
            hint="save the model with its weights inside the file, or beside it",
        )


class ExternalDataMissing(EdgecnnError):
    """Raised when a model was copied or moved without the file that holds its weights."""

    def __init__(self, *, path: Path, location: str) -> None:
        super().__init__(
            what=f"{path} needs the file {location}, which is not in its folder",
            because="the model's weights are stored there",
            hint=f"copy {location} into {path.parent} too, from where the model was exported",
        )


class WrongOpset(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the exporter left another opset than the one asked for, which it does without saying so."""

    def __init__(self, *, wanted: int, found: int, exporter: str) -> None:
        super().__init__(
            what=f"{exporter} left ONNX opset {found} where {wanted} was asked for",
            hint=f"install a torch and onnxscript that write opset {wanted}; edgecnn's own ranges are tested",
        )


class ExportDisagrees(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the exported graph does not compute what the network computes on real images."""

    def __init__(self, *, max_abs_diff: float, allowed: float, images: int, top1_agreement: float) -> None:
        super().__init__(
            what=f"the exported graph differs from the network by {max_abs_diff:.3g} in a logit, {allowed:.3g} is allowed",
            because=f"on {images} images they name the same class for {top1_agreement:.1%}",
        )
        self.max_abs_diff, self.allowed = max_abs_diff, allowed


class MergeDiffers(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when a network whose parallel branches were merged for shipping does not answer as the one that learned."""

    def __init__(self, *, network: str, off: float, allowed: float) -> None:
        super().__init__(
            what=f"{network} with its branches merged differs by {off:.3g} in a logit, {allowed:.3g} is allowed",
            because="they are merged by the library that the network is of",
        )


class RoundingDecides(EdgecnnError):
    """Raised when a network and its graph disagree, and the network about as much with itself in another precision."""

    def __init__(self, *, max_abs_diff: float, allowed: float) -> None:
        super().__init__(
            what=f"rounding decides what this network answers: in fp64 it differs from itself by {max_abs_diff:.3g} in a logit, "
            f"{allowed:.3g} is allowed",
            because="another runtime would answer otherwise again, as is usual of deep networks after a few steps of training",
            hint="if it trained shortly, train longer: --set train.epochs=...; where images are few, --set train.batch_size=...",
        )


class ProgramNotMade(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when torch cannot export a network as a program of its own, whatever it says about it."""

    def __init__(self, *, error: Exception) -> None:
        text = reason_in(error)
        super().__init__(what="torch cannot export this network as a program", because=text)


class NetworkNotExported(EdgecnnError):
    """Raised when torch cannot trace a network or translate one of its operators, whatever it says about it."""

    def __init__(self, *, error: Exception) -> None:
        cause = error.__cause__ or error  # what the exporter's own error was caused by says more than it does
        said = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
        super().__init__(
            what="torch cannot export this network to ONNX",
            because=reason_in(said),
            hint="take another network; of timm's, docs/howto/use-a-timm-network.md says which were tried",
        )


class MacsUnknown(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when a layer's multiply-adds cannot be counted; a table without it would make every share wrong."""

    def __init__(self, *, node: str, op: str, tensor: str) -> None:
        super().__init__(
            what=f"the multiply-adds of {op} {node} cannot be counted",
            because=f"shape inference at batch 1 does not give the shape of {tensor!r}",
        )


ANEW = "export it anew with opset 20 and a dynamic batch"
REPORT = "report this with the file: the conversion here changed its answers"


class TrunkDisagrees(EdgecnnError):
    """Raised when the trunk made of a custom model answers real images otherwise than the model."""

    def __init__(self, *, path: Path, change: str, max_abs_diff: float, allowed: float, hint: str = ANEW) -> None:
        super().__init__(
            what=f"{path} cannot be built from",
            because=f"{change}, it differs by {max_abs_diff:.3g} in an answer, {allowed:.3g} is allowed",
            hint=hint,
        )


class OpsetUnreachable(EdgecnnError):
    """Raised when a model's operators cannot be had in an opset that the runtimes here read."""

    def __init__(self, *, path: Path, opset: int, wanted: int, because: str) -> None:
        super().__init__(
            what=f"{path} has ONNX opset {opset}, and cannot be converted to {wanted}",
            because=because,
            hint=f"export it anew with opset {wanted}",
        )


class CalibrationSetTooSmall(EdgecnnError):
    """Raised before a model is quantized, so that no time is spent on ranges that cannot be trusted."""

    def __init__(self, *, asked: int, found: int) -> None:
        super().__init__(
            what=f"quantize asks for {asked} calibration images, found {found}",
            hint=f"lower [quantize] images (--set quantize.images={found}), or raise [data] calibration_images",
        )


class CalibrationNotFinite(EdgecnnError):
    """Raised when the network answers a calibration image with NaN or infinity: ranges taken from it would mean nothing."""

    def __init__(self, *, image: int, images: int) -> None:
        super().__init__(
            what=f"the network's output for calibration image {image} of {images} is NaN or infinity",
            because="its weights are broken, or training diverged",
            hint="train again with a lower learning rate (--set train.learning_rate=...), or check the weights file",
        )


class CalibrationRangeNotFinite(EdgecnnError):
    """Raised when a tensor inside the network reaches NaN or infinity on calibration images, though the answers are numbers."""

    def __init__(self, *, tensor: str) -> None:
        super().__init__(
            what=f"the range of tensor {tensor} over the calibration images ends at NaN or infinity",
            because="a layer overflows there, which a later one hides from the answers",
            hint="train again with a lower learning rate (--set train.learning_rate=...), or check the weights file",
        )


class AlreadyQuantized(EdgecnnError):
    """Raised when the model to quantize holds quantization nodes: a second pass would quantize the rounding of the first."""

    def __init__(self, *, path: Path, node: str, op: str) -> None:
        super().__init__(what=f"{path} is quantized already", because=f"it holds {op} {node}", hint="start from the float model")


class HalfRefused(EdgecnnError):
    """Raised when a network cannot be typed fp16, or a runtime does not open it so: the other candidates go on."""

    def __init__(self, *, candidate: str, because: str) -> None:
        super().__init__(what=f"{candidate}: the network is not taken in fp16", because=because)


class HalfOverflow(EdgecnnError):
    """Raised when a number of the network is finite in fp32 and infinite in fp16: that candidate alone is refused."""

    def __init__(
        self, *, tensor: str, largest: float, candidate: str | None = None, images: int = 0, weight: bool = False
    ) -> None:
        named = f"{'' if candidate is None else f'{candidate}: '}{'weight' if weight else 'tensor'}"
        super().__init__(
            what=f"{named} {tensor} reaches {largest:,.6g}, and fp16 ends at 65,504",
            because=f"it is the largest magnitude over {images:,} calibration images" if images else None,
            hint="choose a candidate that does not compute in fp16, or train with weight decay",
        )


class OutputsDiffer(EdgecnnError):
    """Raised when a converted network answers otherwise than the ONNX file that it was made from: that candidate is refused."""

    def __init__(self, *, candidate: str, converter: str, away: float, allowed: float, images: int) -> None:
        shares = f"differences are shares of the output range over {images:,} calibration images"
        super().__init__(
            what=f"{candidate}: outputs are {away:.2g} from the ONNX file's; {allowed:g} is allowed",
            because=f"{converter} changed the network; {shares}",
            hint="choose another runtime, or replace the layer that is converted wrongly",
        )


class NothingLeftToQuantize(EdgecnnError):
    """Raised when a rung keeps as many layers in float as the network has: it would be the float network under another name."""

    def __init__(self, *, candidate: str, kept: int, layers: int) -> None:
        super().__init__(
            what=f"{candidate} keeps {kept} layers in float and nothing would be left in INT8",
            because=f"the network has {layers}",
        )


class LayerNotFound(EdgecnnError):
    """Raised when a layer that is to stay in float is not in the model that a runtime's converter made."""

    def __init__(self, *, candidate: str, layer: str) -> None:
        super().__init__(
            what=f"{candidate} is to keep {layer} in float",
            because="the converted model names no layer so, nor by a tensor that it makes",
        )


class GoldenNotTelling(EdgecnnError):
    """Raised when a candidate answers every golden image alike: a self-test by such answers would pass anything."""

    def __init__(self, *, candidate: str, images: int) -> None:
        super().__init__(
            what=f"{candidate} gives the same answer to all {images} golden images, or one that is no number",
            because="the network was hardly trained, or quantization destroyed it",
            hint="train longer, or calibrate with more images",
        )


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
