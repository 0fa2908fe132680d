"""Takes the rounding out of a learned Q/DQ file: a float network, and the range that each of its tensors learned to have."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Ranges = dict[str, tuple[float, float]]
"""Tensor to the smallest and the largest number that its integers hold."""
_NO_ACTIVATION_FOLLOWS = frozenset(
    {"Relu", "Clip", "Sigmoid", "HardSigmoid", "Softmax", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean"}
    | {"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Resize", "Pad"}
)
"""Operators whose range begins at zero because their input's does, or because they make it so."""
_SIX = 6.0
"""Of ReLU6."""


def take_rounding_out(model: onnx.ModelProto) -> Ranges:
    """Make a float network of a Q/DQ one, in place, and return the ranges of its activations.

    Weights and biases become the floats that their integers stand for. ``learned_qdq.absorb_clamps`` took activations away that
    the ends of a range stand for: where a range begins at zero, a ReLU is put back, and a ReLU6 where it ends at six. Another end
    cuts in the integers alone.

    ``model``: scales and zero points are initializers; a DequantizeLinear reads a constant or what a QuantizeLinear makes.
    """
    graph = model.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    ends = {output.name for output in graph.output}
    ranges, replaced, nodes = Ranges(), dict[str, str](), list[onnx.NodeProto]()
    for node in graph.node:
        node.input[:] = [replaced.get(name, name) for name in node.input]
        if node.op_type == "QuantizeLinear":
            continue
        if node.op_type != "DequantizeLinear":
            nodes.append(node)
            continue
        output = node.output[0]
        if node.input[0] in arrays:
            graph.initializer.append(numpy_helper.from_array(_floats(node, arrays), output))
            continue
        quantizer = makers[node.input[0]]
        source = quantizer.input[0]
        ranges[source] = ranges[output] = _ends(quantizer, arrays)
        maker, (low, high) = makers.get(source), ranges[source]
        if low == 0 and maker is not None and maker.op_type not in _NO_ACTIVATION_FOLLOWS:
            nodes.append(_activation(graph, source, output, is_six=abs(high - _SIX) <= high / np.iinfo(np.uint8).max))
        elif output in ends:
            nodes.append(helper.make_node("Identity", [source], [output], name=f"{output}_end"))
        else:
            replaced[output] = source
    _keep(graph, nodes)
    return ranges


def _activation(graph: onnx.GraphProto, source: str, output: str, *, is_six: bool) -> onnx.NodeProto:
    if not is_six:
        return helper.make_node("Relu", [source], [output], name=f"{output}_relu")
    bounds = [f"{output}_low", f"{output}_high"]
    graph.initializer.extend(
        numpy_helper.from_array(np.array(end, np.float32), name) for end, name in zip((0, _SIX), bounds, strict=True)
    )
    return helper.make_node("Clip", [source, *bounds], [output], name=f"{output}_relu6")


def _floats(node: onnx.NodeProto, arrays: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    integers, scale, zero = (arrays[name].astype(np.float64) for name in node.input)
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    shape = [-1 if place == axis % max(integers.ndim, 1) else 1 for place in range(integers.ndim)] if scale.ndim else []
    return ((integers - zero.reshape(shape)) * scale.reshape(shape)).astype(np.float32)


def _ends(quantizer: onnx.NodeProto, arrays: dict[str, npt.NDArray[Any]]) -> tuple[float, float]:
    scale, zero = (arrays[name] for name in quantizer.input[1:3])
    limits = np.iinfo(zero.dtype)
    return (limits.min - int(zero)) * float(scale), (limits.max - int(zero)) * float(scale)


def _keep(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    read = {name for node in copies for name in node.input}
    weights = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(weights)
