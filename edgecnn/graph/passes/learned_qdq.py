"""Makes a learned Q/DQ file one that ONNX Runtime computes in integers.

Biases become integers at the scale of the sums, and a ReLU or Clip goes where the
QuantizeLinear behind it clamps to the same range.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

_LARGEST = 2**31 - 1
_WITH_BIAS = ("Conv", "Gemm")


def quantize_biases(model: onnx.ModelProto) -> int:
    """Replace float biases by int32 ones, in place, where image and weights come from DequantizeLinear; returns how many.

    The step of a bias is the product of the two scales, as in ONNX Runtime's own quantizer. Where a bias would not fit into 32
    bits, which happens to channels whose weights are all but zero, the weights' scale of that channel is enlarged.

    ``model``: scales and weights are initializers; weights are quantized along their first axis, or as a whole.
    """
    graph = model.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    nodes: list[onnx.NodeProto] = []
    changed: dict[str, npt.NDArray[Any]] = {}
    for node in graph.node:
        image, weights = (makers.get(name) for name in (*node.input[:2], "", "")[:2])
        wanted = node.op_type in _WITH_BIAS and len(node.input) == 3 and node.input[2] in arrays
        if wanted and image is not None and weights is not None:
            nodes.append(_dequantized_bias(node, (image, weights), arrays, changed))
        nodes.append(node)
    made = len(nodes) - len(graph.node)
    kept = [tensor for tensor in graph.initializer if tensor.name not in changed]
    fresh = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in changed.items()]
    _refill(graph.initializer, [*kept, *fresh])
    _refill(graph.node, nodes)
    _drop_unread(graph)
    return made


def _dequantized_bias(
    node: onnx.NodeProto,
    before: tuple[onnx.NodeProto, onnx.NodeProto],
    arrays: Mapping[str, npt.NDArray[Any]],
    changed: dict[str, npt.NDArray[Any]],
) -> onnx.NodeProto:
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
    """Remove them in place; returns how many. ``model``: bounds, scales and zero points are initializers."""
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
        least, largest, step = _represented(quantizer, arrays)
        # Beyond a bound by less than half a step, the rounding ends on the same integer.
        if bounds[0] - step / 2 < least and largest < bounds[1] + step / 2:
            quantizer.input[0] = node.input[0]
            absorbed.append(node)
    for node in absorbed:
        graph.node.remove(node)
    return len(absorbed)


def _bounds(node: onnx.NodeProto, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[float, float] | None:
    """What the node clamps to; None where it is no clamp, or its bounds are not known."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type != "Clip":
        return None
    given = [*node.input[1:], "", ""][:2]
    if any(name and name not in arrays for name in given):
        return None
    low, high = (float(arrays[name]) if name else default for name, default in zip(given, (-math.inf, math.inf), strict=True))
    return low, high


def _represented(quantizer: onnx.NodeProto, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[float, float, float]:
    """The smallest and the largest number that a QuantizeLinear keeps, and its step; no number where they are not known."""
    scale, zero = (arrays.get(name) for name in quantizer.input[1:3])
    if scale is None or zero is None:
        return math.nan, math.nan, math.nan
    limits = np.iinfo(zero.dtype)
    step, point = float(scale), int(zero)
    return (limits.min - point) * step, (limits.max - point) * step, step
