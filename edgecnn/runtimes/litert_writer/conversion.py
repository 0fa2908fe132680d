"""The state of a conversion: which tensor holds an ONNX value, and in which order of its axes; and the register of the rules.

LiteRT's convolutions read (N, H, W, C), ONNX's (N, C, H, W). Instead of one layout for a network, each tensor is stored with an
*order*: its axis ``i`` is the value's axis ``order[i]``. A Transpose in ONNX only renames the axes of the stored tensor. A
TRANSPOSE is written only when an operator requests another order. So channel shuffles, attention and normalization over the
last axis need no rule for layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from edgecnn.runtimes.litert_writer.flatbuffer import FLOAT, LitertNetwork

Array = npt.NDArray[Any]
Order = tuple[int, ...]


class NoForm(Exception):
    """Raised when LiteRT has no form of a node or of its attributes."""


class Node(NamedTuple):
    """A node of the ONNX network, with its attributes as values."""

    op: str
    name: str
    inputs: Sequence[str]
    """An empty name is an omitted optional input."""
    outputs: Sequence[str]
    attributes: Mapping[str, Any]

    @classmethod
    def read(cls, node: onnx.NodeProto) -> Node:
        """Read a node. The operator of a domain other than ONNX's is prefixed with the domain."""
        op = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        return cls(op, node.name or node.output[0], list(node.input), list(node.output), attributes)

    def has(self, place: int) -> bool:
        """Whether the node has this optional input."""
        return len(self.inputs) > place and bool(self.inputs[place])


Rule = Callable[["Conversion", Node], None]


class Activation(NamedTuple):
    """An activation that LiteRT fuses into the operator before it."""

    code: int
    node: Node


NOT_FUSED: Final = 0
"""``ActivationFunctionType.NONE``."""


class Conversion:
    """The conversion of one network, through which rules read values and write operators."""

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        constants: Mapping[str, Array],
        *,
        fuses: Mapping[str, Activation],
        rules: Mapping[str, Rule],
    ) -> None:
        self.network = LitertNetwork()
        self._rules = rules
        self.constants = dict(constants)
        self.fused: set[str] = set()
        """Names of nodes that were fused into the operator before them."""
        self.joined: dict[tuple[int, tuple[str, ...]], str] = {}
        """An axis and the values that are joined along it, to the result."""
        self.known_shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.widened: dict[tuple[str, int], str] = {}
        """A value and a rank, to the value with that many axes."""
        self._fuses = fuses
        self._stored: dict[str, dict[Order, int]] = {}
        self._made_by: dict[str, Node] = {}
        self._fresh = 0

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a value in ONNX's order. Raises NoForm: the shape is not known."""
        if name in self.constants:
            return tuple(self.constants[name].shape)
        if name not in self.known_shapes:
            raise NoForm(f"the shape of `{name}` is not known before the network runs")
        return self.known_shapes[name]

    def constant(self, name: str) -> Array:
        """Return the numbers of a constant. Raises NoForm: the value is computed."""
        if name not in self.constants:
            raise NoForm(f"its input `{name}` must be a constant")
        return self.constants[name]

    def integers(self, name: str) -> list[int]:
        """Return the integers of a constant with at most one axis."""
        return [int(number) for number in np.atleast_1d(self.constant(name))]

    def maker(self, name: str) -> Node | None:
        """Return the node that made a value; None for an input of the network."""
        return self._made_by.get(name)

    def order(self, name: str) -> Order:
        """Return the order in which a value was stored first; ONNX's order for a constant."""
        return next(iter(self._stored[name])) if name in self._stored else tuple(range(len(self.shape(name))))

    def value(self, name: str, order: Order) -> int:
        """Return the tensor of a value in an order. A TRANSPOSE is written if no tensor has that order."""
        if name in self.constants:
            values = self.constants[name]
            return self.network.constant(_litert_values(values.transpose(order)), name)
        stored = self._stored[name]
        if order not in stored:
            present = self.order(name)
            stored[order] = self._transpose(stored[present], [present.index(axis) for axis in order], name)
        return stored[order]

    def _transpose(self, tensor: int, permutation: Sequence[int], name: str) -> int:
        shape = self.network.shape(tensor)
        wide = [axis for axis in permutation if shape[axis] != 1]
        made = self.add_part(name, [shape[axis] for axis in permutation], self.network.kind(tensor))
        if wide == sorted(wide):  # only axes of size 1 move
            self.write_reshape(tensor, made)
        else:
            numbers = self.network.constant(np.array(permutation, np.int32))
            self.network.add("TRANSPOSE", [tensor, numbers], [made], "TransposeOptions")
        return made

    def write_reshape(self, tensor: int, made: int) -> None:
        """Write a RESHAPE of a tensor to the shape of ``made``."""
        shape = np.array(self.network.shape(made), np.int32)
        self.network.add("RESHAPE", [tensor, self.network.constant(shape)], [made], "ReshapeOptions", newShape=shape)

    def store(self, name: str, tensor: int, order: Order) -> None:
        """Record that a tensor holds a value in an order."""
        self._stored.setdefault(name, {})[order] = tensor

    def tensors_of(self, name: str) -> Mapping[Order, int]:
        """Return the tensors of a value, by order."""
        return self._stored[name]

    def add_output(self, name: str, order: Order, kind: int = FLOAT) -> int:
        """Add the output tensor of an operator: a value in an order. ``kind``: the schema's element type."""
        shape = self.shape(name)
        tensor = self.network.tensor(name, [shape[axis] for axis in order], kind=kind)
        self.store(name, tensor, order)
        return tensor

    def add_part(self, name: str, shape: Sequence[int], kind: int = FLOAT) -> int:
        """Add the tensor of an intermediate value, whose name is ``part_name(name)``."""
        return self.network.tensor(self.part_name(name), shape, kind=kind)

    def add_fused_output(self, node: Node, order: Order) -> tuple[int, int]:
        """Return the activation to fuse into a node's operator, and the output tensor of that operator."""
        fused = self._fuses.get(node.outputs[0])
        if fused is None:
            return NOT_FUSED, self.add_output(node.outputs[0], order)
        self.fused.add(fused.node.name)
        self.record(fused.node)
        return fused.code, self.add_output(fused.node.outputs[0], order)

    def part_name(self, name: str) -> str:
        """Return a new name for an intermediate value: a numbered step of another value.

        The quantizer keeps steps in float by the name of the value that they lead to, so their names begin with it.
        """
        while True:
            self._fresh += 1
            if (step := f"{name}/{self._fresh}") not in self.known_shapes and step not in self.constants:
                return step

    def write(self, op: str, inputs: Sequence[str], made: str, shape: Sequence[int], **attributes: Any) -> None:
        """Convert a node that is not in the ONNX network, as a part of another node."""
        self.known_shapes[made] = tuple(shape)
        self._rules[op](self, Node(op, made, inputs, [made], attributes))

    def record(self, node: Node) -> None:
        """Record which node makes a value."""
        for name in node.outputs:
            self._made_by[name] = node

    def add_number(self, value: float | Array) -> int:
        """Add a scalar constant, a number or a boolean, of LiteRT's type."""
        return self.network.constant(_litert_values(np.asarray(value).reshape(())), "number")

    def add_integers(self, values: Sequence[int]) -> int:
        """Add a constant list of integers."""
        return self.network.constant(np.array(values, np.int32), "axes")


def channels_last(rank: int) -> Order:
    """Return the order with the channels last: (0, 2, 3, 1) for an image."""
    return (0, *range(2, rank), 1)


def onnx_order(rank: int) -> Order:
    """Return ONNX's order."""
    return tuple(range(rank))


def _litert_values(values: Array) -> Array:
    if values.dtype == np.bool_:
        return values
    return values.astype(np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32, copy=False)


RULES: dict[str, Rule] = {}


class Form(NamedTuple):
    """The LiteRT form of an operator, as docs/reference/litert-operators.md lists it."""

    writes: str
    """LiteRT operators that the rule may write, without TRANSPOSE and RESHAPE."""
    limits: str
    in_int8: str = ""
    """LiteRT operators in a file that will be quantized; empty: the same as ``writes``."""


FORMS: dict[str, Form] = {}


def rule(*operators: str, writes: str, limits: str = "", in_int8: str = "") -> Callable[[Rule], Rule]:
    """Register a function as the rule of these ONNX operators. The rule writes a node, or raises NoForm if it has no form.

    ``limits``: restrictions of the form. A test compares ``writes`` with the written operators.
    """

    def registered(function: Rule) -> Rule:
        for operator in operators:
            RULES[operator], FORMS[operator] = function, Form(writes, limits, in_int8)
        return function

    return registered


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

    def binary(self, operator: str, first: int, second: int | float, output: int | None = None, **options: Any) -> int:
        """Write an operator on two tensors, or on a tensor and a number. ``output``: its output, else a fresh tensor."""
        operand = self._conversion.add_number(second) if isinstance(second, float) else second
        _, table = next(pair for pair in BINARY.values() if pair[0] == operator)
        if output is None:
            shapes = [self.network.shape(tensor) for tensor in (first, operand)]
            output = self._conversion.add_part(self._node.outputs[0], np.broadcast_shapes(*shapes))
        self.network.add(operator, [first, operand], [output], table, **options)
        return output

    def unary(self, operator: str, value: int, output: int | None = None, table: str = "", **options: Any) -> int:
        """Write an operator on one tensor. ``output``: its output, else a fresh tensor."""
        made = self._conversion.add_part(self._node.outputs[0], self.network.shape(value)) if output is None else output
        self.network.add(operator, [value], [made], table, **options)
        return made

    def mean(self, value: int, places: Sequence[int]) -> int:
        """Write the mean over these axes of the tensor, which keep size 1."""
        shape = [1 if place in places else size for place, size in enumerate(self.network.shape(value))]
        made = self._conversion.add_part(self._node.outputs[0], shape)
        self.network.add("MEAN", [value, self._conversion.add_integers(list(places))], [made], "ReducerOptions", keepDims=True)
        return made

    def vector(self, values: Any, axis: int) -> int:
        """Add a constant along one axis of the value."""
        shape = [len(values) if own == axis else 1 for own in self.order]
        return self.network.constant(np.asarray(values, np.float32).reshape(shape))

    def fused_output(self) -> tuple[int, int]:
        """Return the activation to fuse into the last operator, and the node's output."""
        return self._conversion.add_fused_output(self._node, self.order)

    def output(self) -> int:
        """Return the node's output, for an operator that fuses no activation."""
        return self._conversion.add_output(self._node.outputs[0], self.order)

    @classmethod
    def begin(cls, conversion: Conversion, node: Node) -> Steps:
        """Begin a sequence in the order of the node's first input."""
        return cls(conversion, node, conversion.order(node.inputs[0]))
