"""Operators that sum over axes: reductions, normalizations, softmax, products of matrices, and Einsum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np

from edgecnn.runtimes.litert_writer.axes import drop_axes, widen
from edgecnn.runtimes.litert_writer.conversion import Conversion, Node, NoForm, Order, Steps, channels_last, onnx_order, rule

_REDUCTIONS: Final = {
    "ReduceMean": "MEAN", "ReduceSum": "SUM", "ReduceMax": "REDUCE_MAX", "ReduceMin": "REDUCE_MIN", "ReduceProd": "REDUCE_PROD",
}  # fmt: skip


@rule("Softmax", writes="SOFTMAX")
@rule("LogSoftmax", writes="LOG_SOFTMAX")
def _softmax(conversion: Conversion, node: Node) -> None:
    rank = len(conversion.shape(node.inputs[0]))
    axis = node.attributes.get("axis", -1) % rank
    order = order_ending(conversion, node.inputs[0], [axis])
    steps = Steps(conversion, node, order)
    if node.op == "Softmax":
        steps.unary("SOFTMAX", steps.input(), steps.output(), "SoftmaxOptions", beta=1.0)
    else:
        steps.unary("LOG_SOFTMAX", steps.input(), steps.output(), "LogSoftmaxOptions")


def order_ending(conversion: Conversion, name: str, axes: Sequence[int]) -> Order:
    """Return a stored order of a value that ends with these axes, else the nearest order."""
    if name not in conversion.constants:
        for order in conversion.tensors_of(name):
            if list(order[-len(axes) :]) == list(axes):
                return order
    return (*(axis for axis in conversion.order(name) if axis not in axes), *axes)


def _reduce(operator: str, conversion: Conversion, node: Node) -> None:
    shape = conversion.shape(node.inputs[0])
    axes = conversion.integers(node.inputs[1]) if node.has(1) else list(node.attributes.get("axes", range(len(shape))))
    _write_reduction(conversion, node, operator, [axis % len(shape) for axis in axes])


def _write_reduction(conversion: Conversion, node: Node, operator: str, axes: Sequence[int]) -> None:
    order = conversion.order(node.inputs[0])
    keeps = bool(node.attributes.get("keepdims", 1))
    made = conversion.add_output(node.outputs[0], order if keeps else drop_axes(order, axes))
    places = conversion.add_integers(sorted(order.index(axis) for axis in axes))
    conversion.network.add(operator, [conversion.value(node.inputs[0], order), places], [made], "ReducerOptions", keepDims=keeps)


for _name, _operator in _REDUCTIONS.items():
    rule(_name, writes=_operator, limits="constant axes")(partial(_reduce, _operator))


@rule("GlobalAveragePool", writes="MEAN")
@rule("GlobalMaxPool", writes="REDUCE_MAX")
def _global_pool(conversion: Conversion, node: Node) -> None:
    operator = "MEAN" if node.op == "GlobalAveragePool" else "REDUCE_MAX"
    _write_reduction(conversion, node, operator, list(range(2, len(conversion.shape(node.inputs[0])))))


@rule("ReduceL2", writes="SQUARE, SUM, SQRT", limits="constant axes")
def _reduce_l2(conversion: Conversion, node: Node) -> None:
    steps = Steps.begin(conversion, node)
    rank = len(steps.order)
    axes = conversion.integers(node.inputs[1]) if node.has(1) else list(node.attributes.get("axes", range(rank)))
    axes, keeps = [axis % rank for axis in axes], bool(node.attributes.get("keepdims", 1))
    square = steps.unary("SQUARE", steps.input(), table="SquareOptions")
    order = steps.order if keeps else drop_axes(steps.order, axes)
    total = conversion.add_part(node.outputs[0], [conversion.shape(node.outputs[0])[axis] for axis in order])
    places = conversion.add_integers(sorted(steps.order.index(axis) for axis in axes))
    conversion.network.add("SUM", [square, places], [total], "ReducerOptions", keepDims=keeps)
    conversion.network.add("SQRT", [total], [conversion.add_output(node.outputs[0], order)])


@rule("BatchNormalization", writes="MUL, ADD", limits="constant statistics")
def _batch_norm(conversion: Conversion, node: Node) -> None:
    scale, offset, mean, variance = (conversion.constant(name).astype(np.float64) for name in node.inputs[1:5])
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    steps = Steps.begin(conversion, node)
    scaled = steps.binary("MUL", steps.input(), steps.vector(factor, 1))
    fused, output = steps.fused_output()
    steps.binary("ADD", scaled, steps.vector(offset - mean * factor, 1), output, fusedActivationFunction=fused)


@rule("InstanceNormalization", writes="MEAN, SUB, SQUARE, ADD, RSQRT, MUL", limits="constant scale")
def _instance_norm(conversion: Conversion, node: Node) -> None:
    steps = Steps.begin(conversion, node)
    scale, offset = (conversion.constant(name) for name in node.inputs[1:3])
    places = [place for place, axis in enumerate(steps.order) if axis > 1]
    normal = _normalized(steps, steps.input(), places, node.attributes.get("epsilon", 1e-5))
    scaled = steps.binary("MUL", normal, steps.vector(scale, 1))
    fused, output = steps.fused_output()
    steps.binary("ADD", scaled, steps.vector(offset, 1), output, fusedActivationFunction=fused)


def _normalized(steps: Steps, value: int, places: Sequence[int], epsilon: float, *, centred: bool = True) -> int:
    """Write (x - mean) / standard deviation over these axes of the tensor; x / RMS if not centred."""
    apart = steps.binary("SUB", value, steps.mean(value, places)) if centred else value
    variance = steps.mean(steps.unary("SQUARE", apart, table="SquareOptions"), places)
    return steps.binary("MUL", apart, steps.unary("RSQRT", steps.binary("ADD", variance, float(epsilon))))


@rule("LayerNormalization", writes="MEAN, SUB, SQUARE, ADD, RSQRT, MUL")
@rule("RMSNormalization", writes="MEAN, SQUARE, ADD, RSQRT, MUL")
def _layer_norm(conversion: Conversion, node: Node) -> None:
    rank = len(conversion.shape(node.inputs[0]))
    axes = list(range(node.attributes.get("axis", -1) % rank, rank))
    steps = Steps.begin(conversion, node)
    places = [place for place, axis in enumerate(steps.order) if axis in axes]
    centred = node.op == "LayerNormalization"
    normal = _normalized(steps, steps.input(), places, node.attributes.get("epsilon", 1e-5), centred=centred)
    scale = widen(conversion, node.inputs[1], rank)
    if not node.has(2):
        fused, output = steps.fused_output()
        steps.binary("MUL", normal, conversion.value(scale, steps.order), output, fusedActivationFunction=fused)
        return
    scaled = steps.binary("MUL", normal, conversion.value(scale, steps.order))
    offset = widen(conversion, node.inputs[2], rank)
    fused, output = steps.fused_output()
    steps.binary("ADD", scaled, conversion.value(offset, steps.order), output, fusedActivationFunction=fused)


@rule("GroupNormalization", writes="MEAN, SUB, SQUARE, ADD, RSQRT, MUL", limits="constant scale")
def _group_norm(conversion: Conversion, node: Node) -> None:
    """Normalize over (H, W) and the channels of a group. Opset 21 has a scale for each channel, opset 18 for each group."""
    _, channels, *size = conversion.shape(node.inputs[0])
    groups = node.attributes["num_groups"]
    conversion.known_shapes.setdefault(node.outputs[0], conversion.shape(node.inputs[0]))  # which onnx does not infer
    order = channels_last(2 + len(size))
    steps = Steps(conversion, node, order)
    grouped = conversion.add_part(node.outputs[0], [1, prod(size), groups, channels // groups])
    conversion.write_reshape(steps.input(), grouped)
    normal = _normalized(steps, grouped, [1, 3], node.attributes.get("epsilon", 1e-5))
    back = conversion.add_part(node.outputs[0], [1, *size, channels])
    conversion.write_reshape(normal, back)
    scale, offset = (conversion.constant(name) for name in node.inputs[1:3])
    scale, offset = (np.repeat(values, channels // len(values)) for values in (scale, offset))
    fused, output = steps.fused_output()
    scaled = steps.binary("MUL", back, steps.vector(scale, 1))
    steps.binary("ADD", scaled, steps.vector(offset, 1), output, fusedActivationFunction=fused)


@rule("LpNormalization", writes="L2_NORMALIZATION", limits="`p` of 2")
def _lp_norm(conversion: Conversion, node: Node) -> None:
    if node.attributes.get("p", 2) != 2:
        raise NoForm("a `p` other than 2 is not supported")
    axis = node.attributes.get("axis", -1) % len(conversion.shape(node.inputs[0]))
    steps = Steps(conversion, node, order_ending(conversion, node.inputs[0], [axis]))
    steps.unary("L2_NORMALIZATION", steps.input(), steps.output(), "L2NormOptions")


@rule("MatMul", writes="FULLY_CONNECTED, BATCH_MATMUL")
def _matmul(conversion: Conversion, node: Node) -> None:
    first, second = node.inputs
    rank = len(conversion.shape(first))
    if second in conversion.constants and conversion.constants[second].ndim == 2 and rank > 1:
        order = order_ending(conversion, first, [rank - 1])
        weights = np.ascontiguousarray(conversion.constants[second].T, np.float32)
        _fully_connected(conversion, node, order, weights, np.zeros(len(weights), np.float32))
        return
    rank = len(conversion.shape(node.outputs[0]))
    if any(len(conversion.shape(name)) < 2 for name in node.inputs):
        _multiply_vector(conversion, node)
        return
    values, turned = [], []
    for name in (widen(conversion, name, rank) for name in node.inputs):
        exchanged = (*range(rank - 2), rank - 1, rank - 2)
        turned.append(name not in conversion.constants and exchanged in conversion.tensors_of(name))
        values.append(conversion.value(name, exchanged if turned[-1] else onnx_order(rank)))
    output = conversion.add_output(node.outputs[0], onnx_order(rank))
    conversion.network.add("BATCH_MATMUL", values, [output], "BatchMatMulOptions", adjX=turned[0], adjY=turned[1])


def _multiply_vector(conversion: Conversion, node: Node) -> None:
    """Write a product with a vector: a matrix of one row if it is first, of one column if it is second."""
    shapes, names = [conversion.shape(name) for name in node.inputs], list(node.inputs)
    for place, wide in enumerate([(1, -1), (-1, 1)]):
        if len(shapes[place]) == 1:
            shapes[place] = tuple(conversion.shape(names[place])[0] if size < 0 else size for size in wide)
            names[place] = conversion.part_name(node.outputs[0])
            conversion.write("Reshape", [node.inputs[place]], names[place], shapes[place])
    groups = np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2])
    conversion.write("MatMul", names, product := conversion.part_name(node.outputs[0]), [*groups, shapes[0][-2], shapes[1][-1]])
    conversion.write("Reshape", [product], node.outputs[0], conversion.shape(node.outputs[0]))


def _fully_connected(conversion: Conversion, node: Node, order: Order, weights: Any, bias: Any) -> None:
    """Write a product with ``weights`` (outputs, inputs) along the tensor's last axis, in any order of the other axes."""
    value = conversion.value(node.inputs[0], order)
    fused, output = conversion.add_fused_output(node, order)
    numbers = [
        conversion.network.constant(values, f"{node.outputs[0]}/{name}")
        for name, values in (("weights", weights), ("bias", bias))
    ]
    options = {"keepNumDims": len(order) > 2, "fusedActivationFunction": fused}
    conversion.network.add("FULLY_CONNECTED", [value, *numbers], [output], "FullyConnectedOptions", **options)


@rule("Gemm", writes="FULLY_CONNECTED, BATCH_MATMUL, MUL, ADD")
def _gemm(conversion: Conversion, node: Node) -> None:
    """Write one operator if the second matrix and the added row are constants, else a matrix product, scaling and addition."""
    attributes = node.attributes
    if attributes.get("transA", 0):
        rows, columns = conversion.shape(node.inputs[0])
        conversion.write(
            "Transpose", [node.inputs[0]], turned := conversion.part_name(node.outputs[0]), [columns, rows], perm=[1, 0]
        )
        node = node._replace(inputs=[turned, *node.inputs[1:]], attributes={**attributes, "transA": 0})
    is_computed = any(name not in conversion.constants for name in node.inputs[1:] if name)
    if is_computed or (node.has(2) and conversion.shape(node.inputs[2])[:-1] not in ((), (1,))):
        _gemm_in_steps(conversion, node)
        return
    weights = conversion.constant(node.inputs[1]).astype(np.float32, copy=False)
    if attributes.get("alpha", 1.0) != 1.0:
        weights = weights * np.float32(attributes["alpha"])
    weights = np.ascontiguousarray(weights if attributes.get("transB", 0) else weights.T)
    bias = np.zeros(len(weights), np.float32)
    if node.has(2):
        bias = bias + conversion.constant(node.inputs[2]).astype(np.float32).reshape(-1) * np.float32(attributes.get("beta", 1.0))
    _fully_connected(conversion, node, (0, 1), weights, bias)


def _gemm_in_steps(conversion: Conversion, node: Node) -> None:
    (first, second, *addends), made = node.inputs, node.outputs[0]
    shape = conversion.shape(made)
    if node.attributes.get("transB", 0):
        rows, columns = conversion.shape(second)
        conversion.write("Transpose", [second], turned := conversion.part_name(node.outputs[0]), [columns, rows], perm=[1, 0])
        second = turned

    def scaled(value: str, factor: float, name: str) -> str:
        """Return the name of a value times a number; the value itself for a factor of 1."""
        if factor == 1.0:
            return value
        if value in conversion.constants:
            conversion.constants[name] = conversion.constants[value] * np.float32(factor)
            return name
        conversion.constants[share := conversion.part_name(node.outputs[0])] = np.array(factor, np.float32)
        conversion.write("Mul", [value, share], name, conversion.shape(value))
        return name

    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    added = [scaled(value, beta, conversion.part_name(node.outputs[0])) for value in addends if value]
    product = made if alpha == 1.0 and not added else conversion.part_name(node.outputs[0])
    conversion.write("MatMul", [first, second], product, shape)
    total = scaled(product, alpha, conversion.part_name(node.outputs[0]) if added else made)
    if added:
        conversion.write("Add", [total, *added], made, shape)


class _Operand(NamedTuple):
    name: str
    labels: str
    """One letter for each axis."""


@rule(
    "Einsum",
    writes="BATCH_MATMUL, FULLY_CONNECTED, SUM",
    limits="no diagonal (a letter twice in one operand), no axis of size 1 that is broadcast",
)
def _einsum(conversion: Conversion, node: Node) -> None:
    operands, result = _read_einsum(conversion, node)
    while len(operands) > 1:
        first, second, *remaining = operands
        kept = set(result).union(*(later.labels for later in remaining))
        operands = [_einsum_product(conversion, node, first, second, kept), *remaining]
    (operand,) = operands
    operand = _sum_axes(conversion, node, operand, set(result))
    moved = [operand.labels.index(label) for label in result]
    conversion.write("Transpose", [operand.name], node.outputs[0], conversion.shape(node.outputs[0]), perm=moved)


def _read_einsum(conversion: Conversion, node: Node) -> tuple[list[_Operand], str]:
    """Return the operands and the labels of the result, with an ellipsis replaced by upper-case letters."""
    equation = node.attributes["equation"].decode().replace(" ", "")
    terms, _, result = equation.partition("->")
    if not result and "->" not in equation:
        letters = sorted({letter for letter in terms if letter.isalpha() and terms.count(letter) == 1})
        result = ("..." if "..." in terms else "") + "".join(letters)
    free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    operands, widest = [], ""
    for term, name in zip(terms.split(","), node.inputs, strict=True):
        hidden = len(conversion.shape(name)) - len(term.replace("...", ""))
        letters_hidden = "".join(free[:hidden][::-1])
        widest = max(widest, letters_hidden, key=len)
        operands.append(_Operand(name, term.replace("...", letters_hidden)))
    if any(len(set(operand.labels)) < len(operand.labels) for operand in operands):
        raise NoForm("an equation that reads a diagonal is not supported")
    return operands, result.replace("...", widest)


def _einsum_product(conversion: Conversion, node: Node, first: _Operand, second: _Operand, kept: set[str]) -> _Operand:
    """Write the product of two operands, summed over their common axes that are not in ``kept``."""
    first = _sum_axes(conversion, node, first, kept | set(second.labels))
    second = _sum_axes(conversion, node, second, kept | set(first.labels))
    sizes = {label: size for operand in (first, second) for label, size in _axis_sizes(conversion, operand)}
    both = [label for label in first.labels if label in second.labels]
    groups = [label for label in both if label in kept]
    inner = [label for label in both if label not in kept]
    rows, columns = ([label for label in operand.labels if label not in both] for operand in (first, second))
    if any(size != sizes[label] for operand in (first, second) for label, size in _axis_sizes(conversion, operand)):
        raise NoForm("an equation that broadcasts an axis of size 1 is not supported")
    matrices = [
        _as_matrices(conversion, node, first, [groups, rows, inner], sizes),
        _as_matrices(conversion, node, second, [groups, inner, columns], sizes),
    ]
    counts = [prod(sizes[label] for label in labels) for labels in (groups, rows, columns)]
    product, made = conversion.part_name(node.outputs[0]), conversion.part_name(node.outputs[0])
    conversion.write("MatMul", matrices, product, counts if groups else counts[1:])
    labels = [*groups, *rows, *columns]
    conversion.write("Reshape", [product], made, [sizes[label] for label in labels])
    return _Operand(made, "".join(labels))


def _axis_sizes(conversion: Conversion, operand: _Operand) -> list[tuple[str, int]]:
    return list(zip(operand.labels, conversion.shape(operand.name), strict=True))


def _as_matrices(
    conversion: Conversion, node: Node, operand: _Operand, parts: Sequence[Sequence[str]], sizes: dict[str, int]
) -> str:
    """Write an operand as matrices (groups, rows, columns), or (rows, columns) if there are no groups."""
    labels = [label for part in parts for label in part]
    moved, matrix = conversion.part_name(node.outputs[0]), conversion.part_name(node.outputs[0])
    permutation = [operand.labels.index(label) for label in labels]
    conversion.write("Transpose", [operand.name], moved, [sizes[label] for label in labels], perm=permutation)
    counts = [prod(sizes[label] for label in part) for part in parts]
    conversion.write("Reshape", [moved], matrix, counts if parts[0] else counts[1:])
    return matrix


def _sum_axes(conversion: Conversion, node: Node, operand: _Operand, kept: set[str]) -> _Operand:
    """Write an operand summed over its axes that are not in ``kept``."""
    axes = [axis for axis, label in enumerate(operand.labels) if label not in kept]
    if not axes:
        return operand
    labels = "".join(label for label in operand.labels if label in kept)
    made = conversion.part_name(node.outputs[0])
    shape = [size for axis, size in enumerate(conversion.shape(operand.name)) if axis not in axes]
    conversion.write("ReduceSum", [operand.name], made, shape, axes=axes, keepdims=0)
    return _Operand(made, labels)
