"""Takes the rounding out of a learned Q/DQ file: a float network, and the range that each of its tensors learned to have."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Ranges = dict[str, tuple[float, float]]
"""Tensor to the smallest and the largest number that its integers hold."""
_CAN_CLAMP = frozenset({"Conv", "Gemm", "Add", "BatchNormalization"})
"""Operators whose activation a converter fuses. What follows another one is left to the integers' own ends."""


def take_rounding_out(model: onnx.ModelProto) -> Ranges:
    """Make a float network of a Q/DQ one, in place, and return the ranges of its activations.

    Weights and biases become the floats that their integers stand for. A range that begins at zero gets its ReLU back where one
    was absorbed (``learned_qdq.absorb_clamps``): the float network then answers as the rounded one but for rounding.

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
        maker = makers.get(source)
        if ranges[source][0] == 0 and maker is not None and maker.op_type in _CAN_CLAMP:
            nodes.append(helper.make_node("Relu", [source], [output], name=f"{output}_relu"))
        elif output in ends:
            nodes.append(helper.make_node("Identity", [source], [output], name=f"{output}_end"))
        else:
            replaced[output] = source
    _keep(graph, nodes)
    return ranges


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
