"""What TensorRT reads wrongly, or refuses late and vaguely, is refused here before a builder sees the file.

The worst case is silent: a uint8 tensor with zero-point 0 (NNCF's symmetric preset writes them for non-negative activations) is
taken for int8 with the same scale, after one warning among hundreds, and the network answers at random.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.tensorrt import (
    NonZeroZeroPoint,
    OnnxBeyondReader,
    PerChannelAxis,
    QuantizedBias,
    UnsignedQuantization,
)
from edgecnn.graph.document import constants_of, opset_of

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
        (_is_unsigned, UnsignedQuantization),
        (_is_shifted, NonZeroZeroPoint),
        (_is_quantized_bias, QuantizedBias),
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


def _is_unsigned(node: NodeProto, tensors: Tensors) -> bool:
    return tensors.quantized_type(node) == TensorProto.UINT8


def _is_shifted(node: NodeProto, tensors: Tensors) -> bool:
    if len(node.input) < 3 or not node.input[2]:
        return False
    constant = tensors.constants.get(node.input[2])
    return constant is None or bool(np.any(numpy_helper.to_array(constant).astype(np.int64) != 0))


def _is_quantized_bias(node: NodeProto, tensors: Tensors) -> bool:
    return node.op_type == "DequantizeLinear" and tensors.quantized_type(node) == TensorProto.INT32


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
