"""Operators that compare numbers, select by the result, or change a value's type."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

from edgecnn.runtimes.litert_writer.arithmetic import compact
from edgecnn.runtimes.litert_writer.axes import largest_order, widen
from edgecnn.runtimes.litert_writer.conversion import Conversion, Node, NoForm
from edgecnn.runtimes.litert_writer.registry import rule

_COMPARED: Final = {
    "Greater": ("GREATER", "GreaterOptions"), "GreaterOrEqual": ("GREATER_EQUAL", "GreaterEqualOptions"),
    "Less": ("LESS", "LessOptions"), "LessOrEqual": ("LESS_EQUAL", "LessEqualOptions"), "Equal": ("EQUAL", "EqualOptions"),
    "And": ("LOGICAL_AND", "LogicalAndOptions"), "Or": ("LOGICAL_OR", "LogicalOrOptions"),
    "Not": ("LOGICAL_NOT", "LogicalNotOptions"), "Where": ("SELECT_V2", "SelectV2Options"),
}  # fmt: skip


def _compared(operator: str, table: str, conversion: Conversion, node: Node) -> None:
    """Write an operator of broadcast values. Where returns the type of its values, the others return booleans."""
    rank = len(conversion.shape(node.outputs[0]))
    names = [widen(conversion, name, rank) for name in node.inputs]
    order = largest_order(conversion, names)
    values = [compact(conversion, name, order) for name in names]
    kind = conversion.network.kind(values[1]) if node.op == "Where" else schema.TensorType.BOOL
    conversion.network.add(operator, values, [conversion.made(node.outputs[0], order, kind)], table)


for _name, (_operator, _table) in _COMPARED.items():
    rule(_name, held=_operator)(partial(_compared, _operator, _table))


@rule("Cast", "CastLike", held="CAST", limits="to floating-point numbers")
def _cast(conversion: Conversion, node: Node) -> None:
    """Write a cast. All floating-point types become LiteRT's float32."""
    name, made = node.inputs[0], node.outputs[0]
    target = _target(conversion, node)
    if name in conversion.constants:
        conversion.constants[made] = conversion.constants[name].astype(target)
        return
    if target.kind != "f":
        raise NoForm("casts to integers and booleans are not supported")
    for order, tensor in dict(conversion.stored(name)).items():
        if conversion.network.kind(tensor) == schema.TensorType.FLOAT32:
            conversion.store(made, tensor, order)
        else:
            conversion.network.add("CAST", [tensor], [conversion.made(made, order)], "CastOptions")
            return


def _target(conversion: Conversion, node: Node) -> np.dtype[Any]:
    """Return the target type of a cast: its attribute, or the type of the second input."""
    if node.op == "Cast":
        target = node.attributes["to"]
        return helper.tensor_dtype_to_np_dtype(target) if target != TensorProto.BFLOAT16 else np.dtype(np.float32)
    like = node.inputs[1]
    if like in conversion.constants:
        return conversion.constants[like].dtype
    (kind, *_) = (conversion.network.kind(tensor) for tensor in conversion.stored(like).values())
    return np.dtype(np.bool_ if kind == schema.TensorType.BOOL else np.float32 if kind == schema.TensorType.FLOAT32 else np.int32)
