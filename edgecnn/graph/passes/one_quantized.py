"""The float network with one layer quantized, from the numbers of a file in which all are: what is wrong then is that layer's.

Nothing is calibrated anew. Weights are replaced by what their integers stand for; activations go through a pair of Q and DQ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableSequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

_GIVEN_OUT = "_QuantizeLinear_Input"
"""What ONNX Runtime's quantizer appends to the name of a graph's output before it is rounded."""


@dataclass(frozen=True)
class Grid:
    """How one tensor is rounded: arrays of the quantized file, a scale float32 and a zero-point of the integers' own type."""

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.generic]


@dataclass(frozen=True)
class Rounding:
    """What a Q/DQ file makes of a float one."""

    activations: Mapping[str, Grid]
    """By the float model's tensor."""
    constants: Mapping[tuple[str, int], npt.NDArray[np.float32]]
    """Node and number of its input to the rounded weights or biases, in the float model's shape."""


def read_rounding(quantized: onnx.ModelProto) -> Rounding:
    """The grids and rounded constants of a Q/DQ file whose multiplying nodes are named as the float model's."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    activations = {
        node.input[0].removesuffix(_GIVEN_OUT): Grid(arrays[node.input[1]].astype(np.float32), arrays[node.input[2]])
        for node in quantized.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in arrays
    }
    rounded = {
        node.output[0]: _dequantized(node, arrays)
        for node in quantized.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays
    }
    constants = {
        (node.name, place): rounded[name]
        for node in quantized.graph.node
        for place, name in enumerate(node.input)
        if name in rounded
    }
    return Rounding(activations=activations, constants=constants)


def one_quantized(model: onnx.ModelProto, rounding: Rounding, layer: str, tensors: Collection[str]) -> onnx.ModelProto:
    """A copy of the float model in which this layer's constants and these tensors are rounded, and nothing else.

    ``tensors``: the activations that it reads and makes; those that are not rounded in the file stay as they are.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for node in made.graph.node:
        if node.name == layer:
            for place in range(len(node.input)):
                if (array := rounding.constants.get((layer, place))) is not None:
                    node.input[place] = f"{node.input[place]}/rounded"
                    made.graph.initializer.append(numpy_helper.from_array(array, node.input[place]))
    inputs = {value.name for value in made.graph.input}
    for tensor in sorted(rounding.activations.keys() & set(tensors)):
        _round(made.graph, tensor, rounding.activations[tensor], given_in=tensor in inputs)
    return made


def _dequantized(node: onnx.NodeProto, arrays: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.float32]:
    """(integers − zero-point) × scale, along the node's axis: ONNX's DequantizeLinear."""
    integers, scale = arrays[node.input[0]].astype(np.int64), arrays[node.input[1]].astype(np.float32)
    zero_point = arrays[node.input[2]].astype(np.int64) if len(node.input) > 2 else np.zeros_like(scale, np.int64)
    if scale.ndim:
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1) % integers.ndim
        along = [-1 if place == axis else 1 for place in range(integers.ndim)]
        scale, zero_point = scale.reshape(along), zero_point.reshape(along)
    return ((integers - zero_point) * scale).astype(np.float32)


def _round(graph: onnx.GraphProto, tensor: str, grid: Grid, *, given_in: bool) -> None:
    """Put Q and DQ on a tensor for all that read it; an output of the graph keeps its name."""
    exact, rounded = (tensor, f"{tensor}/rounded") if given_in else (f"{tensor}/exact", tensor)
    if given_in:
        at = 0
        for node in graph.node:
            _rename(node.input, tensor, rounded)
    else:
        at = 1 + next(place for place, node in enumerate(graph.node) if tensor in node.output)
        _rename(graph.node[at - 1].output, tensor, exact)
    names = [f"{tensor}/scale", f"{tensor}/zero"]
    graph.initializer.append(numpy_helper.from_array(grid.scale, names[0]))
    graph.initializer.append(numpy_helper.from_array(grid.zero_point, names[1]))
    integers = f"{tensor}/integers"
    for offset, node in enumerate((
        helper.make_node("QuantizeLinear", [exact, *names], [integers], name=f"{tensor}/Q"),
        helper.make_node("DequantizeLinear", [integers, *names], [rounded], name=f"{tensor}/DQ"),
    )):  # fmt: skip
        graph.node.insert(at + offset, node)


def _rename(names: MutableSequence[str], old: str, new: str) -> None:
    for place, name in enumerate(names):
        if name == old:
            names[place] = new
