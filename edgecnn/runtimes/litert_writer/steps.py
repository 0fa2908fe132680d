"""Operators that one after the other make a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from edgecnn.runtimes.litert_writer.conversion import Conversion, Node, Order

BINARY: Final = {
    "Add": ("ADD", "AddOptions"), "Sub": ("SUB", "SubOptions"), "Mul": ("MUL", "MulOptions"), "Div": ("DIV", "DivOptions"),
    "Max": ("MAXIMUM", "MaximumMinimumOptions"), "Min": ("MINIMUM", "MaximumMinimumOptions"), "Pow": ("POW", "PowOptions"),
}  # fmt: skip
"""ONNX operator to LiteRT's, with its table of options."""


class Steps:
    """Operators that one after the other make a value, all in one order of its axes."""

    def __init__(self, conversion: Conversion, node: Node, order: Order) -> None:
        self._conversion, self._node, self.order = conversion, node, order
        self.network = conversion.network

    def input(self, place: int = 0) -> int:
        """An input of the node."""
        return self._conversion.value(self._node.inputs[place], self.order)

    def two(self, operator: str, first: int, second: int | float, output: int | None = None, **options: Any) -> int:
        """An operator on two tensors, or on a tensor and a number. ``output``: where it writes, else a fresh tensor."""
        other = self._conversion.number(second) if isinstance(second, float) else second
        _, table = next(pair for pair in BINARY.values() if pair[0] == operator)
        if output is None:
            shapes = [self.network.shape(tensor) for tensor in (first, other)]
            output = self._conversion.fresh(self._node.outputs[0], np.broadcast_shapes(*shapes))
        self.network.add(operator, [first, other], [output], table, **options)
        return output

    def one(self, operator: str, value: int, output: int | None = None, table: str = "", **options: Any) -> int:
        """An operator on one tensor."""
        made = self._conversion.fresh(self._node.outputs[0], self.network.shape(value)) if output is None else output
        self.network.add(operator, [value], [made], table, **options)
        return made

    def mean(self, value: int, places: Sequence[int]) -> int:
        """The mean over these axes of the tensor, which stay with size 1."""
        shape = [1 if place in places else size for place, size in enumerate(self.network.shape(value))]
        made = self._conversion.fresh(self._node.outputs[0], shape)
        self.network.add("MEAN", [value, self._conversion.axes(list(places))], [made], "ReducerOptions", keepDims=True)
        return made

    def vector(self, values: Any, axis: int) -> int:
        """A constant along one axis of the value."""
        shape = [len(values) if own == axis else 1 for own in self.order]
        return self.network.constant(np.asarray(values, np.float32).reshape(shape))

    def end(self) -> tuple[int, int]:
        """The activation to fuse into the last operator, and the node's output."""
        return self._conversion.ended(self._node, self.order)

    def output(self) -> int:
        """The node's output, of an operator that fuses no activation."""
        return self._conversion.made(self._node.outputs[0], self.order)

    @classmethod
    def of(cls, conversion: Conversion, node: Node) -> Steps:
        """In the order in which the node's first input is stored."""
        return cls(conversion, node, conversion.order(node.inputs[0]))
