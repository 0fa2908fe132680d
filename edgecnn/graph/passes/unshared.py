"""Gives each layer a bias of its own where several share one, as every group normalization of an export shares its zeros.

INT8 gives a bias its layer's scale, so that ONNX Runtime's quantizer copies a shared one, and calls the copies by the name with a
number behind it: ``val_17`` became ``val_178``, which another tensor was called already, and PoolFormer lost a branch to a zero.
"""

from __future__ import annotations

import onnx

_WITH_BIAS = ("Conv", "ConvTranspose", "Gemm", "BatchNormalization", "InstanceNormalization", "LayerNormalization")
_PLACE = 2
"""Of the bias among the inputs of all of these, in ONNX's standard."""


def unshare_biases(graph: onnx.GraphProto) -> int:
    """Copy shared biases in place, under names that nothing has; how many were copied."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*constants, *(name for node in graph.node for name in (*node.input, *node.output))}
    seen, copied = set[str](), 0
    for node in graph.node:
        if node.op_type not in _WITH_BIAS or len(node.input) <= _PLACE or (name := node.input[_PLACE]) not in constants:
            continue
        if name in seen:
            own = onnx.TensorProto()
            own.CopyFrom(constants[name])
            own.name = _free(f"{name}_of_{node.name}", taken)
            graph.initializer.append(own)
            node.input[_PLACE] = own.name
            copied += 1
        seen.add(name)
    return copied


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
