"""Gives each layer a constant of its own where several share one and a runtime would mix up its copies.

INT8 gives a bias its layer's scale, so that ONNX Runtime's quantizer copies a shared one, and calls the copies by the name with a
number behind it: ``val_17`` became ``val_178``, which another tensor was called already, and PoolFormer lost a branch to a zero.
With exact products ONNX Runtime 1.31 rewrites the zero point of each int8 weight, and fails where two weights share one, as
Brevitas and other quantizers write them ("Attempt to replace the existing tensor").
"""

from __future__ import annotations

from collections.abc import Callable

import onnx

_WITH_BIAS = ("Conv", "ConvTranspose", "Gemm", "BatchNormalization", "InstanceNormalization", "LayerNormalization")
_PLACE = 2
"""Of the bias among the inputs of all of these, and of a zero point, in ONNX's standard."""


def unshare_biases(graph: onnx.GraphProto) -> int:
    """Copy shared biases in place, under names that nothing has; how many were copied."""
    return _unshare(graph, lambda node: node.op_type in _WITH_BIAS)


def unshare_zero_points(graph: onnx.GraphProto) -> int:
    """The same of the zero points by which numbers become floats again."""
    return _unshare(graph, lambda node: node.op_type == "DequantizeLinear")


def _unshare(graph: onnx.GraphProto, concerns: Callable[[onnx.NodeProto], bool]) -> int:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*constants, *(name for node in graph.node for name in (*node.input, *node.output))}
    used, copied = set[str](), 0
    for node in graph.node:
        if not concerns(node) or len(node.input) <= _PLACE or (name := node.input[_PLACE]) not in constants:
            continue
        if name in used:
            own = onnx.TensorProto()
            own.CopyFrom(constants[name])
            own.name = _free(f"{name}_of_{node.name or node.output[0]}", taken)
            graph.initializer.append(own)
            node.input[_PLACE] = own.name
            copied += 1
        used.add(name)
    return copied


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
