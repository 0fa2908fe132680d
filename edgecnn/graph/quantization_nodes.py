"""Passes over a graph with Q/DQ nodes: run it in integers, remove its quantization, or copy shared constants."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, MutableSequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edgecnn.graph.onnx_file import messages_in

_LARGEST = 2**31 - 1


def quantize_biases(model: onnx.ModelProto) -> int:
    """Replace float biases by int32 ones in place, if image and weights come from DequantizeLinear; return how many.

    A bias's step is the product of the two scales, as in ONNX Runtime's own quantizer. If a bias does not fit into 32 bits, which
    happens in channels with nearly zero weights, that channel's weight scale is enlarged.

    ``model``: scales and weights are initializers; weights are quantized along their first axis, or as a whole.
    """
    graph = model.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    nodes: list[onnx.NodeProto] = []
    changed: dict[str, npt.NDArray[Any]] = {}
    for node in graph.node:
        image, weights = (makers.get(name) for name in (*node.input[:2], "", "")[:2])
        has_float_bias = node.op_type in ("Conv", "Gemm") and len(node.input) == 3 and node.input[2] in arrays
        if has_float_bias and image is not None and weights is not None:
            nodes.append(_quantize_bias(node, (image, weights), arrays, changed))
        nodes.append(node)
    made = len(nodes) - len(graph.node)
    kept = [tensor for tensor in graph.initializer if tensor.name not in changed]
    fresh = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in changed.items()]
    _refill(graph.initializer, [*kept, *fresh])
    _refill(graph.node, nodes)
    _drop_unread(graph)
    return made


def _quantize_bias(
    node: onnx.NodeProto,
    before: tuple[onnx.NodeProto, onnx.NodeProto],
    arrays: Mapping[str, npt.NDArray[Any]],
    changed: dict[str, npt.NDArray[Any]],
) -> onnx.NodeProto:
    """Return the DequantizeLinear of a node's bias, and put the integers and their scale into ``changed``.

    ``before``: the DequantizeLinear of the image and of the weights.
    """
    image, weights = before
    bias = arrays[node.input[2]].astype(np.float64)
    image_scale = float(arrays[image.input[1]])
    scales = np.broadcast_to(arrays[weights.input[1]].astype(np.float64), bias.shape)
    least = np.abs(bias) / (_LARGEST * image_scale)
    if np.any(least > scales):
        enlarged = np.maximum(scales, least * (1 + 1e-6)).astype(np.float32)
        numbers = arrays[weights.input[0]]
        ratio = (scales / enlarged).reshape(-1, *[1] * (numbers.ndim - 1))
        changed[weights.input[0]] = np.rint(numbers * ratio).astype(numbers.dtype)
        changed[weights.input[1]] = enlarged
        scales = enlarged.astype(np.float64)
    step = (image_scale * scales).astype(np.float32)
    name = node.input[2]
    changed[f"{name}_quantized"] = np.clip(np.rint(bias / step), -_LARGEST, _LARGEST).astype(np.int32)
    changed[f"{name}_scale"] = step
    changed[f"{name}_zero_point"] = np.zeros(step.shape, np.int32)
    node.input[2] = f"{name}_dequantized"
    parts = [f"{name}_quantized", f"{name}_scale", f"{name}_zero_point"]
    return helper.make_node("DequantizeLinear", parts, [node.input[2]], name=f"{node.name}_bias", axis=0)


def _refill(field: Any, parts: list[Any]) -> None:
    copies = [type(part).FromString(part.SerializeToString()) for part in parts]
    del field[:]
    field.extend(copies)


def _drop_unread(graph: onnx.GraphProto) -> None:
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    _refill(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])


def absorb_clamps(model: onnx.ModelProto) -> int:
    """Remove redundant clamps in place; return how many. ``model``: bounds, scales and zero points are initializers."""
    graph = model.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if not tensor.dims}
    readers = Counter(name for node in graph.node for name in node.input)
    quantizers = {node.input[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
    absorbed = []
    for node in graph.node:
        bounds = _bounds(node, arrays)
        quantizer = quantizers.get(node.output[0]) if bounds is not None else None
        if bounds is None or quantizer is None or readers[node.output[0]] > 1:
            continue
        least, largest, step = _represented_range(quantizer, arrays)
        # Within half a step of a bound, rounding gives the same integer.
        if bounds[0] - step / 2 < least and largest < bounds[1] + step / 2:
            quantizer.input[0] = node.input[0]
            absorbed.append(node)
    for node in absorbed:
        graph.node.remove(node)
    return len(absorbed)


def _bounds(node: onnx.NodeProto, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[float, float] | None:
    """Return the node's bounds; None if it is not a clamp, or its bounds are unknown."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type != "Clip":
        return None
    bounds = [*node.input[1:], "", ""][:2]
    if any(name and name not in arrays for name in bounds):
        return None
    low, high = (float(arrays[name]) if name else default for name, default in zip(bounds, (-math.inf, math.inf), strict=True))
    return low, high


def _represented_range(quantizer: onnx.NodeProto, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[float, float, float]:
    """Return the smallest and largest number that a QuantizeLinear represents, and its step; NaN if unknown."""
    scale, zero = (arrays.get(name) for name in quantizer.input[1:3])
    if scale is None or zero is None:
        return math.nan, math.nan, math.nan
    limits = np.iinfo(zero.dtype)
    step, point = float(scale), int(zero)
    return (limits.min - point) * step, (limits.max - point) * step, step


_OUTPUT_SUFFIX = "_QuantizeLinear_Input"
"""Suffix that ONNX Runtime's quantizer adds to the name of a graph's output before rounding."""


@dataclass(frozen=True)
class Grid:
    """The rounding of one tensor: arrays of the quantized file, a float32 scale and a zero-point of the integer type."""

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.generic]


@dataclass(frozen=True)
class Rounding:
    """The rounding of a float model by a Q/DQ file."""

    activations: Mapping[str, Grid]
    """By tensor of the float model."""
    constants: Mapping[tuple[str, int], npt.NDArray[np.float32]]
    """Node and input index to the rounded weights or biases, in the float model's shape."""


def read_rounding(quantized: onnx.ModelProto) -> Rounding:
    """Return the grids and rounded constants of a Q/DQ file whose multiplying nodes have the float model's names."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    activations = {
        node.input[0].removesuffix(_OUTPUT_SUFFIX): Grid(arrays[node.input[1]].astype(np.float32), arrays[node.input[2]])
        for node in quantized.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in arrays
    }
    rounded = {
        node.output[0]: _dequantize(node, arrays)
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


def quantize_one_layer(model: onnx.ModelProto, rounding: Rounding, layer: str, tensors: Collection[str]) -> onnx.ModelProto:
    """Return a copy of the float model in which only this layer's constants and these tensors are rounded.

    ``tensors``: activations that the layer reads and makes; those that the file does not round stay unchanged.
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
        _insert_rounding(made.graph, tensor, rounding.activations[tensor], is_input=tensor in inputs)
    return made


def _dequantize(node: onnx.NodeProto, arrays: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.float32]:
    """Return (integers − zero-point) × scale, along the node's axis: ONNX's DequantizeLinear."""
    integers, scale = arrays[node.input[0]].astype(np.int64), arrays[node.input[1]].astype(np.float32)
    zero_point = arrays[node.input[2]].astype(np.int64) if len(node.input) > 2 else np.zeros_like(scale, np.int64)
    if scale.ndim:
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1) % integers.ndim
        along = [-1 if place == axis else 1 for place in range(integers.ndim)]
        scale, zero_point = scale.reshape(along), zero_point.reshape(along)
    return ((integers - zero_point) * scale).astype(np.float32)


def _insert_rounding(graph: onnx.GraphProto, tensor: str, grid: Grid, *, is_input: bool) -> None:
    """Insert Q and DQ for all readers of a tensor; an output of the graph keeps its name."""
    exact, rounded = (tensor, f"{tensor}/rounded") if is_input else (f"{tensor}/exact", tensor)
    if is_input:
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


Ranges = dict[str, tuple[float, float]]
"""Tensor to the smallest and the largest number that its integers represent."""
_NO_ACTIVATION_FOLLOWS = frozenset(
    {"Relu", "Clip", "Sigmoid", "HardSigmoid", "Softmax", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean"}
    | {"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Resize", "Pad"}
)
"""Operators whose range starts at zero, because their input's does or because they enforce it."""
_SIX = 6.0
"""Upper bound of ReLU6."""


def remove_rounding(model: onnx.ModelProto) -> Ranges:
    """Turn a Q/DQ network into a float one in place, and return the ranges of its activations.

    Weights and biases become the floats that their integers represent. ``absorb_clamps`` removed activations that
    equal the limits of a range. If a range starts at zero, a ReLU is restored, or a ReLU6 if it ends at six. Other limits apply
    only in integers.

    ``model``: scales and zero points are initializers; a DequantizeLinear reads a constant or the output of a QuantizeLinear.
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
            graph.initializer.append(numpy_helper.from_array(_dequantize(node, arrays), output))
            continue
        quantizer = makers[node.input[0]]
        source = quantizer.input[0]
        ranges[source] = ranges[output] = _represented_range(quantizer, arrays)[:2]
        maker, (low, high) = makers.get(source), ranges[source]
        if low == 0 and maker is not None and maker.op_type not in _NO_ACTIVATION_FOLLOWS:
            nodes.append(_restored_activation(graph, source, output, is_six=abs(high - _SIX) <= high / np.iinfo(np.uint8).max))
        elif output in ends:
            nodes.append(helper.make_node("Identity", [source], [output], name=f"{output}_end"))
        else:
            replaced[output] = source
    _refill(graph.node, nodes)
    _drop_unread(graph)
    return ranges


def _restored_activation(graph: onnx.GraphProto, source: str, output: str, *, is_six: bool) -> onnx.NodeProto:
    if not is_six:
        return helper.make_node("Relu", [source], [output], name=f"{output}_relu")
    bounds = [f"{output}_low", f"{output}_high"]
    graph.initializer.extend(
        numpy_helper.from_array(np.array(end, np.float32), name) for end, name in zip((0, _SIX), bounds, strict=True)
    )
    return helper.make_node("Clip", [source, *bounds], [output], name=f"{output}_relu6")


_SEPARATE: Final[Mapping[str, tuple[int, ...]]] = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (0, 1, 2),
    "MatMul": (0, 1),
    "BatchNormalization": (2,),
    "InstanceNormalization": (2,),
    "LayerNormalization": (2,),
    "DequantizeLinear": (0, 2),
    "QLinearConv": (3, 5),
    "QLinearMatMul": (0, 2, 3, 5),
    "QGemm": (0, 2, 3, 5),
}
"""Inputs of an operator that no other node may read: weights, biases, integers and zero points, by their index in the standard.

ONNX Runtime's quantizer chooses the axis of a weight's scales for its first reader, which may be wrong for the next. It names the
copies of a bias like other tensors. With ``session.x64quantprecision``, ONNX Runtime converts a weight and its zero point once
for each reader, and stops at the second."""


def unshare_constants(graph: onnx.GraphProto) -> int:
    """Give each layer separate weights, biases and zero points, in place under unused names; return how many were copied."""
    _unshare_dequantizers(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*constants, *(name for node in graph.node for name in (*node.input, *node.output))}
    readers = Counter(name for node in messages_in(graph, onnx.NodeProto) for name in node.input)
    readers.update(value.name for value in graph.output)
    copied = 0
    for node in graph.node:
        for place in _SEPARATE.get(node.op_type, ()):
            name = node.input[place] if place < len(node.input) else ""
            if name not in constants or readers[name] == 1:
                continue
            readers[name] -= 1
            own = onnx.TensorProto()
            own.CopyFrom(constants[name])
            own.name = _unused_name(f"{name}_of_{node.name or node.output[0]}", taken)
            graph.initializer.append(own)
            node.input[place] = own.name
            copied += 1
    return copied


def _unshare_dequantizers(graph: onnx.GraphProto) -> None:
    """Give each layer a separate DequantizeLinear of its constant."""
    constants = {tensor.name for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in constants}
    readers = Counter(name for node in messages_in(graph, onnx.NodeProto) for name in node.input)
    readers.update(value.name for value in graph.output)
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        for place in _SEPARATE.get(node.op_type, ()):
            name = node.input[place] if place < len(node.input) else ""
            if name not in makers or readers[name] == 1:
                continue
            readers[name] -= 1
            own = onnx.NodeProto()
            own.CopyFrom(makers[name])
            own.output[0] = node.input[place] = _unused_name(f"{name}_of_{node.name or node.output[0]}", taken)
            own.name = own.output[0]
            nodes.append(own)
        nodes.append(node)
    if len(nodes) > len(graph.node):
        _refill(graph.node, nodes)


def _unused_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
