"""Which tensors belong to a multiplying layer, and which nodes around it must stay in float for the layer to be in float.

A quantizer stands on a tensor and not on a layer: where a convolution is left in float but the addition behind it is not, the
convolution's output is rounded all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx

from edgecnn.graph.macs import mac_table


def tensors_of_layers(model: onnx.ModelProto) -> dict[str, frozenset[str]]:
    """Multiplying node to the activations that it reads and makes, in graph order; weights are not among them.

    What it makes goes on through activations that a runtime may fuse: quantizers stand behind those.

    Raises:
        MacsUnknown: see ``mac_table``.
    """
    constant = {tensor.name for tensor in model.graph.initializer}
    constant |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    made = {layer.name: layer.outputs for layer in mac_table(model).layers}
    return {
        node.name: frozenset(name for name in (*node.input, *made[node.name]) if name and name not in constant)
        for node in model.graph.node
        if node.name in made
    }


def float_with(model: onnx.ModelProto, kept: Collection[str]) -> list[str]:
    """Names of the nodes to leave in float for these layers' sake, in graph order, the layers themselves included.

    A tensor that a layer outside ``kept`` reads or makes is quantized for that one in any case, so that nothing would be gained
    from leaving its other neighbours in float.

    Args:
        model: a float model with unique node names.
        kept: names of multiplying nodes.
    """
    tensors = tensors_of_layers(model)
    freed = _all_of(tensors, kept) - _all_of(tensors, [name for name in tensors if name not in kept])
    return [
        node.name
        for node in model.graph.node
        if node.name in kept or (node.name not in tensors and freed.intersection((*node.input, *node.output)))
    ]


def _all_of(tensors: Mapping[str, frozenset[str]], layers: Collection[str]) -> frozenset[str]:
    return frozenset[str]().union(*(tensors[name] for name in layers))
