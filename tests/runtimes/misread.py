"""Files that TensorRT reads wrongly, made from one that it reads rightly."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper


def activations_as_uint8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every activation as uint8 with zero-point 0, as NNCF's symmetric preset leaves non-negative ones."""
    return _replace_zero_points(model, np.zeros((), np.uint8))


def shift_activations(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every activation as int8 with zero-point 3."""
    return _replace_zero_points(model, np.array(3, np.int8))


def _replace_zero_points(model: onnx.ModelProto, value: np.ndarray) -> onnx.ModelProto:  # type: ignore[type-arg]
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    names = {node.input[2] for node in changed.graph.node if node.op_type == "QuantizeLinear"}
    for tensor in changed.graph.initializer:
        if tensor.name in names:
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    # What the exporter said of the tensors' types holds no longer.
    del changed.graph.value_info[:]
    return changed
