"""Which nodes of a trunk stay in float in every runtime: layers that a candidate keeps, and what eight bits cannot hold."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from edgecnn.graph.attention import WEIGHTED, attention_nodes
from edgecnn.graph.macs import float_with
from edgecnn.graph.ranges import infinite_by_constants
from edgecnn.values.layers import RankedLayer

_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


def float_nodes(trunk: onnx.ModelProto, kept: Sequence[RankedLayer]) -> list[str]:
    """Names of the nodes that a quantizer leaves alone, in no particular order.

    These are the kept layers and what goes with them, attention, a preprocessing inside the file, and layers that make an
    infinity from a constant's, which has no range.
    """
    with_kept = float_with(trunk, [layer.name for layer in kept]) if kept else []
    infinite = infinite_by_constants(trunk.graph)
    masks = [node.name for node in trunk.graph.node if infinite.intersection(node.output)]
    return list(dict.fromkeys((*with_kept, *masks, *attention_nodes(trunk), *preprocessing_in(trunk.graph))))


def preprocessing_in(graph: onnx.GraphProto) -> list[str]:
    """Names of the additions and products before the first layer, such as a scaler's.

    Their constants may be one for each pixel, and far apart: with one scale for all of them the small ones would become 0.
    """
    before, found = {graph.input[0].name, *(tensor.name for tensor in graph.initializer)}, []
    for node in graph.node:
        if node.op_type not in WEIGHTED and before.issuperset(node.input):
            before.update(node.output)
            found += [node.name] if node.op_type in _ARITHMETIC else []
    return found
