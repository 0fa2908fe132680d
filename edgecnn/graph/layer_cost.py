"""The arithmetic of cost, on a list of operations: the same for a traced network and for an ONNX file.

Multiply-adds are the outputs of a layer times the products that each of them sums. Nothing else is multiplied: additions,
activations and pooling are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from edgecnn.values.layers import LayerCost

BYTES = 4
"""Of a float32."""


class Product(NamedTuple):
    """Multiply-adds as what is made times what each is made of."""

    outputs: tuple[int, ...]
    terms: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Their number."""
        return prod(self.outputs) * prod(self.terms)


class Window(NamedTuple):
    """What one output position of a convolution or a pooling looks at, of its larger side."""

    kernel: int
    stride: int
    dilation: int = 1
    pad: int = 0
    """Positions before the first; of a traced network nobody asks, and it is 0."""

    @property
    def reach(self) -> int:
        """From its first to its last position."""
        return (self.kernel - 1) * self.dilation


class Operation(NamedTuple):
    """One step of a network for one image. Tensors go by number or name; weights are not among them."""

    name: str
    op: str
    reads: tuple[int | str, ...]
    makes: tuple[int | str, ...]
    shape: tuple[int, ...]
    """Of its first output, batch included."""
    elements: int
    """Of all its outputs."""
    product: Product | None = None
    window: Window | None = None
    parameters: int = 0
    in_place: bool = False
    """It may write over its input, where nobody reads that later."""

    @property
    def is_layer(self) -> bool:
        """Whether it has a row of its own, unless it is part of the layer before it."""
        return bool(self.product or self.window or self.parameters)


class Field(NamedTuple):
    """What one position of a tensor sees of the image, and how many pixels the next one is away."""

    size: int
    jump: int
    start: int = 0
    """The first pixel that position 0 sees; negative where that is padding."""


class Counted(NamedTuple):
    """The layers, and what holds of all of them."""

    layers: tuple[LayerCost, ...]
    activation_bytes: int
    activation_peak: str
    receptive_field_px: int | None


def counted(operations: Sequence[Operation], image: int | str, shape: Sequence[int]) -> Counted:
    """Cost of each layer, in the order in which they run. ``shape``: of the image, batch included."""
    live = _live_bytes(operations, image, prod(shape))
    fields = fields_of(operations, image)
    folded, into = _folded(operations)
    layers = [
        _layer(each, (fields, live[index]), into.get(index, 0))
        for index, each in enumerate(operations)
        if index not in folded and each.is_layer
    ]
    peak = max(range(len(operations)), key=live.__getitem__)
    beside = [index for index, each in enumerate(operations) if each.is_layer]
    beside = [*[index for index in beside if index <= peak][-1:], *[index for index in beside if index >= peak][:1]]
    at = operations[max(beside, key=live.__getitem__, default=peak)]  # what holds the most need not be a layer that is listed
    seen = [field.size for each in operations if each.window and (field := fields[each.makes[0]]) is not None]
    return Counted(tuple(layers), live[peak], at.name, max(seen, default=None))


def tallied(operations: Sequence[Operation], known: Sequence[str]) -> Mapping[str, int]:
    """Operators among ``known`` whose products were not counted, to how many there are."""
    return dict(sorted(Counter(each.op for each in operations if each.op in known and each.product is None).items()))


def fields_of(operations: Sequence[Operation], image: int | str) -> dict[int | str, Field | None]:
    """None of what sees the whole image. A gate, which is one value a channel, widens nothing that it multiplies."""
    fields: dict[int | str, Field | None] = {image: Field(1, 1)}
    spread: dict[int | str, bool] = {image: True}
    for each in operations:
        maps = [name for name in each.reads if spread.get(name)]
        field = _widest([fields[name] for name in maps]) if maps else None
        if field is not None and each.window is not None:
            size, start = field.size + each.window.reach * field.jump, field.start - each.window.pad * field.jump
            field = Field(size, field.jump * each.window.stride, start)
        is_map = field is not None and len(each.shape) == 4 and (prod(each.shape[2:]) > 1 or each.window is not None)
        for name in each.makes:
            fields[name], spread[name] = (field, True) if is_map else (None, False)
    return fields


def _live_bytes(operations: Sequence[Operation], image: int | str, elements: int) -> list[int]:
    """Bytes held while each operation runs."""
    last = {name: index for index, each in enumerate(operations) for name in each.reads}
    sizes, held, found = {image: elements}, {image: elements}, []
    for index, each in enumerate(operations):
        dying = [name for name in dict.fromkeys(each.reads) if last[name] == index and name in held]
        over = next((name for name in dying if each.in_place and sizes[name] == each.elements), None)
        new = 0 if over is not None else each.elements
        found.append(BYTES * (sum(held.values()) + new))
        for name in dying:
            del held[name]
        first = each.makes[0]
        sizes[first] = each.elements
        if first in last:
            held[first] = each.elements
    return found


def _widest(fields: Sequence[Field | None]) -> Field | None:
    known = [field for field in fields if field is not None]
    return max(known) if len(known) == len(fields) else None


def _folded(operations: Sequence[Operation]) -> tuple[set[int], dict[int, int]]:
    """Batch norms right behind a layer that multiplies, and that layer to how many parameters they add."""
    makers = {each.makes[0]: index for index, each in enumerate(operations) if each.product is not None}
    folded: set[int] = set()
    into: dict[int, int] = {}
    for index, each in enumerate(operations):
        if each.op == "BatchNormalization" and each.reads and each.reads[0] in makers:
            folded.add(index)
            maker = makers[each.reads[0]]
            into[maker] = into.get(maker, 0) + each.parameters
    return folded, into


def _layer(each: Operation, state: tuple[Mapping[int | str, Field | None], int], norms: int) -> LayerCost:
    fields, live = state
    after = fields[each.makes[0]]
    return LayerCost(
        name=each.name,
        op=each.op,
        parameters=each.parameters + norms,
        macs=each.product.macs if each.product else 0,
        output=each.shape[1:],
        output_bytes=BYTES * each.elements,
        live_bytes=live,
        receptive_field_px=None if after is None else after.size,
        arithmetic=tuple(_sentences(each, fields, norms)),
    )


def _sentences(each: Operation, fields: Mapping[int | str, Field | None], norms: int) -> list[str]:
    said = []
    if each.product:
        outputs, terms = (" × ".join(f"{size:,}" for size in sizes) for sizes in each.product)
        said.append(f"multiply-adds: {outputs} outputs of {terms} products each = {each.product.macs:,}")
    if each.parameters or norms:
        said.append(f"parameters: {_learned(each, norms)}")
    shape = " × ".join(f"{size:,}" for size in each.shape[1:])
    said.append(f"output: {shape} of 4 bytes = {BYTES * each.elements:,} bytes")
    before = next((field for name in each.reads if (field := fields.get(name)) is not None), None)
    after = fields[each.makes[0]]
    if each.window and before and after:
        reach = f"({each.window.kernel} − 1)" + (f" × {each.window.dilation}" if each.window.dilation > 1 else "")
        said.append(f"receptive field: {before.size} + {reach} × {before.jump} px a step = {after.size} px")
    elif after is None:
        said.append("receptive field: the whole image")
    return said


def _learned(each: Operation, norms: int) -> str:
    """Weights by their sizes, biases and the batch norm behind them, and their sum."""
    parts, rest = [], each.parameters
    if each.product:
        outputs, terms = each.product
        made = outputs[0] if len(terms) > 1 else outputs[-1]
        if made * prod(terms) <= rest:
            rest -= made * prod(terms)
            parts.append(" × ".join(f"{size:,}" for size in (made, *terms)) + " weights")
    parts += [f"{rest:,} biases" if parts else f"{rest:,}"] if rest else []
    parts += [f"{norms:,} of the batch norm behind them"] if norms else []
    return f"{' + '.join(parts)} = {each.parameters + norms:,}" if len(parts) > 1 or each.product else parts[0]
