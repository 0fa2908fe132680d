"""Leaves out each ReLU or Clip before a QuantizeLinear that clamps to the same range: between a convolution and its rounding such
a node would keep ONNX Runtime from computing the convolution in integers, and it changes no number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper


def absorb_clamps(model: onnx.ModelProto) -> int:
    """Remove them in place; returns how many.

    Args:
        model: bounds, scales and zero points are initializers.
    """
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
