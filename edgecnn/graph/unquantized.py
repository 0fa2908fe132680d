"""Whether a graph holds quantization nodes already, and in which form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import onnx

from edgecnn.errors.quantization import AlreadyQuantized

QUANTIZED_OPS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_DYNAMIC = ("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul")
_INTEGER_KERNELS = ("QLinear", "QGemm", "QAttention")
CONTRIBUTED = "com.microsoft"
"""The domain of the integer kernels that ONNX Runtime adds to ONNX's own."""


def require_unquantized(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a model that holds quantization nodes.

    Raises:
        AlreadyQuantized: naming the first such node.
    """
    for node in model.graph.node:
        if node.op_type in QUANTIZED_OPS or node.op_type.startswith("QLinear"):
            raise AlreadyQuantized(path=path, node=node.name or node.output[0], op=node.op_type)


def quantized_form(model: onnx.ModelProto) -> Literal["Q/DQ", "QOperator", "dynamic"] | None:
    """How it was quantized: float operators between quantizing ones, integer operators, or ranges found anew for each image."""
    ops = {node.op_type for node in model.graph.node}
    if any(op.startswith(_INTEGER_KERNELS) for op in ops):
        return "QOperator"
    if ops & set(_DYNAMIC):
        return "dynamic"
    return "Q/DQ" if ops & {"QuantizeLinear", "DequantizeLinear"} else None
