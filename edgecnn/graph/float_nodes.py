"""Nodes that stay in float in every runtime: attention, layers that a candidate keeps, and values that eight bits cannot

represent.

Attention consists of products of two activations, and everything between them and the nearest layers with weights. Linear
attention exceeds eight bits, because sums over all positions are thousands of times larger than their divisors.
EfficientViT-B0, trained on the demo, classified 32.1 % of 1,000 images correctly in ONNX Runtime's INT8, 68.8 % in fp32, and
69.4 % with these nodes in float, at the same latency. MobileViT-XXS, whose attention has a softmax, lost no accuracy either
way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx

from edgecnn.graph.macs import tensors_of_layers
from edgecnn.graph.ranges import infinite_by_constants
from edgecnn.values.layers import RankedLayer

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def attention_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the names of attention's nodes in graph order; none if no two activations are multiplied as matrices.

    A sum with an activation that is not made from the products ends attention, because a residual stream spans the whole network.

    ``model``: a float model with unique node names.
    """
    return _Flow(model.graph).attention()


def attention_products(model: onnx.ModelProto) -> list[str]:
    """Return the names of attention's matrix products."""
    flow = _Flow(model.graph)
    return [node.name for node in flow.nodes if flow.is_product(node)]


class _Flow:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes = list(graph.node)
        self._constant = {tensor.name for tensor in graph.initializer}
        self._maker: dict[str, onnx.NodeProto] = {}
        for node in self.nodes:
            if all(name in self._constant for name in node.input):  # nodes that only reshape, or hold constants
                self._constant.update(node.output)
            self._maker |= dict.fromkeys(node.output, node)

    def _activations(self, node: onnx.NodeProto) -> list[str]:
        return [name for name in node.input if name and name not in self._constant]

    def is_product(self, node: onnx.NodeProto) -> bool:
        return node.op_type == "MatMul" and self._constant.isdisjoint(node.input)

    def _is_layer(self, node: onnx.NodeProto) -> bool:
        return node.op_type in WEIGHTED and not self.is_product(node)

    def attention(self) -> list[str]:
        products = [node for node in self.nodes if self.is_product(node)]
        inside = {node.name for node in products}
        pending = list(products)
        while pending:  # add the nodes that the products are made from
            for name in self._activations(pending.pop()):
                maker = self._maker.get(name)
                if maker is None or maker.name in inside or self._is_layer(maker):
                    continue
                if maker.op_type in ("Add", "Sub") and len(self._activations(maker)) > 1:
                    continue  # a residual stream
                inside.add(maker.name)
                pending.append(maker)
        made = {name for node in products for name in node.output}
        for node in self.nodes:  # and the nodes made from them, in graph order
            activations = self._activations(node)
            if activations and made.issuperset(activations) and not self._is_layer(node):
                inside.add(node.name)
                made.update(node.output)
        return [node.name for node in self.nodes if node.name in inside]


_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


def float_nodes(trunk: onnx.ModelProto, kept: Sequence[RankedLayer]) -> list[str]:
    """Return the names of the nodes that a quantizer does not touch, in no particular order.

    These are the kept layers and their neighbours, attention, preprocessing inside the file, and layers in which a constant
    causes an infinity, which has no range.
    """
    with_kept = float_with(trunk, [layer.name for layer in kept]) if kept else []
    infinite = infinite_by_constants(trunk.graph)
    masks = [node.name for node in trunk.graph.node if infinite.intersection(node.output)]
    return list(dict.fromkeys((*with_kept, *masks, *attention_nodes(trunk), *preprocessing_in(trunk.graph))))


def float_with(model: onnx.ModelProto, kept: Collection[str]) -> list[str]:
    """Return the names of the nodes to keep in float for these layers, in graph order, including the layers themselves.

    A quantizer applies to a tensor, not to a layer. If a convolution stays in float but the addition after it does not, the
    convolution's output is rounded anyway.

    A tensor that a layer outside ``kept`` reads or makes is quantized anyway, so its other neighbours are not kept in float.

    ``model``: a float model with unique node names.
    """
    tensors = tensors_of_layers(model)
    in_float = {name for layer in kept for name in tensors[layer]}
    quantized = {name for layer in tensors.keys() - set(kept) for name in tensors[layer]}
    freed = in_float - quantized
    return [
        node.name
        for node in model.graph.node
        if node.name in kept or (node.name not in tensors and freed.intersection((*node.input, *node.output)))
    ]


def preprocessing_in(graph: onnx.GraphProto) -> list[str]:
    """Return the names of additions and products before the first layer, such as a scaler's.

    Their constants may differ widely between pixels. With one scale for all, the small ones would become 0.
    """
    before, preprocessing = {graph.input[0].name, *(tensor.name for tensor in graph.initializer)}, []
    for node in graph.node:
        if node.op_type not in WEIGHTED and before.issuperset(node.input):
            before.update(node.output)
            preprocessing += [node.name] if node.op_type in _ARITHMETIC else []
    return preprocessing
