"""Make TensorRT's files: INT8, fp16, and an fp32 file with flags for 8.5; each with a twin that ONNX Runtime runs here.

INT8 is symmetric, at the inputs of every convolution and matrix product, in fp16-typed Q/DQ. Only inputs are quantized: TensorRT
fuses bias, activation and the residual's addition into a convolution, which a quantizer between them would prevent. Biases stay
float, since TensorRT cannot parse an int32 bias. The twin is the fp32 form of the same graph. If the twin shipped, convolutions
would write float32 to memory. fp16 is the trunk typed fp16; its twin is fp32 with activations rounded to fp16.

TensorRT 8.5 has no strongly typed networks: the builder chooses each layer's precision within the flags. The twin rounds
activations to fp16 after each layer, the most that the builder may do. Unverified: no TensorRT 8.5 has read one of these files.

Files that TensorRT would misread, or refuse late with a vague message, are refused here. The worst case is silent: TensorRT
reads a uint8 tensor with zero-point 0 (as NNCF's symmetric preset writes for non-negative activations) as int8 with the same
scale, after one warning among hundreds, and the network's predictions become random.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper, version_converter
from onnxruntime.quantization import QuantType

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
from edgecnn.graph.float_nodes import WEIGHTED, attention_products
from edgecnn.graph.half_precision import refuse_learned_overflow, round_activations, round_qdq_to_half, round_to_half, type_half
from edgecnn.graph.onnx_file import IR_VERSION, class_count, constants_of, load_model, opset_of, require_unquantized, save_model
from edgecnn.runtimes.checks import TWIN_FOLDER, check_converted
from edgecnn.runtimes.job import Job, require_finite_on_calibration
from edgecnn.runtimes.onnxruntime_files import float_layers, logits_of, quantize_statically, quantized_layers
from edgecnn.runtimes.tensorrt import BACKEND, UNFUSED
from edgecnn.values.candidate import Method
from edgecnn.values.model_file import MODEL_FILE_NAME

OPSET_MAX = 20
"""The limit of TensorRT 10.3's ONNX parser: its support matrix names operators of opset 9 to 20."""
IR_MAX = 10
"""The limit of ONNX 1.16, with which TensorRT 10.3's parser was built."""
_QDQ = ("QuantizeLinear", "DequantizeLinear")


class Tensors:
    """The types and constants of a graph's tensors."""

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.constants = constants_of(graph)
        infos = [*graph.input, *graph.output, *graph.value_info]
        self.types = {info.name: info.type.tensor_type.elem_type for info in infos}
        self.types.update({name: tensor.data_type for name, tensor in self.constants.items()})

    def quantized_type(self, node: NodeProto) -> int:
        """Return the integer type on the quantized side of a Q or DQ node; uint8 is ONNX's default for Q."""
        if len(node.input) > 2 and node.input[2] in self.types:
            return int(self.types[node.input[2]])
        if node.op_type == "DequantizeLinear":
            return int(self.types.get(node.input[0], TensorProto.UNDEFINED))
        stated = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
        return int(stated) or TensorProto.UINT8


def check_for_tensorrt(model: ModelProto, file: Path) -> None:
    """Raise the first of ``refusals``, worst first.

    Raises:
        TENSORRT_READS_UINT8_AS_INT8: uint8 anywhere.
        TENSORRT_ZERO_POINT: a zero-point that is not a constant 0.
        TENSORRT_QUANTIZED_BIAS: a dequantized int32.
        TENSORRT_PER_CHANNEL_AXIS: scales that do not fit their axis.
        OnnxBeyondReader: the opset or IR version is above TensorRT 10.3's limit.
    """
    for refusal in refusals(model, file):
        raise refusal


def refusals(model: ModelProto, file: Path) -> tuple[EdgecnnError, ...]:
    """Return an error for each kind of content that TensorRT would misread or refuse, with all tensors concerned."""
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
    errors: list[EdgecnnError] = []
    for breaks, error in rules:
        broken = list(dict.fromkeys(node.input[0] for node in nodes if breaks(node, tensors)))
        if broken:
            errors.append(error(file=file, tensors=broken))
    if opset_of(model) > OPSET_MAX:
        errors.append(ONNX_BEYOND_READER(file=file, what="opset", found=opset_of(model), limit=OPSET_MAX))
    if model.ir_version > IR_MAX:
        errors.append(ONNX_BEYOND_READER(file=file, what="IR version", found=model.ir_version, limit=IR_MAX))
    return tuple(errors)


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
"""The limit of ONNX 1.12, which introduced opset 17: https://github.com/onnx/onnx/blob/main/docs/Versioning.md"""
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
"""The operators that TensorRT 8.5's table supports."""
_RUNTIME = "tensorrt 8.5"
_SINCE_18 = {"noop_with_empty_axes"}
"""An attribute that onnx's converter leaves on reductions, whose older versions lack it. Only its default is removed."""


def lower_opset(model: ModelProto, file: Path) -> ModelProto:
    """Return a copy of a float trunk in opset 17 and IR 8, by onnx's version converter.

    No file was tried on TensorRT 8.5: the rules are the documented ones, and ONNX Runtime's outputs of the file are checked.

    Raises OPSET_NOT_LOWERED: the converter has no older version of one of the operators.
    """
    try:
        made = model if opset_of(model) <= OPSET_MAX_8_5 else version_converter.convert_version(model, OPSET_MAX_8_5)
        copy = ModelProto()
        copy.CopyFrom(made)
        for node in copy.graph.node:
            attributes = [attribute for attribute in node.attribute if attribute.name not in _SINCE_18 or attribute.i]
            del node.attribute[:]
            node.attribute.extend(attributes)
        copy.ir_version = min(copy.ir_version, IR_MAX_8_5)
        onnx.checker.check_model(copy, full_check=True)
    except Exception as error:  # noqa: BLE001 - the converter's and the checker's exceptions share no class but Exception
        raise OPSET_NOT_LOWERED(file=file, found=opset_of(model), limit=OPSET_MAX_8_5, why=reason_in(error)) from error
    return copy


def check_for_tensorrt_8_5(model: ModelProto, file: Path) -> None:
    """Raise the first error of a file that TensorRT 8.5 would misread or, by its documentation, refuse.

    Raises:
        TENSORRT_READS_UINT8_AS_INT8, TENSORRT_ZERO_POINT, TENSORRT_QUANTIZED_BIAS, TENSORRT_PER_CHANNEL_AXIS: see ``refusals``.
        OPERATOR_MISSING: TensorRT 8.5's table does not support an operator.
        OnnxBeyondReader: the opset or IR version is above TensorRT 8.5's limit.
    """
    errors: list[EdgecnnError] = [error for error in refusals(model, file) if not isinstance(error, OnnxBeyondReader)]
    for node in model.graph.node:
        if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
            errors.append(operator_missing(path=file, runtime=_RUNTIME, op=node.op_type, node=node.name or None, nearest=None))
            break
    for what, version, limit in (("opset", opset_of(model), OPSET_MAX_8_5), ("IR version", model.ir_version, IR_MAX_8_5)):
        if version > limit:
            errors.append(ONNX_BEYOND_READER(file=file, what=what, found=version, limit=limit))
    for refusal in errors:
        raise refusal


def write_half(job: Job) -> dict[str, Any]:
    """Write the fp16 file, its twin, and both ``model.json``.

    Raises HALF_OVERFLOW: a weight exceeds fp16's range. OnnxBeyondReader: TensorRT 10.3 does not read the trunk's version.
    """
    carried = round_to_half(load_model(job.onnx), job.wide)
    write_pair(job, round_activations(carried, job.wide), type_half(carried, job.wide))
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
    """Write the shipped model into the job's folder and its twin into a subfolder. ``check`` runs on the shipped model."""
    classes = class_count(typed)
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
"""The shipped model may be this much further from the float network than its twin, in shares of the logits' spread. On four
networks the two distances agreed within 3 %; a file with misread int8 was 1.6 to 6 times as far."""


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp16-typed Q/DQ file, its fp32-typed twin, and both ``model.json``.

    Raises:
        ALREADY_QUANTIZED: the trunk has quantization nodes.
        CALIBRATION_NOT_FINITE: the float network's logits of a calibration image hold NaN or infinity.
        HALF_OVERFLOW: a weight or an activation exceeds fp16's range.
        OPSET_TOO_LOW_FOR_HALF_QUANTIZATION: the trunk's opset is below 19.
        TENSORRT_READS_UINT8_AS_INT8, TENSORRT_ZERO_POINT, TENSORRT_QUANTIZED_BIAS, TENSORRT_PER_CHANNEL_AXIS,
        OnnxBeyondReader: TensorRT would misread or refuse the file.
        TWIN_DISAGREES: the shipped model is much further from the float network than its twin.
    """
    if job.candidate.method is Method.AWARE_TRAINING:
        return _quantize_learned(job)
    trunk = load_model(job.onnx)
    require_unquantized(trunk, job.onnx)
    require_finite_on_calibration(job, partial(logits_of, job.onnx))
    attention = attention_products(trunk)
    kept = list(dict.fromkeys((*(layer.name for layer in job.kept), *attention)))
    carried = round_qdq_to_half(symmetric_qdq(job.onnx, job.feeds(), kept))
    write_pair(job, round_activations(carried), type_half(carried))
    facts = _file_facts(carried)
    attention = [name for name in attention if name in facts["float_layers"]]
    return {**facts, "attention": attention, "calibration": "largest magnitude", "distance_from_float": twin_distances(job)}


def _quantize_learned(job: Job) -> dict[str, Any]:
    """Write a network that learned TensorRT's rounding from its Q/DQ file, without calibration."""
    model = load_model(job.onnx)
    refuse_learned_overflow(model)
    carried = round_qdq_to_half(model)
    write_pair(job, round_activations(carried), type_half(carried))
    calibration = "none: ranges are those that the network learned with"
    return {**_file_facts(carried), "calibration": calibration, "distance_from_learned": twin_distances(job, UNFUSED)}


def _file_facts(carried: onnx.ModelProto) -> dict[str, Any]:
    return {
        "form": "Q/DQ typed fp16, float32 at input and output",
        "quantized_tensors": sum(node.op_type == "QuantizeLinear" for node in carried.graph.node),
        "float_layers": float_layers(carried),
        "quantized_layers": quantized_layers(carried),
        "twin": "the same integers and scales in fp32 with Q/DQ fusion off; activations are rounded to fp16 after each layer",
    }


def symmetric_qdq(trunk: Path, feeds: Iterable[npt.NDArray[Any]], kept: Sequence[str] = ()) -> onnx.ModelProto:
    """Return the trunk with symmetric int8 Q/DQ at the inputs of its multiplying nodes, typed fp32.

    ``trunk``: a float ONNX model with one input. ``kept``: multiplying nodes without Q/DQ, which are fp16 in the shipped model.
    """
    return quantize_statically(
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


def twin_distances(job: Job, options: Mapping[str, str] | None = None) -> dict[str, float]:
    """Return the RMS distances of the shipped model and its twin from the job's file, on calibration images, over the spread.

    The two differ from each other by about as much, because fp16 can round a number to another integer. So their distances are
    compared. Both run in ONNX Runtime with Q/DQ fusion off: with fusion on, the fp16 file gave wrong outputs.

    ``options``: session options for the job's file, if it is quantized. Raises TWIN_DISAGREES: the shipped model is much further
    away, or its logits hold NaN.
    """
    feed = np.concatenate([job.feed(index) for index in range(min(COMPARED_IMAGES, len(job.pixels)))])
    original = logits_of(job.onnx, feed, options or {})
    files = {"ships": job.out / "model.onnx", "twin": job.out / TWIN_FOLDER / "model.onnx"}
    spread = float(np.ptp(original)) or 1.0  # constant logits have no spread; GOLDEN_NOT_TELLING refuses them later
    away = {
        name: float(np.sqrt(np.mean((original - logits_of(path, feed, UNFUSED)) ** 2))) / spread for name, path in files.items()
    }
    # Written so that a NaN is refused too.
    if not away["ships"] <= _FACTOR * away["twin"] + _FLOOR:
        raise TWIN_DISAGREES(candidate=job.candidate.id, ships=away["ships"], twin=away["twin"], images=len(feed))
    return {name: round(value, 6) for name, value in away.items()}


def write_weakly_typed(job: Job) -> dict[str, Any]:
    """Write the fp32-typed file of opset 17, its twin, and both ``model.json``.

    Raises:
        ALREADY_QUANTIZED: the trunk has quantization nodes.
        OPSET_NOT_LOWERED, OUTPUTS_DIFFER: the trunk has no form in opset 17, or its outputs there differ.
        CALIBRATION_NOT_FINITE: the network's logits of a calibration image hold NaN or infinity.
        TENSORRT_READS_UINT8_AS_INT8, TENSORRT_ZERO_POINT, TENSORRT_QUANTIZED_BIAS, TENSORRT_PER_CHANNEL_AXIS,
        OPERATOR_MISSING, OnnxBeyondReader: see ``check_for_tensorrt_8_5``.
    """
    trunk = load_model(job.onnx)
    require_unquantized(trunk, job.onnx)
    require_finite_on_calibration(job, partial(logits_of, job.onnx))
    with tempfile.TemporaryDirectory(prefix="edgecnn-opset-") as folder:
        older = Path(folder) / "model.onnx"
        save_model(lower_opset(trunk, job.onnx), older, ir_version=IR_MAX_8_5)
        away = check_converted(job, "onnx's version converter", partial(logits_of, older))
        model = load_model(older)
        if not job.candidate.precision.is_float:
            model = symmetric_qdq(older, job.feeds(), [layer.name for layer in job.kept])
    halved = round_to_half(model) if job.candidate.precision.is_float else model
    write_pair(job, round_activations(halved), model, check_for_tensorrt_8_5, IR_MAX_8_5)
    return {
        "form": "fp32, opset 17, Q/DQ where it is INT8; the builder chooses each layer's precision",
        "builder_flags": list(job.candidate.builder_flags),
        "unverified": "no TensorRT 8.5 has read this file: it is checked against that version's documented operators alone",
        "float_layers": float_layers(model),
        **({} if job.candidate.precision.is_float else {"quantized_layers": quantized_layers(model)}),
        "twin": "as if the builder chose fp16 everywhere: activations are rounded after each layer, and the weights of fp16 too",
        "distance_of_float_from_trunk": away,
    }
