"""What TensorRT reads wrongly, or refuses late and vaguely, is refused here before a builder sees the file; the trunk for 8.5.

The worst case is silent: a uint8 tensor with zero-point 0 (NNCF's symmetric preset writes them for non-negative activations) is
taken for int8 with the same scale, after one warning among hundreds, and the network answers at random.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper, version_converter

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import (
    NonZeroZeroPoint,
    OnnxBeyondReader,
    OperatorMissing,
    OpsetNotLowered,
    PerChannelAxis,
    QuantizedBias,
    UnsignedQuantization,
)
from edgecnn.errors.wording import reason_in
from edgecnn.graph.onnx_file import constants_of, opset_of

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
        UnsignedQuantization: uint8 anywhere.
        NonZeroZeroPoint: a zero-point that is not 0, or not constant.
        QuantizedBias: a dequantized int32.
        PerChannelAxis: scales that do not fit their axis.
        OnnxBeyondReader: opset or IR version above what TensorRT 10.3 reads.
    """
    for refusal in refusals(model, file):
        raise refusal


def refusals(model: ModelProto, file: Path) -> tuple[EdgecnnError, ...]:
    """Everything in the file that TensorRT would read wrongly or refuse, one error a kind, each with all its tensors."""
    tensors = Tensors(model)
    nodes = [node for node in model.graph.node if node.op_type in _QDQ]
    rules: tuple[tuple[Callable[[NodeProto, Tensors], bool], Callable[..., EdgecnnError]], ...] = (
        (lambda node, tensors: tensors.quantized_type(node) == TensorProto.UINT8, UnsignedQuantization),
        (_is_shifted, NonZeroZeroPoint),
        (
            lambda node, tensors: node.op_type == "DequantizeLinear" and tensors.quantized_type(node) == TensorProto.INT32,
            QuantizedBias,
        ),
        (_has_wrong_axis, PerChannelAxis),
    )
    found: list[EdgecnnError] = []
    for breaks, error in rules:
        broken = list(dict.fromkeys(node.input[0] for node in nodes if breaks(node, tensors)))
        if broken:
            found.append(error(file=file, tensors=broken))
    if opset_of(model) > OPSET_MAX:
        found.append(OnnxBeyondReader(file=file, what="opset", found=opset_of(model), limit=OPSET_MAX))
    if model.ir_version > IR_MAX:
        found.append(OnnxBeyondReader(file=file, what="IR version", found=model.ir_version, limit=IR_MAX))
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

    ``model``: a float trunk. Raises OpsetNotLowered: the converter has no older form of one of its operators.
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
        raise OpsetNotLowered(file=file, found=opset_of(model), limit=OPSET_MAX_8_5, why=reason_in(error)) from error
    return copy


def check_for_tensorrt_8_5(model: ModelProto, file: Path) -> None:
    """Raise the first of what TensorRT 8.5 is documented to refuse, or would read wrongly.

    Raises:
        UnsignedQuantization, NonZeroZeroPoint, QuantizedBias, PerChannelAxis: as for newer ones.
        OperatorMissing: its table does not name an operator, or names it as not supported.
        OnnxBeyondReader: opset or IR version above its own.
    """
    found: list[EdgecnnError] = [each for each in refusals(model, file) if not isinstance(each, OnnxBeyondReader)]
    for node in model.graph.node:
        if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
            found.append(OperatorMissing(path=file, runtime=_RUNTIME, op=node.op_type, node=node.name or None, nearest=None))
            break
    for what, version, limit in (("opset", opset_of(model), OPSET_MAX_8_5), ("IR version", model.ir_version, IR_MAX_8_5)):
        if version > limit:
            found.append(OnnxBeyondReader(file=file, what=what, found=version, limit=limit))
    for refusal in found:
        raise refusal
