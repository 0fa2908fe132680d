"""The trunk as TensorRT 8.5 may read it: opset 17, IR 8, and operators that its parser's table names.

Nothing of this has been tried on a TensorRT 8.5, whose only home here would be a JetPack 5 board: the rules are those that are
documented, and the file is checked by its answers in ONNX Runtime.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto, version_converter

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.export import OperatorMissing
from edgecnn.errors.tensorrt import OnnxBeyondReader, OpsetNotLowered
from edgecnn.graph.document import opset_of
from edgecnn.graph.tensorrt_rules import refusals

OPSET_MAX = 17
"""https://github.com/onnx/onnx-tensorrt/blob/release/8.5-GA/docs/operators.md"""
IR_MAX = 8
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

    Args:
        model: a float trunk.
        file: what errors call it.

    Raises:
        OpsetNotLowered: the converter has no older form of one of its operators.
    """
    try:
        made = model if opset_of(model) <= OPSET_MAX else version_converter.convert_version(model, OPSET_MAX)
        copy = ModelProto()
        copy.CopyFrom(made)
        for node in copy.graph.node:
            kept = [each for each in node.attribute if each.name not in _SINCE_18 or each.i]
            del node.attribute[:]
            node.attribute.extend(kept)
        copy.ir_version = min(copy.ir_version, IR_MAX)
        onnx.checker.check_model(copy, full_check=True)
    except Exception as error:  # noqa: BLE001 - the converter's and the checker's exceptions share no class but Exception
        raise OpsetNotLowered(
            file=file, found=opset_of(model), limit=OPSET_MAX, why=" ".join(str(error).split())[:300]
        ) from error
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
    for what, version, limit in (("opset", opset_of(model), OPSET_MAX), ("IR version", model.ir_version, IR_MAX)):
        if version > limit:
            found.append(OnnxBeyondReader(file=file, what=what, found=version, limit=limit))
    for refusal in found:
        raise refusal
