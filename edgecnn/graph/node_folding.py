"""Fold nodes into their neighbours: batch norms into the convolution before, padding into the max-pooling after.

Unfolded batch norms would stay in float in an INT8 graph: y = g · (w∗x + b − m) / √(v + ε) + s, so w' = w · g / √(v + ε) and b'
= (b − m) · g / √(v + ε) + s (Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1). Networks with TensorFlow's
"same" padding (NASNet) are exported with a Pad of -infinity, which INT8 cannot represent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edgecnn.graph.onnx_file import constants_of, messages_in

Array = npt.NDArray[Any]


def fold_batch_norms(graph: onnx.GraphProto) -> int:
    """Fold batch norms in place, and return how many."""
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    folded = []
    for norm in graph.node:
        conv = makers.get(norm.input[0]) if norm.op_type == "BatchNormalization" else None
        if conv is None or conv.op_type != "Conv" or readers[conv.output[0]] != 1:
            continue
        names = [*conv.input[1:], *norm.input[1:]]
        if not all(name in constants for name in names) or any(readers[name] != 1 for name in conv.input[1:]):
            continue
        _fold_norm(graph, conv, norm, {name: numpy_helper.to_array(constants[name]) for name in names})
        folded.append(norm)
    for norm in folded:
        graph.node.remove(norm)
    return len(folded)


def _fold_norm(graph: onnx.GraphProto, conv: onnx.NodeProto, norm: onnx.NodeProto, constants: dict[str, Array]) -> None:
    weights = constants[conv.input[1]]
    bias = constants[conv.input[2]].astype(np.float64) if len(conv.input) > 2 else np.zeros(len(weights))
    scale, shift, mean, variance = (constants[name].astype(np.float64) for name in norm.input[1:5])
    epsilon = next((helper.get_attribute_value(attribute) for attribute in norm.attribute if attribute.name == "epsilon"), 1e-5)
    factor = scale / np.sqrt(variance + epsilon)
    new = (weights * factor.reshape(-1, *[1] * (weights.ndim - 1))).astype(weights.dtype)
    new_bias = ((bias - mean) * factor + shift).astype(weights.dtype)
    name = f"{conv.output[0]}_bias_folded"
    stored = next(tensor for tensor in graph.initializer if tensor.name == conv.input[1])
    stored.CopyFrom(numpy_helper.from_array(new, conv.input[1]))
    graph.initializer.append(numpy_helper.from_array(new_bias, name))
    inputs = [conv.input[0], conv.input[1], name]
    del conv.input[:]
    conv.input.extend(inputs)
    conv.output[0] = norm.output[0]


Constants = Mapping[str, onnx.TensorProto]
_LOWEST = float(np.finfo(np.float32).min)
"""Value that some exporters write for -infinity."""


def fold_pooled_padding(graph: onnx.GraphProto) -> int:
    """Fold padding in place, and return the number of changed poolings."""
    constants = constants_of(graph)
    padded = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    pools = [node for node in graph.node if node.op_type == "MaxPool" and node.input[0] in padded]
    folded = sum(_fold_padding(pool, padded[pool.input[0]], constants) for pool in pools)
    if folded:
        _remove_unread(graph, list(padded.values()))
    return folded


def _remove_unread(graph: onnx.GraphProto, pads: Sequence[onnx.NodeProto]) -> None:
    read = _names_read(graph)
    unread = [pad for pad in pads if pad.output[0] not in read]
    amounts = {name for pad in unread for name in pad.input[1:]}
    for pad in unread:
        graph.node.remove(pad)
    amounts -= _names_read(graph)
    for left in [tensor for tensor in graph.initializer if tensor.name in amounts]:
        graph.initializer.remove(left)


def _names_read(graph: onnx.GraphProto) -> set[str]:
    """Return the names that a graph reads, including its branches and loops."""
    read = {name for node in messages_in(graph, onnx.NodeProto) for name in node.input}
    return read | {value.name for part in (graph, *messages_in(graph, onnx.GraphProto)) for value in part.output}


def _fold_padding(pool: onnx.NodeProto, pad: onnx.NodeProto, constants: Constants) -> bool:
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in pool.attribute}
    kernel = attributes["kernel_shape"]
    own = attributes.get("pads") or [0] * 2 * len(kernel)
    added = _lowest_padding(pad, constants, len(kernel))
    plain = attributes.get("auto_pad", b"NOTSET") == b"NOTSET" and not attributes.get("ceil_mode", 0) and len(pool.output) == 1
    if added is None or not plain:
        return False
    both = [int(a + b) for a, b in zip(own, added, strict=True)]
    if any(side >= size for side, size in zip(both, [*kernel, *kernel], strict=True)):
        return False  # a window of padding alone, which no runtime accepts
    del pool.attribute[:]
    pool.attribute.extend(helper.make_attribute(name, value) for name, value in (attributes | {"pads": both}).items())
    pool.input[0] = pad.input[0]
    return True


def _lowest_padding(pad: onnx.NodeProto, constants: Constants, spatial: int) -> Sequence[int] | None:
    """Return the padding of each spatial axis in MaxPool's form; None for other axes and other values."""
    mode = next((helper.get_attribute_value(attribute) for attribute in pad.attribute if attribute.name == "mode"), b"constant")
    names = [name for name in pad.input[1:] if name]
    if mode != b"constant" or len(names) < 2 or any(name not in constants for name in names):
        return None
    amounts, value, *named = (numpy_helper.to_array(constants[name]) for name in names)
    if float(value.reshape(-1)[0]) > _LOWEST:
        return None
    before, behind = np.zeros(spatial + 2, int), np.zeros(spatial + 2, int)
    axes = named[0] if named else np.arange(spatial + 2)
    before[axes], behind[axes] = np.split(amounts, 2)
    if before[:2].any() or behind[:2].any() or (amounts < 0).any():
        return None
    return [*before[2:].tolist(), *behind[2:].tolist()]
