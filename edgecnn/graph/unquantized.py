"""Whether a graph holds quantization nodes already."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgecnn.errors.quantization import AlreadyQuantized

QUANTIZED_OPS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")


def require_unquantized(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a model that holds quantization nodes.

    Raises:
        AlreadyQuantized: naming the first such node.
    """
    for node in model.graph.node:
        if node.op_type in QUANTIZED_OPS or node.op_type.startswith("QLinear"):
            raise AlreadyQuantized(path=path, node=node.name or node.output[0], op=node.op_type)
