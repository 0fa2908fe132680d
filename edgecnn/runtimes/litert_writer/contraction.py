"""Einsum: sums over named axes, as transposes, reshapes and products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from edgecnn.runtimes.litert_writer.conversion import Conversion, Node, NoForm
from edgecnn.runtimes.litert_writer.registry import rule


class _Operand(NamedTuple):
    name: str
    labels: str
    """One letter for each axis."""


@rule(
    "Einsum",
    held="BATCH_MATMUL, FULLY_CONNECTED, SUM",
    limits="no diagonal (a letter twice in one operand), no axis of size 1 that is broadcast",
)
def _einsum(conversion: Conversion, node: Node) -> None:
    operands, result = _read(conversion, node)
    while len(operands) > 1:
        first, second, *remaining = operands
        kept = set(result).union(*(later.labels for later in remaining))
        operands = [_product(conversion, node, first, second, kept), *remaining]
    (operand,) = operands
    operand = _summed(conversion, node, operand, set(result))
    moved = [operand.labels.index(label) for label in result]
    conversion.write("Transpose", [operand.name], node.outputs[0], conversion.shape(node.outputs[0]), perm=moved)


def _read(conversion: Conversion, node: Node) -> tuple[list[_Operand], str]:
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


def _product(conversion: Conversion, node: Node, first: _Operand, second: _Operand, kept: set[str]) -> _Operand:
    """Write the product of two operands, summed over their common axes that are not in ``kept``."""
    first = _summed(conversion, node, first, kept | set(second.labels))
    second = _summed(conversion, node, second, kept | set(first.labels))
    sizes = {label: size for operand in (first, second) for label, size in _sizes(conversion, operand)}
    both = [label for label in first.labels if label in second.labels]
    groups = [label for label in both if label in kept]
    inner = [label for label in both if label not in kept]
    rows, columns = ([label for label in operand.labels if label not in both] for operand in (first, second))
    if any(size != sizes[label] for operand in (first, second) for label, size in _sizes(conversion, operand)):
        raise NoForm("an equation that broadcasts an axis of size 1 is not supported")
    matrices = [
        _matrix(conversion, node, first, [groups, rows, inner], sizes),
        _matrix(conversion, node, second, [groups, inner, columns], sizes),
    ]
    counts = [prod(sizes[label] for label in labels) for labels in (groups, rows, columns)]
    product, made = conversion.part(node.outputs[0]), conversion.part(node.outputs[0])
    conversion.write("MatMul", matrices, product, counts if groups else counts[1:])
    labels = [*groups, *rows, *columns]
    conversion.write("Reshape", [product], made, [sizes[label] for label in labels])
    return _Operand(made, "".join(labels))


def _sizes(conversion: Conversion, operand: _Operand) -> list[tuple[str, int]]:
    return list(zip(operand.labels, conversion.shape(operand.name), strict=True))


def _matrix(conversion: Conversion, node: Node, operand: _Operand, parts: Sequence[Sequence[str]], sizes: dict[str, int]) -> str:
    """Write an operand as matrices (groups, rows, columns), or (rows, columns) if there are no groups."""
    labels = [label for part in parts for label in part]
    moved, matrix = conversion.part(node.outputs[0]), conversion.part(node.outputs[0])
    permutation = [operand.labels.index(label) for label in labels]
    conversion.write("Transpose", [operand.name], moved, [sizes[label] for label in labels], perm=permutation)
    counts = [prod(sizes[label] for label in part) for part in parts]
    conversion.write("Reshape", [moved], matrix, counts if parts[0] else counts[1:])
    return matrix


def _summed(conversion: Conversion, node: Node, operand: _Operand, kept: set[str]) -> _Operand:
    """Write an operand summed over its axes that are not in ``kept``."""
    axes = [axis for axis, label in enumerate(operand.labels) if label not in kept]
    if not axes:
        return operand
    labels = "".join(label for label in operand.labels if label in kept)
    made = conversion.part(node.outputs[0])
    shape = [size for axis, size in enumerate(conversion.shape(operand.name)) if axis not in axes]
    conversion.write("ReduceSum", [operand.name], made, shape, axes=axes, keepdims=0)
    return _Operand(made, labels)
