"""Element-wise operators: arithmetic, activations, comparisons, selection, and changes of type."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

from edgecnn.runtimes.litert_writer.axes import largest_order, widen
from edgecnn.runtimes.litert_writer.conversion import BINARY, RULES, Conversion, Node, NoForm, Order, Steps, rule

_UNARY: Final = {
    "Relu": ("RELU", ""), "Sigmoid": ("LOGISTIC", ""), "Tanh": ("TANH", ""),
    "Exp": ("EXP", "ExpOptions"), "Log": ("LOG", ""), "Sqrt": ("SQRT", ""), "Neg": ("NEG", "NegOptions"),
    "Abs": ("ABS", "AbsOptions"), "Floor": ("FLOOR", ""), "Ceil": ("CEIL", ""), "Sin": ("SIN", ""), "Cos": ("COS", "CosOptions"),
    "Round": ("ROUND", ""), "Sign": ("SIGN", ""),
}  # fmt: skip
_RELU6: Final = 3
"""``ActivationFunctionType.RELU6``."""
_CLIPS: Final = {(0.0, 6.0): "RELU6", (0.0, 1.0): "RELU_0_TO_1", (0.0, np.inf): "RELU", (-1.0, 1.0): "RELU_N1_TO_1"}
_FUSING: Final = ("Add", "Sub", "Mul", "Div")


def _unary(operator: str, table: str, conversion: Conversion, node: Node) -> None:
    steps = Steps.begin(conversion, node)
    steps.unary(operator, steps.input(), steps.output(), table)


for _name, (_operator, _table) in _UNARY.items():
    rule(_name, writes=_operator)(partial(_unary, _operator, _table))
rule("HardSwish", writes="HARD_SWISH", in_int8="ADD, MUL, MUL")(partial(_unary, "HARD_SWISH", "HardSwishOptions"))


def _binary(operator: str, table: str, fuses: bool, conversion: Conversion, node: Node) -> None:
    """Write an operator of two values, or of more if ONNX allows them, broadcast to the rank of the result."""
    rank = len(conversion.shape(node.outputs[0]))
    names = [widen(conversion, name, rank) for name in node.inputs]
    order = largest_order(conversion, names)
    values = [compact(conversion, name, order) for name in names]
    while len(values) > 2:
        shapes = [conversion.network.shape(value) for value in values[:2]]
        partial_result = conversion.add_part(node.outputs[0], np.broadcast_shapes(*shapes))
        conversion.network.add(operator, values[:2], [partial_result], table)
        values = [partial_result, *values[2:]]
    if not fuses:
        conversion.network.add(operator, values, [conversion.add_output(node.outputs[0], order)], table)
        return
    fused, output = conversion.add_fused_output(node, order)
    conversion.network.add(operator, values, [output], table, fusedActivationFunction=fused)


def compact(conversion: Conversion, name: str, order: Order) -> int:
    """Return a value in an order. A constant of one number becomes a scalar, which every operator accepts."""
    if name in conversion.constants and conversion.constants[name].size == 1:
        return conversion.add_number(conversion.constants[name])
    return conversion.value(name, order)


for _name, (_operator, _table) in BINARY.items():
    rule(_name, writes=_operator)(partial(_binary, _operator, _table, _name in _FUSING))


@rule("Sum", writes="ADD")
@rule("Mean", writes="ADD, MUL")
def _sum(conversion: Conversion, node: Node) -> None:
    if len(node.inputs) == 1:
        conversion.write("Identity", node.inputs, node.outputs[0], conversion.shape(node.outputs[0]))
    elif node.op == "Sum":
        RULES["Add"](conversion, node)
    else:
        total, share = (conversion.part_name(node.outputs[0]) for _ in range(2))
        conversion.write("Add", node.inputs, total, conversion.shape(node.outputs[0]))
        conversion.constants[share] = np.array(1 / len(node.inputs), np.float32)
        conversion.write("Mul", [total, share], node.outputs[0], conversion.shape(node.outputs[0]))


@rule("Pow", writes="SQUARE, SQRT, MUL, POW")
def _power(conversion: Conversion, node: Node) -> None:
    """Write the powers 2, 1/2 and 3/4 (of local response normalization) without POW, which XNNPACK leaves to LiteRT."""
    constant = conversion.constants.get(node.inputs[1])
    exponent = float(constant.reshape(())) if constant is not None and constant.size == 1 else None
    steps = Steps.begin(conversion, node)
    if exponent == 2.0:
        steps.unary("SQUARE", steps.input(), steps.output(), "SquareOptions")
    elif exponent == 0.5:
        steps.unary("SQRT", steps.input(), steps.output())
    elif exponent == 0.75:
        root = steps.unary("SQRT", steps.input())
        fused, output = steps.fused_output()
        steps.binary("MUL", root, steps.unary("SQRT", root), output, fusedActivationFunction=fused)
    else:
        _binary(*BINARY["Pow"], False, conversion, node)


@rule("Reciprocal", writes="DIV")
def _reciprocal(conversion: Conversion, node: Node) -> None:
    steps = Steps.begin(conversion, node)
    fused, output = steps.fused_output()
    inputs = [conversion.add_number(1.0), steps.input()]
    conversion.network.add("DIV", inputs, [output], "DivOptions", fusedActivationFunction=fused)


@rule("Clip", writes="RELU, RELU6, RELU_0_TO_1, RELU_N1_TO_1, MAXIMUM, MINIMUM", limits="constant bounds")
def _clip(conversion: Conversion, node: Node) -> None:
    low, high = clip_bounds(node, conversion.constants)
    steps = Steps.begin(conversion, node)
    if activation := _CLIPS.get((low, high)):
        steps.unary(activation, steps.input(), steps.output())
        return
    value = steps.input()
    if low > -np.inf:
        value = steps.binary("MAXIMUM", value, low, steps.output() if high == np.inf else None)
    if high < np.inf:
        steps.binary("MINIMUM", value, high, steps.output())


def clip_bounds(node: Node, constants: Any) -> tuple[float, float]:
    """Return the bounds of a Clip, infinite if it has none. Raises NoForm: a bound is computed."""
    bounds = [node.attributes.get("min", -np.inf), node.attributes.get("max", np.inf)]
    for index in (0, 1):
        if node.has(index + 1):
            if node.inputs[index + 1] not in constants:
                raise NoForm("computed bounds are not supported")
            bounds[index] = float(constants[node.inputs[index + 1]].reshape(()))
    return bounds[0], bounds[1]


@rule("HardSigmoid", writes="ADD, MUL, MINIMUM, MAXIMUM")
def _hard_sigmoid(conversion: Conversion, node: Node) -> None:
    """Write relu6(x + 3) / 6 for the usual slope, ONNX's definition for others."""
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    steps = Steps.begin(conversion, node)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        moved = steps.binary("ADD", steps.input(), 3.0, fusedActivationFunction=_RELU6)
        fused, output = steps.fused_output()
        steps.binary("MUL", moved, 1 / 6, output, fusedActivationFunction=fused)
        return
    line = steps.binary("ADD", steps.binary("MUL", steps.input(), float(alpha)), float(beta))
    steps.binary("MINIMUM", steps.binary("MAXIMUM", line, 0.0), 1.0, steps.output())


def hard_swish_of_parts(conversion: Conversion, node: Node) -> None:
    """Write hard-swish by its definition, x · relu6(x + 3) / 6: Howard et al. 2019, arXiv:1905.02244, section 5.2."""
    steps = Steps.begin(conversion, node)
    moved = steps.binary("ADD", steps.input(), 3.0, fusedActivationFunction=_RELU6)
    share = steps.binary("MUL", moved, 1 / 6)
    fused, output = steps.fused_output()
    steps.binary("MUL", steps.input(), share, output, fusedActivationFunction=fused)


@rule("LeakyRelu", writes="LEAKY_RELU")
def _leaky(conversion: Conversion, node: Node) -> None:
    steps = Steps.begin(conversion, node)
    steps.unary("LEAKY_RELU", steps.input(), steps.output(), "LeakyReluOptions", alpha=node.attributes.get("alpha", 0.01))


@rule("Elu", writes="ELU, MINIMUM, MAXIMUM, MUL, ADD")
def _elu(conversion: Conversion, node: Node) -> None:
    """Write max(x, 0) + alpha · (exp(min(x, 0)) - 1). LiteRT's ELU has an alpha of 1."""
    steps, alpha = Steps.begin(conversion, node), float(node.attributes.get("alpha", 1.0))
    value = steps.input()
    if alpha == 1.0:
        steps.unary("ELU", value, steps.output())
        return
    below = steps.binary("MUL", steps.unary("ELU", steps.binary("MINIMUM", value, 0.0)), alpha)
    fused, output = steps.fused_output()
    steps.binary("ADD", steps.binary("MAXIMUM", value, 0.0), below, output, fusedActivationFunction=fused)


@rule("PRelu", writes="PRELU")
def _prelu(conversion: Conversion, node: Node) -> None:
    steps = Steps.begin(conversion, node)
    slope = widen(conversion, node.inputs[1], len(steps.order))
    conversion.network.add("PRELU", [steps.input(), conversion.value(slope, steps.order)], [steps.output()])


@rule("Gelu", writes="GELU")
def _gelu(conversion: Conversion, node: Node) -> None:
    steps = Steps.begin(conversion, node)
    approximate = node.attributes.get("approximate", b"none") == b"tanh"
    steps.unary("GELU", steps.input(), steps.output(), "GeluOptions", approximate=approximate)


@rule("Softplus", writes="ABS, NEG, EXP, ADD, LOG, MAXIMUM")
@rule("Mish", writes="ABS, NEG, EXP, ADD, LOG, MAXIMUM, TANH, MUL")
def _softplus(conversion: Conversion, node: Node) -> None:
    """Write log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which never overflows. Mish is x · tanh(softplus(x))."""
    steps = Steps.begin(conversion, node)
    value = steps.input()
    small = steps.unary(
        "EXP", steps.unary("NEG", steps.unary("ABS", value, table="AbsOptions"), table="NegOptions"), table="ExpOptions"
    )
    tail, head = steps.unary("LOG", steps.binary("ADD", small, 1.0)), steps.binary("MAXIMUM", value, 0.0)
    if node.op == "Softplus":
        fused, output = steps.fused_output()
        steps.binary("ADD", head, tail, output, fusedActivationFunction=fused)
        return
    gate = steps.unary("TANH", steps.binary("ADD", head, tail))
    fused, output = steps.fused_output()
    steps.binary("MUL", value, gate, output, fusedActivationFunction=fused)


@rule("Swish", writes="LOGISTIC, MUL")
def _swish(conversion: Conversion, node: Node) -> None:
    steps, alpha = Steps.begin(conversion, node), float(node.attributes.get("alpha", 1.0))
    value = steps.input()
    gate = steps.unary("LOGISTIC", value if alpha == 1.0 else steps.binary("MUL", value, alpha))
    fused, output = steps.fused_output()
    steps.binary("MUL", value, gate, output, fusedActivationFunction=fused)


_COMPARED: Final = {
    "Greater": ("GREATER", "GreaterOptions"), "GreaterOrEqual": ("GREATER_EQUAL", "GreaterEqualOptions"),
    "Less": ("LESS", "LessOptions"), "LessOrEqual": ("LESS_EQUAL", "LessEqualOptions"), "Equal": ("EQUAL", "EqualOptions"),
    "And": ("LOGICAL_AND", "LogicalAndOptions"), "Or": ("LOGICAL_OR", "LogicalOrOptions"),
    "Not": ("LOGICAL_NOT", "LogicalNotOptions"), "Where": ("SELECT_V2", "SelectV2Options"),
}  # fmt: skip


def _compare(operator: str, table: str, conversion: Conversion, node: Node) -> None:
    """Write an operator of broadcast values. Where returns the type of its values, the others return booleans."""
    rank = len(conversion.shape(node.outputs[0]))
    names = [widen(conversion, name, rank) for name in node.inputs]
    order = largest_order(conversion, names)
    values = [compact(conversion, name, order) for name in names]
    kind = conversion.network.kind(values[1]) if node.op == "Where" else schema.TensorType.BOOL
    conversion.network.add(operator, values, [conversion.add_output(node.outputs[0], order, kind)], table)


for _name, (_operator, _table) in _COMPARED.items():
    rule(_name, writes=_operator)(partial(_compare, _operator, _table))


@rule("Cast", "CastLike", writes="CAST", limits="to floating-point numbers")
def _cast(conversion: Conversion, node: Node) -> None:
    """Write a cast. All floating-point types become LiteRT's float32."""
    name, made = node.inputs[0], node.outputs[0]
    target = _target_type(conversion, node)
    if name in conversion.constants:
        conversion.constants[made] = conversion.constants[name].astype(target)
        return
    if target.kind != "f":
        raise NoForm("casts to integers and booleans are not supported")
    for order, tensor in dict(conversion.tensors_of(name)).items():
        if conversion.network.kind(tensor) == schema.TensorType.FLOAT32:
            conversion.store(made, tensor, order)
        else:
            conversion.network.add("CAST", [tensor], [conversion.add_output(made, order)], "CastOptions")
            return


def _target_type(conversion: Conversion, node: Node) -> np.dtype[Any]:
    """Return the target type of a cast: its attribute, or the type of the second input."""
    if node.op == "Cast":
        target = node.attributes["to"]
        return helper.tensor_dtype_to_np_dtype(target) if target != TensorProto.BFLOAT16 else np.dtype(np.float32)
    like = node.inputs[1]
    if like in conversion.constants:
        return conversion.constants[like].dtype
    (kind, *_) = (conversion.network.kind(tensor) for tensor in conversion.tensors_of(like).values())
    return np.dtype(np.bool_ if kind == schema.TensorType.BOOL else np.float32 if kind == schema.TensorType.FLOAT32 else np.int32)
