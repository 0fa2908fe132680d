"""Lets a max-pooling pad its own input where a Pad node of -infinity does it before.

Networks with TensorFlow's "same" padding are exported so (NASNet). The numbers are the same, but INT8 has none for -infinity, at
which the range of the padded map begins that calibration asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgecnn.graph.document import constants_of, subgraphs

Held = Mapping[str, onnx.TensorProto]
_LOWEST = float(np.finfo(np.float32).min)
"""What some exporters write for -infinity."""


def fold_pooled_padding(graph: onnx.GraphProto) -> int:
    """Fold what can be folded, in place; of how many poolings."""
    held = constants_of(graph)
    padded = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    pools = [node for node in graph.node if node.op_type == "MaxPool" and node.input[0] in padded]
    folded = sum(_folded(pool, padded[pool.input[0]], held) for pool in pools)
    if folded:
        _remove_unread(graph, list(padded.values()))
    return folded


def _remove_unread(graph: onnx.GraphProto, pads: Sequence[onnx.NodeProto]) -> None:
    read = _read(graph)
    unread = [pad for pad in pads if pad.output[0] not in read]
    amounts = {name for pad in unread for name in pad.input[1:]}
    for pad in unread:
        graph.node.remove(pad)
    amounts -= _read(graph)
    for left in [tensor for tensor in graph.initializer if tensor.name in amounts]:
        graph.initializer.remove(left)


def _read(graph: onnx.GraphProto) -> set[str]:
    """Names that anything in it reads, branches and loops inside it too."""
    inner = (_read(each) for each in subgraphs(graph.node))
    return {name for node in graph.node for name in node.input}.union({value.name for value in graph.output}, *inner)


def _folded(pool: onnx.NodeProto, pad: onnx.NodeProto, held: Held) -> bool:
    attributes = {each.name: helper.get_attribute_value(each) for each in pool.attribute}
    kernel = attributes["kernel_shape"]
    own = attributes.get("pads") or [0] * 2 * len(kernel)
    added = _of_lowest(pad, held, len(kernel))
    plain = attributes.get("auto_pad", b"NOTSET") == b"NOTSET" and not attributes.get("ceil_mode", 0) and len(pool.output) == 1
    if added is None or not plain:
        return False
    both = [int(a + b) for a, b in zip(own, added, strict=True)]
    if any(side >= size for side, size in zip(both, [*kernel, *kernel], strict=True)):
        return False  # a window of padding alone, which no runtime takes
    del pool.attribute[:]
    pool.attribute.extend(helper.make_attribute(name, value) for name, value in (attributes | {"pads": both}).items())
    pool.input[0] = pad.input[0]
    return True


def _of_lowest(pad: onnx.NodeProto, held: Held, spatial: int) -> Sequence[int] | None:
    """What it adds before and behind each spatial axis, as MaxPool has it; None of other axes and other values."""
    mode = next((helper.get_attribute_value(each) for each in pad.attribute if each.name == "mode"), b"constant")
    names = [name for name in pad.input[1:] if name]
    if mode != b"constant" or len(names) < 2 or any(name not in held for name in names):
        return None
    amounts, value, *named = (numpy_helper.to_array(held[name]) for name in names)
    if float(value.reshape(-1)[0]) > _LOWEST:
        return None
    before, behind = np.zeros(spatial + 2, int), np.zeros(spatial + 2, int)
    axes = named[0] if named else np.arange(spatial + 2)
    before[axes], behind[axes] = np.split(amounts, 2)
    if before[:2].any() or behind[:2].any() or (amounts < 0).any():
        return None
    return [*before[2:].tolist(), *behind[2:].tolist()]
