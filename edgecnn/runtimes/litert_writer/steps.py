"""Write a node as a sequence of LiteRT operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from edgecnn.runtimes.litert_writer.conversion import Conversion, Node, Order

BINARY: Final = {
    "Add": ("ADD", "AddOptions"), "Sub": ("SUB", "SubOptions"), "Mul": ("MUL", "MulOptions"), "Div": ("DIV", "DivOptions"),
    "Max": ("MAXIMUM", "MaximumMinimumOptions"), "Min": ("MINIMUM", "MaximumMinimumOptions"), "Pow": ("POW", "PowOptions"),
}  # fmt: skip
"""ONNX operator to LiteRT's operator and its table of options."""


class Steps:
    """A sequence of operators that make a node's output, all in one order of axes."""

    def __init__(self, conversion: Conversion, node: Node, order: Order) -> None:
        self._conversion, self._node, self.order = conversion, node, order
        self.network = conversion.network

    def input(self, index: int = 0) -> int:
        """Return the tensor of an input of the node."""
        return self._conversion.value(self._node.inputs[index], self.order)

    def two(self, operator: str, first: int, second: int | float, output: int | None = None, **options: Any) -> int:
        """Write an operator on two tensors, or on a tensor and a number. ``output``: its output, else a fresh tensor."""
        operand = self._conversion.number(second) if isinstance(second, float) else second
        _, table = next(pair for pair in BINARY.values() if pair[0] == operator)
        if output is None:
            shapes = [self.network.shape(tensor) for tensor in (first, operand)]
            output = self._conversion.fresh(self._node.outputs[0], np.broadcast_shapes(*shapes))
        self.network.add(operator, [first, operand], [output], table, **options)
        return output

    def one(self, operator: str, value: int, output: int | None = None, table: str = "", **options: Any) -> int:
        """Write an operator on one tensor. ``output``: its output, else a fresh tensor."""
        made = self._conversion.fresh(self._node.outputs[0], self.network.shape(value)) if output is None else output
        self.network.add(operator, [value], [made], table, **options)
        return made

    def mean(self, value: int, places: Sequence[int]) -> int:
        """Write the mean over these axes of the tensor, which keep size 1."""
        shape = [1 if place in places else size for place, size in enumerate(self.network.shape(value))]
        made = self._conversion.fresh(self._node.outputs[0], shape)
        self.network.add("MEAN", [value, self._conversion.axes(list(places))], [made], "ReducerOptions", keepDims=True)
        return made

    def vector(self, values: Any, axis: int) -> int:
        """Add a constant along one axis of the value."""
        shape = [len(values) if own == axis else 1 for own in self.order]
        return self.network.constant(np.asarray(values, np.float32).reshape(shape))

    def end(self) -> tuple[int, int]:
        """Return the activation to fuse into the last operator, and the node's output."""
        return self._conversion.ended(self._node, self.order)

    def output(self) -> int:
        """Return the node's output, for an operator that fuses no activation."""
        return self._conversion.made(self._node.outputs[0], self.order)

    @classmethod
    def of(cls, conversion: Conversion, node: Node) -> Steps:
        """Begin a sequence in the order of the node's first input."""
        return cls(conversion, node, conversion.order(node.inputs[0]))
