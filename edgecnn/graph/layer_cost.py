"""Compute costs from a list of operations, for traced networks and ONNX files alike.

Multiply-adds are a layer's outputs times the products that each output sums. Additions, activations and pooling are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from edgecnn.values.layers import LayerCost

BYTES = 4
"""Bytes of a float32."""


class Product(NamedTuple):
    """Multiply-adds as the number of outputs times the products of each."""

    outputs: tuple[int, ...]
    terms: tuple[int, ...]

    @property
    def macs(self) -> int:
        """The number of multiply-adds."""
        return prod(self.outputs) * prod(self.terms)


class Window(NamedTuple):
    """The input positions of one output of a convolution or a pooling, along its larger side."""

    kernel: int
    stride: int
    dilation: int = 1
    pad: int = 0
    """Padding before the first position; 0 for a traced network, where it is not needed."""

    @property
    def reach(self) -> int:
        """Distance from the first to the last position."""
        return (self.kernel - 1) * self.dilation


class Operation(NamedTuple):
    """A step of a network for one image. Tensors are identified by number or name; weights are excluded."""

    name: str
    op: str
    reads: tuple[int | str, ...]
    makes: tuple[int | str, ...]
    shape: tuple[int, ...]
    """Shape of its first output, with batch."""
    elements: int
    """Elements of all its outputs."""
    product: Product | None = None
    window: Window | None = None
    parameters: int = 0
    in_place: bool = False
    """Whether the operation may overwrite its input, if nothing reads the input later."""

    @property
    def is_layer(self) -> bool:
        """Whether the operation has its own row, unless it is part of the layer before it."""
        return bool(self.product or self.window or self.parameters)


class Field(NamedTuple):
    """The receptive field of one position of a tensor, and the distance in pixels to the next position's."""

    size: int
    jump: int
    start: int = 0
    """The first pixel that position 0 sees; negative if that is padding."""


class LayerCosts(NamedTuple):
    """The layers, and totals over all of them."""

    layers: tuple[LayerCost, ...]
    activation_bytes: int
    activation_peak: str
    receptive_field_px: int | None


def cost_of_layers(operations: Sequence[Operation], image: int | str, shape: Sequence[int]) -> LayerCosts:
    """Return the cost of each layer in execution order. ``shape``: of the image, with batch."""
    live = _live_bytes(operations, image, prod(shape))
    fields = fields_of(operations, image)
    folded, into = _folded_norms(operations)
    layers = [
        _layer(operation, (fields, live[index]), into.get(index, 0))
        for index, operation in enumerate(operations)
        if index not in folded and operation.is_layer
    ]
    peak = max(range(len(operations)), key=live.__getitem__)
    listed = [index for index, operation in enumerate(operations) if operation.is_layer]
    nearest = [*[index for index in listed if index <= peak][-1:], *[index for index in listed if index >= peak][:1]]
    at = operations[max(nearest, key=live.__getitem__, default=peak)]  # the largest tensors need not belong to a listed layer
    fields_px = [field.size for operation in operations if operation.window and (field := fields[operation.makes[0]]) is not None]
    return LayerCosts(tuple(layers), live[peak], at.name, max(fields_px, default=None))


def uncounted_products(operations: Sequence[Operation], known: Sequence[str]) -> Mapping[str, int]:
    """Return the number of operators with uncounted products, for each type in ``known``."""
    uncounted = (operation.op for operation in operations if operation.op in known and operation.product is None)
    return dict(sorted(Counter(uncounted).items()))


def fields_of(operations: Sequence[Operation], image: int | str) -> dict[int | str, Field | None]:
    """Return the fields of tensors; None if a position sees the whole image. A gate with one value a channel does not widen
    fields.
    """
    fields: dict[int | str, Field | None] = {image: Field(1, 1)}
    spread: dict[int | str, bool] = {image: True}
    for operation in operations:
        maps = [name for name in operation.reads if spread.get(name)]
        known = [field for name in maps if (field := fields[name]) is not None]
        field = max(known) if known and len(known) == len(maps) else None
        if field is not None and operation.window is not None:
            size, start = field.size + operation.window.reach * field.jump, field.start - operation.window.pad * field.jump
            field = Field(size, field.jump * operation.window.stride, start)
        has_area = len(operation.shape) == 4 and (prod(operation.shape[2:]) > 1 or operation.window is not None)
        is_map = field is not None and has_area
        for name in operation.makes:
            fields[name], spread[name] = (field, True) if is_map else (None, False)
    return fields


def _live_bytes(operations: Sequence[Operation], image: int | str, elements: int) -> list[int]:
    """Return the bytes in memory while each operation runs."""
    last = {name: index for index, operation in enumerate(operations) for name in operation.reads}
    sizes, held, live_bytes = {image: elements}, {image: elements}, []
    for index, operation in enumerate(operations):
        dying = [name for name in dict.fromkeys(operation.reads) if last[name] == index and name in held]
        over = next((name for name in dying if operation.in_place and sizes[name] == operation.elements), None)
        new = 0 if over is not None else operation.elements
        live_bytes.append(BYTES * (sum(held.values()) + new))
        for name in dying:
            del held[name]
        first = operation.makes[0]
        sizes[first] = operation.elements
        if first in last:
            held[first] = operation.elements
    return live_bytes


def _folded_norms(operations: Sequence[Operation]) -> tuple[set[int], dict[int, int]]:
    """Return batch norms right after a multiplying layer, and the parameters that they add to each layer."""
    makers = {operation.makes[0]: index for index, operation in enumerate(operations) if operation.product is not None}
    folded: set[int] = set()
    into: dict[int, int] = {}
    for index, operation in enumerate(operations):
        if operation.op == "BatchNormalization" and operation.reads and operation.reads[0] in makers:
            folded.add(index)
            maker = makers[operation.reads[0]]
            into[maker] = into.get(maker, 0) + operation.parameters
    return folded, into


def _layer(operation: Operation, state: tuple[Mapping[int | str, Field | None], int], norms: int) -> LayerCost:
    fields, live = state
    after = fields[operation.makes[0]]
    return LayerCost(
        name=operation.name,
        op=operation.op,
        parameters=operation.parameters + norms,
        macs=operation.product.macs if operation.product else 0,
        output=operation.shape[1:],
        output_bytes=BYTES * operation.elements,
        live_bytes=live,
        receptive_field_px=None if after is None else after.size,
        arithmetic=tuple(_sentences(operation, fields, norms)),
    )


def _sentences(operation: Operation, fields: Mapping[int | str, Field | None], norms: int) -> list[str]:
    sentences = []
    if operation.product:
        outputs, terms = (" × ".join(f"{size:,}" for size in sizes) for sizes in operation.product)
        sentences.append(f"multiply-adds: {outputs} outputs of {terms} products each = {operation.product.macs:,}")
    if operation.parameters or norms:
        sentences.append(f"parameters: {_parameter_sum(operation, norms)}")
    shape = " × ".join(f"{size:,}" for size in operation.shape[1:])
    sentences.append(f"output: {shape} of 4 bytes = {BYTES * operation.elements:,} bytes")
    before = next((field for name in operation.reads if (field := fields.get(name)) is not None), None)
    after = fields[operation.makes[0]]
    if operation.window and before and after:
        dilation = f" × {operation.window.dilation}" if operation.window.dilation > 1 else ""
        reach = f"({operation.window.kernel} − 1){dilation}"
        sentences.append(f"receptive field: {before.size} + {reach} × {before.jump} px a step = {after.size} px")
    elif after is None:
        sentences.append("receptive field: the whole image")
    return sentences


def _parameter_sum(operation: Operation, norms: int) -> str:
    """Return weights by size, biases and batch norm, and their sum."""
    parts, rest = [], operation.parameters
    if operation.product:
        outputs, terms = operation.product
        made = outputs[0] if len(terms) > 1 else outputs[-1]
        if made * prod(terms) <= rest:
            rest -= made * prod(terms)
            parts.append(" × ".join(f"{size:,}" for size in (made, *terms)) + " weights")
    parts += [f"{rest:,} biases" if parts else f"{rest:,}"] if rest else []
    parts += [f"{norms:,} of the batch norm behind them"] if norms else []
    return f"{' + '.join(parts)} = {operation.parameters + norms:,}" if len(parts) > 1 or operation.product else parts[0]
