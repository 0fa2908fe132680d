"""The state of a conversion: which tensor holds an ONNX value, and in which order of its axes.

Convolutions of LiteRT read (N, H, W, C), ONNX's (N, C, H, W). Instead of one layout for a network, each tensor is stored with
an *order*: its axis ``i`` is the value's axis ``order[i]``. A Transpose in ONNX only renames the axes of what is stored. An
operator that needs another order asks for it, and only then a TRANSPOSE is written. So channel shuffles, attention and
normalization over the last axis need no rule for layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from edgecnn.runtimes.litert_writer.flatbuffer import FLOAT, LitertNetwork

Array = npt.NDArray[Any]
Order = tuple[int, ...]


class NoForm(Exception):
    """Raised when LiteRT has no form of a node, or of the way in which the node uses its operator."""


class Node(NamedTuple):
    """A node of the ONNX network, its attributes as values."""

    op: str
    name: str
    inputs: Sequence[str]
    """An empty name: an optional input that is left out."""
    outputs: Sequence[str]
    attributes: Mapping[str, Any]

    @classmethod
    def read(cls, node: onnx.NodeProto) -> Node:
        """Read a node of ONNX's own operators or of another domain, whose name then precedes the operator's."""
        op = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        return cls(op, node.name or node.output[0], list(node.input), list(node.output), attributes)

    def has(self, place: int) -> bool:
        """Whether the node has this optional input."""
        return len(self.inputs) > place and bool(self.inputs[place])


Rule = Callable[["Conversion", Node], None]


class Activation(NamedTuple):
    """An activation that LiteRT computes as a part of the operator before it."""

    code: int
    node: Node


NOT_FUSED: Final = 0
"""``ActivationFunctionType.NONE``."""


class Conversion:
    """One network's conversion. Rules read values and write operators through it."""

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
        """Names of nodes that became a part of the operator before them."""
        self.joined: dict[tuple[int, tuple[str, ...]], str] = {}
        """For each axis and the values that are joined along it: the result."""
        self.known_shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.widened: dict[tuple[str, int], str] = {}
        """For a value and a rank: the value with so many axes."""
        self._fuses = fuses
        self._stored: dict[str, dict[Order, int]] = {}
        self._made_by: dict[str, Node] = {}
        self._fresh = 0

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an ONNX value, in its own order of axes. Raises NoForm: it is not known."""
        if name in self.constants:
            return tuple(self.constants[name].shape)
        if name not in self.known_shapes:
            raise NoForm(f"the shape of `{name}` is not known before the network runs")
        return self.known_shapes[name]

    def constant(self, name: str) -> Array:
        """The numbers of a constant. Raises NoForm: they are computed."""
        if name not in self.constants:
            raise NoForm(f"its input `{name}` must be a constant")
        return self.constants[name]

    def integers(self, name: str) -> list[int]:
        """The numbers of a constant of one axis or none."""
        return [int(number) for number in np.atleast_1d(self.constant(name))]

    def maker(self, name: str) -> Node | None:
        """The node that made a value; None of the network's inputs."""
        return self._made_by.get(name)

    def order(self, name: str) -> Order:
        """The order of axes in which a value was stored first; ONNX's own of a constant."""
        return next(iter(self._stored[name])) if name in self._stored else tuple(range(len(self.shape(name))))

    def value(self, name: str, order: Order) -> int:
        """Return the tensor of a value in an order of its axes. A TRANSPOSE is written where none is stored so."""
        if name in self.constants:
            values = self.constants[name]
            return self.network.constant(_for_litert(values.transpose(order)), name)
        stored = self._stored[name]
        if order not in stored:
            present = self.order(name)
            stored[order] = self._transposed(stored[present], [present.index(axis) for axis in order], name)
        return stored[order]

    def _transposed(self, tensor: int, permutation: Sequence[int], name: str) -> int:
        shape = self.network.shape(tensor)
        moved = [axis for axis in permutation if shape[axis] != 1]
        made = self.fresh(name, [shape[axis] for axis in permutation], self.network.kind(tensor))
        if moved == sorted(moved):  # only axes of size 1 move
            self.reshaped(tensor, made)
        else:
            numbers = self.network.constant(np.array(permutation, np.int32))
            self.network.add("TRANSPOSE", [tensor, numbers], [made], "TransposeOptions")
        return made

    def reshaped(self, tensor: int, made: int) -> None:
        """Write a RESHAPE of a tensor to the shape of another."""
        shape = np.array(self.network.shape(made), np.int32)
        self.network.add("RESHAPE", [tensor, self.network.constant(shape)], [made], "ReshapeOptions", newShape=shape)

    def store(self, name: str, tensor: int, order: Order) -> None:
        """Say that a tensor holds a value in an order."""
        self._stored.setdefault(name, {})[order] = tensor

    def stored(self, name: str) -> Mapping[Order, int]:
        """The tensors of a value, by order."""
        return self._stored[name]

    def made(self, name: str, order: Order, kind: int = FLOAT) -> int:
        """Add the tensor that an operator writes: a value in an order. ``kind``: the schema's type of its numbers."""
        shape = self.shape(name)
        tensor = self.network.tensor(name, [shape[axis] for axis in order], kind=kind)
        self.store(name, tensor, order)
        return tensor

    def fresh(self, name: str, shape: Sequence[int], kind: int = FLOAT) -> int:
        """Add the tensor of a ``part``."""
        return self.network.tensor(self.part(name), shape, kind=kind)

    def ended(self, node: Node, order: Order) -> tuple[int, int]:
        """Return the activation to fuse into a node's operator and the tensor that the operator writes."""
        fused = self._fuses.get(node.outputs[0])
        if fused is None:
            return NOT_FUSED, self.made(node.outputs[0], order)
        self.fused.add(fused.node.name)
        self.record(fused.node)
        return fused.code, self.made(fused.node.outputs[0], order)

    def part(self, name: str) -> str:
        """Return a name for a value that the ONNX network does not have: a numbered step of another value.

        The quantizer leaves steps in float by the name of the value that they lead to. So a step has no name of its own.
        """
        while True:
            self._fresh += 1
            if (step := f"{name}/{self._fresh}") not in self.known_shapes and step not in self.constants:
                return step

    def write(self, op: str, inputs: Sequence[str], made: str, shape: Sequence[int], **attributes: Any) -> None:
        """Convert a node that the ONNX network does not have: a part of another."""
        self.known_shapes[made] = tuple(shape)
        self._rules[op](self, Node(op, made, inputs, [made], attributes))

    def record(self, node: Node) -> None:
        """Remember which node makes a value."""
        for name in node.outputs:
            self._made_by[name] = node

    def number(self, value: float | Array) -> int:
        """A constant of one number or truth value, of LiteRT's type for it."""
        return self.network.constant(_for_litert(np.asarray(value).reshape(())), "number")

    def axes(self, values: Sequence[int]) -> int:
        """A constant list of whole numbers."""
        return self.network.constant(np.array(values, np.int32), "axes")


def last(rank: int) -> Order:
    """The order with the channels at the end: (0, 2, 3, 1) of an image."""
    return (0, *range(2, rank), 1)


def plain(rank: int) -> Order:
    """ONNX's own order."""
    return tuple(range(rank))


def _for_litert(values: Array) -> Array:
    if values.dtype == np.bool_:
        return values
    return values.astype(np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32, copy=False)


def nodes_of(graph: onnx.GraphProto) -> Iterator[Node]:
    """The nodes of a graph in its order."""
    return (Node.read(node) for node in graph.node)
