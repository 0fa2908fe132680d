"""Folds batch norms into the convolutions before them, as exporters of today do: left alone they stay in float amid INT8.

y = g · (w∗x + b − m) / √(v + ε) + s, so that w' = w · g / √(v + ε) and b' = (b − m) · g / √(v + ε) + s
(Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]


def fold_batch_norms(graph: onnx.GraphProto) -> int:
    """Fold what can be folded, in place; how many were."""
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    held = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    folded = []
    for norm in graph.node:
        conv = makers.get(norm.input[0]) if norm.op_type == "BatchNormalization" else None
        if conv is None or conv.op_type != "Conv" or readers[conv.output[0]] != 1:
            continue
        constants = [*conv.input[1:], *norm.input[1:]]
        if not all(name in held for name in constants) or any(readers[name] != 1 for name in conv.input[1:]):
            continue
        _fold(graph, conv, norm, {name: numpy_helper.to_array(held[name]) for name in constants})
        folded.append(norm)
    for norm in folded:
        graph.node.remove(norm)
    return len(folded)


def _fold(graph: onnx.GraphProto, conv: onnx.NodeProto, norm: onnx.NodeProto, held: dict[str, Array]) -> None:
    weights = held[conv.input[1]]
    bias = held[conv.input[2]].astype(np.float64) if len(conv.input) > 2 else np.zeros(len(weights))
    scale, shift, mean, variance = (held[name].astype(np.float64) for name in norm.input[1:5])
    epsilon = next((helper.get_attribute_value(each) for each in norm.attribute if each.name == "epsilon"), 1e-5)
    factor = scale / np.sqrt(variance + epsilon)
    new = (weights * factor.reshape(-1, *[1] * (weights.ndim - 1))).astype(weights.dtype)
    new_bias = ((bias - mean) * factor + shift).astype(weights.dtype)
    name = f"{conv.output[0]}_bias_folded"
    next(each for each in graph.initializer if each.name == conv.input[1]).CopyFrom(numpy_helper.from_array(new, conv.input[1]))
    graph.initializer.append(numpy_helper.from_array(new_bias, name))
    inputs = [conv.input[0], conv.input[1], name]
    del conv.input[:]
    conv.input.extend(inputs)
    conv.output[0] = norm.output[0]
