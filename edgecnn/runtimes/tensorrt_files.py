"""The files of TensorRT: INT8, fp16, and for 8.5 an fp32 file with flags; each with a twin that ONNX Runtime runs here.

INT8 is symmetric, at the inputs of every convolution and matrix product, in fp16-typed Q/DQ. Only inputs are quantized:
TensorRT fuses what follows a convolution (bias, activation, the residual's addition) into it, and a quantizer between them
would forbid that. Biases stay float, since an int32 bias is a parse error there. The fp32 form of the same graph is the twin;
shipped itself, it would make convolutions that write float32 to memory. fp16 is the trunk typed half, its twin fp32 with
activations rounded to fp16.

TensorRT 8.5 has no strongly typed networks. Where each layer computes is the builder's own choice, as the flags allow. The twin
rounds activations to fp16 after each layer, the most that the builder may do. Unverified: no TensorRT 8.5 has read one of these
files.

What TensorRT reads wrongly, or refuses late and vaguely, is refused here before a builder sees the file. The worst case is
silent: a uint8 tensor with zero-point 0 (NNCF's symmetric preset writes them for non-negative activations) is taken for int8
with the same scale, after one warning among hundreds, and the network answers at random.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper, version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantType

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.graph import (
    ONNX_BEYOND_READER,
    OPSET_NOT_LOWERED,
    TENSORRT_PER_CHANNEL_AXIS,
    TENSORRT_QUANTIZED_BIAS,
    TENSORRT_READS_UINT8_AS_INT8,
    TENSORRT_ZERO_POINT,
    TWIN_DISAGREES,
    OnnxBeyondReader,
    operator_missing,
)
from edgecnn.errors.wording import reason_in
from edgecnn.graph.attention import WEIGHTED, attention_products
from edgecnn.graph.onnx_file import IR_VERSION, answers_of, constants_of, load_model, opset_of, require_unquantized, save_model
from edgecnn.graph.passes.half import carry_half, carry_half_qdq, refuse_learned_overflow, round_between, type_half
from edgecnn.runtimes.checks import TWIN_FOLDER, check_converted
from edgecnn.runtimes.job import Job, require_finite_answers
from edgecnn.runtimes.onnxruntime_files import Feeds, float_layers, logits_of, quantized
from edgecnn.runtimes.tensorrt import BACKEND, UNFUSED
from edgecnn.values.candidate import Method
from edgecnn.values.model_file import MODEL_FILE_NAME

OPSET_MAX = 20
"""Of TensorRT 10.3's ONNX parser: its support matrix names operators of opset 9 to 20."""
IR_MAX = 10
"""Of the ONNX 1.16 that TensorRT 10.3's parser was built with."""
_QDQ = ("QuantizeLinear", "DequantizeLinear")


class Tensors:
    """What a graph says of its tensors' types and constant values, as far as quantization needs it."""

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.constants = constants_of(graph)
        known = [*graph.input, *graph.output, *graph.value_info]
        self.types = {info.name: info.type.tensor_type.elem_type for info in known}
        self.types.update({name: tensor.data_type for name, tensor in self.constants.items()})

    def quantized_type(self, node: NodeProto) -> int:
        """The integer type on the quantized side of a Q or DQ node; uint8 is ONNX's own default for Q."""
        if len(node.input) > 2 and node.input[2] in self.types:
            return int(self.types[node.input[2]])
        if node.op_type == "DequantizeLinear":
            return int(self.types.get(node.input[0], TensorProto.UNDEFINED))
        asked = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
        return int(asked) or TensorProto.UINT8


def check_for_tensorrt(model: ModelProto, file: Path) -> None:
    """Raise the first of ``refusals``, worst first.

    Raises:
        TENSORRT_READS_UINT8_AS_INT8: uint8 anywhere.
        TENSORRT_ZERO_POINT: a zero-point that is not 0, or not constant.
        TENSORRT_QUANTIZED_BIAS: a dequantized int32.
        TENSORRT_PER_CHANNEL_AXIS: scales that do not fit their axis.
        OnnxBeyondReader: opset or IR version above what TensorRT 10.3 reads.
    """
    for refusal in refusals(model, file):
        raise refusal


def refusals(model: ModelProto, file: Path) -> tuple[EdgecnnError, ...]:
    """Everything in the file that TensorRT would read wrongly or refuse, one error a kind, each with all its tensors."""
    tensors = Tensors(model)
    nodes = [node for node in model.graph.node if node.op_type in _QDQ]
    rules: tuple[tuple[Callable[[NodeProto, Tensors], bool], ErrorRow], ...] = (
        (lambda node, tensors: tensors.quantized_type(node) == TensorProto.UINT8, TENSORRT_READS_UINT8_AS_INT8),
        (_is_shifted, TENSORRT_ZERO_POINT),
        (
            lambda node, tensors: node.op_type == "DequantizeLinear" and tensors.quantized_type(node) == TensorProto.INT32,
            TENSORRT_QUANTIZED_BIAS,
        ),
        (_has_wrong_axis, TENSORRT_PER_CHANNEL_AXIS),
    )
    found: list[EdgecnnError] = []
    for breaks, error in rules:
        broken = list(dict.fromkeys(node.input[0] for node in nodes if breaks(node, tensors)))
        if broken:
            found.append(error(file=file, tensors=broken))
    if opset_of(model) > OPSET_MAX:
        found.append(ONNX_BEYOND_READER(file=file, what="opset", found=opset_of(model), limit=OPSET_MAX))
    if model.ir_version > IR_MAX:
        found.append(ONNX_BEYOND_READER(file=file, what="IR version", found=model.ir_version, limit=IR_MAX))
    return tuple(found)


def _is_shifted(node: NodeProto, tensors: Tensors) -> bool:
    if len(node.input) < 3 or not node.input[2]:
        return False
    constant = tensors.constants.get(node.input[2])
    return constant is None or bool(np.any(numpy_helper.to_array(constant).astype(np.int64) != 0))


def _has_wrong_axis(node: NodeProto, tensors: Tensors) -> bool:
    scale = tensors.constants.get(node.input[1])
    if scale is None or int(np.prod(scale.dims)) == 1:
        return False
    axis = next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), None)
    constant = tensors.constants.get(node.input[0])
    if axis is None:
        return True
    if constant is None:
        return False
    dims = list(constant.dims)
    return not -len(dims) <= axis < len(dims) or dims[axis] != scale.dims[0]


OPSET_MAX_8_5 = 17
"""https://github.com/onnx/onnx-tensorrt/blob/release/8.5-GA/docs/operators.md"""
IR_MAX_8_5 = 8
"""Of ONNX 1.12, which brought opset 17: https://github.com/onnx/onnx/blob/main/docs/Versioning.md"""
_TABLE = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant
ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp Expand
EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater
GreaterOrEqual GridSample HardSigmoid HardSwish Identity If ImageScaler InstanceNormalization IsNaN LRN LSTM LeakyRelu Less
LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mod Mul Neg
NonMaxSuppression NonZero Not OneHot Or PRelu Pad ParametricSoftplus Pow QuantizeLinear RNN RandomNormal RandomNormalLike
RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Round ScaledTanh Scan Scatter
ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt
Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
OPERATORS = frozenset(_TABLE.split())
"""What the same table has a Y for."""
_RUNTIME = "tensorrt 8.5"
_SINCE_18 = {"noop_with_empty_axes"}
"""An attribute that onnx's converter leaves on reductions, whose older forms have no such name. Only its default is dropped."""


def lowered(model: ModelProto, file: Path) -> ModelProto:
    """A copy in opset 17 and IR 8, by onnx's version converter.

    Nothing of this has been tried on a TensorRT 8.5, whose only home here would be a JetPack 5 board: the rules are those that
    are documented, and the file is checked by its answers in ONNX Runtime.

    ``model``: a float trunk. Raises OPSET_NOT_LOWERED: the converter has no older form of one of its operators.
    """
    try:
        made = model if opset_of(model) <= OPSET_MAX_8_5 else version_converter.convert_version(model, OPSET_MAX_8_5)
        copy = ModelProto()
        copy.CopyFrom(made)
        for node in copy.graph.node:
            kept = [each for each in node.attribute if each.name not in _SINCE_18 or each.i]
            del node.attribute[:]
            node.attribute.extend(kept)
        copy.ir_version = min(copy.ir_version, IR_MAX_8_5)
        onnx.checker.check_model(copy, full_check=True)
    except Exception as error:  # noqa: BLE001 - the converter's and the checker's exceptions share no class but Exception
        raise OPSET_NOT_LOWERED(file=file, found=opset_of(model), limit=OPSET_MAX_8_5, why=reason_in(error)) from error
    return copy


def check_for_tensorrt_8_5(model: ModelProto, file: Path) -> None:
    """Raise the first of what TensorRT 8.5 is documented to refuse, or would read wrongly.

    Raises:
        TENSORRT_READS_UINT8_AS_INT8, TENSORRT_ZERO_POINT, TENSORRT_QUANTIZED_BIAS, TENSORRT_PER_CHANNEL_AXIS: as for newer ones.
        OPERATOR_MISSING: its table does not name an operator, or names it as not supported.
        OnnxBeyondReader: opset or IR version above its own.
    """
    found: list[EdgecnnError] = [each for each in refusals(model, file) if not isinstance(each, OnnxBeyondReader)]
    for node in model.graph.node:
        if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
            found.append(operator_missing(path=file, runtime=_RUNTIME, op=node.op_type, node=node.name or None, nearest=None))
            break
    for what, version, limit in (("opset", opset_of(model), OPSET_MAX_8_5), ("IR version", model.ir_version, IR_MAX_8_5)):
        if version > limit:
            found.append(ONNX_BEYOND_READER(file=file, what=what, found=version, limit=limit))
    for refusal in found:
        raise refusal


def write_half(job: Job) -> dict[str, Any]:
    """Write the fp16 file, its twin, and both ``model.json``.

    Raises HALF_OVERFLOW: a weight is beyond fp16's range. OnnxBeyondReader: the trunk is of a version that TensorRT 10.3 does not
    read.
    """
    carried = carry_half(load_model(job.onnx), job.wide)
    write_pair(job, round_between(carried, job.wide), type_half(carried, job.wide))
    return {
        "form": job.half_form,
        "twin": "the same weights, each a number that fp16 holds; activations are rounded to fp16 after each layer",
        "calibration_images": 0,
    }


def write_pair(
    job: Job,
    twin: onnx.ModelProto,
    typed: onnx.ModelProto,
    check: Callable[[onnx.ModelProto, Path], None] = check_for_tensorrt,
    ir_version: int = IR_VERSION,
) -> None:
    """Write what ships into the job's folder and its twin beside it; onnx's checker passes both, ``check`` what ships."""
    classes = answers_of(typed)
    for folder, model, describe in (
        (job.out, typed, BACKEND.model_file),
        (job.out / TWIN_FOLDER, twin, BACKEND.twin_file),
    ):
        folder.mkdir(exist_ok=True)
        save_model(model, folder / "model.onnx", ir_version=ir_version)
        onnx.checker.check_model(folder / "model.onnx", full_check=True)
        (folder / MODEL_FILE_NAME).write_text(describe(job.candidate, classes).to_json(), encoding="utf-8")
    check(onnx.load(job.out / "model.onnx"), job.out / "model.onnx")


COMPARED_IMAGES = 32
_FACTOR, _FLOOR = 1.5, 0.01
"""What ships may be this much further from the float network than its twin, in shares of the logits' spread. On four networks
the two distances agreed to 3 %; a file whose int8 was misread was 1.6 to 6 times as far."""


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp16-typed Q/DQ file, its fp32-typed twin, and both ``model.json``.

    Raises:
        ALREADY_QUANTIZED: the trunk holds quantization nodes.
        CALIBRATION_NOT_FINITE: the float network answers a calibration image with NaN or infinity.
        HALF_OVERFLOW: a weight or an activation is beyond fp16's range.
        OPSET_TOO_LOW_FOR_HALF_QUANTIZATION: the trunk's opset is below 19.
        TENSORRT_READS_UINT8_AS_INT8, TENSORRT_ZERO_POINT, TENSORRT_QUANTIZED_BIAS, TENSORRT_PER_CHANNEL_AXIS,
        OnnxBeyondReader: the file would not build rightly.
        TWIN_DISAGREES: what ships is much further from the float network than its twin is.
    """
    if job.candidate.method is Method.AWARE_TRAINING:
        return _learned(job)
    trunk = load_model(job.onnx)
    require_unquantized(trunk, job.onnx)
    require_finite_answers(job, partial(logits_of, job.onnx))
    feeds = Feeds(trunk.graph.input[0].name, job.feeds())
    attention = attention_products(trunk)
    kept = list(dict.fromkeys((*(layer.name for layer in job.kept), *attention)))
    carried = carry_half_qdq(symmetric_qdq(job.onnx, feeds, kept))
    write_pair(job, round_between(carried), type_half(carried))
    facts = _facts(carried)
    attention = [name for name in attention if name in facts["float_layers"]]
    return {**facts, "attention": attention, "calibration": "largest magnitude", "distance_from_float": distances(job)}


def _learned(job: Job) -> dict[str, Any]:
    """Of a network that learned to be rounded as TensorRT rounds: nothing is calibrated, its own Q/DQ file is carried."""
    model = load_model(job.onnx)
    refuse_learned_overflow(model)
    carried = carry_half_qdq(model)
    write_pair(job, round_between(carried), type_half(carried))
    learned = "none: ranges are those that the network learned with"
    return {**_facts(carried), "calibration": learned, "distance_from_learned": distances(job, UNFUSED)}


def _facts(carried: onnx.ModelProto) -> dict[str, Any]:
    return {
        "form": "Q/DQ typed fp16, float32 at input and output",
        "quantized_tensors": sum(node.op_type == "QuantizeLinear" for node in carried.graph.node),
        "float_layers": float_layers(carried),
        "twin": "the same integers and scales in fp32 with Q/DQ fusion off; activations are rounded to fp16 after each layer",
    }


def symmetric_qdq(trunk: Path, feeds: CalibrationDataReader, kept: Sequence[str] = ()) -> onnx.ModelProto:
    """The trunk with symmetric int8 Q/DQ at the inputs of its multiplying nodes, typed fp32.

    ``trunk``: a float ONNX model with one input. ``kept``: multiplying nodes that get none, and so are half precision in what
    ships.
    """
    return quantized(
        trunk,
        feeds,
        op_types_to_quantize=list(WEIGHTED),
        nodes_to_exclude=list(kept),
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": list(WEIGHTED),
        },
    )


def distances(job: Job, asked_with: Mapping[str, str] | None = None) -> dict[str, float]:
    """How far the written pair is from the job's own file on calibration images: root mean square over the logits' spread.

    The two differ from each other by about as much: where half precision moves a number across the middle between two steps,
    the integer is another one. So it is the distances that are compared. Both files run in ONNX Runtime with Q/DQ fusion off,
    where the fp16 one computes what it says; with fusion on, garbage was seen.

    ``asked_with``: session options for the job's own file, where that is a quantized one too. Raises TWIN_DISAGREES: what
    ships is much further away, or answers NaN.
    """
    feed = np.concatenate([job.feed(index) for index in range(min(COMPARED_IMAGES, len(job.pixels)))])
    asked = logits_of(job.onnx, feed, asked_with or {})
    files = {"ships": job.out / "model.onnx", "twin": job.out / TWIN_FOLDER / "model.onnx"}
    away = {name: _distance(asked, logits_of(path, feed, UNFUSED)) for name, path in files.items()}
    # Written so that a NaN, which is neither above nor below, is refused too.
    if not away["ships"] <= _FACTOR * away["twin"] + _FLOOR:
        raise TWIN_DISAGREES(candidate=job.candidate.id, ships=away["ships"], twin=away["twin"], images=len(feed))
    return {name: round(value, 6) for name, value in away.items()}


def _distance(asked: npt.NDArray[np.float32], answered: npt.NDArray[np.float32]) -> float:
    # Of answers that are all one number there is no spread; that they tell nothing is found where the golden ones are made.
    return float(np.sqrt(np.mean((asked - answered) ** 2)) / (np.ptp(asked) or 1.0))


def write_weakly_typed(job: Job) -> dict[str, Any]:
    """Write the fp32-typed file of opset 17, its twin, and both ``model.json``.

    Raises:
        ALREADY_QUANTIZED: the trunk holds quantization nodes.
        OPSET_NOT_LOWERED, OUTPUTS_DIFFER: the trunk has no form in opset 17, or one that answers otherwise.
        CALIBRATION_NOT_FINITE: the network answers a calibration image with NaN or infinity.
        TENSORRT_READS_UINT8_AS_INT8, TENSORRT_ZERO_POINT, TENSORRT_QUANTIZED_BIAS, TENSORRT_PER_CHANNEL_AXIS,
        OPERATOR_MISSING, OnnxBeyondReader: what TensorRT
            8.5 is documented to refuse.
    """
    trunk = load_model(job.onnx)
    require_unquantized(trunk, job.onnx)
    require_finite_answers(job, partial(logits_of, job.onnx))
    with tempfile.TemporaryDirectory(prefix="edgecnn-opset-") as folder:
        older = Path(folder) / "model.onnx"
        save_model(lowered(trunk, job.onnx), older, ir_version=IR_MAX_8_5)
        away = check_converted(job, "onnx's version converter", partial(logits_of, older))
        model = load_model(older)
        if not job.candidate.precision.is_float:
            model = symmetric_qdq(older, Feeds(trunk.graph.input[0].name, job.feeds()), [each.name for each in job.kept])
    halved = carry_half(model) if job.candidate.precision.is_float else model
    write_pair(job, round_between(halved), model, check_for_tensorrt_8_5, IR_MAX_8_5)
    return {
        "form": "fp32, opset 17, Q/DQ where it is INT8; the builder chooses each layer's precision",
        "builder_flags": list(job.candidate.builder_flags),
        "unverified": "no TensorRT 8.5 has read this file: it is checked against that version's documented operators alone",
        "float_layers": float_layers(model),
        "twin": "as if the builder chose fp16 everywhere: activations are rounded after each layer, and the weights of fp16 too",
        "distance_of_float_from_trunk": away,
    }
