"""Operators that move, cut or join: they change shapes and orders of axes, and no number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from edgecnn.runtimes.litert_writer.conversion import Conversion, Node, NoForm, Order, last, plain
from edgecnn.runtimes.litert_writer.registry import rule


@rule("Transpose", held="")
def _transpose(conversion: Conversion, node: Node) -> None:
    """Nothing is written: what is stored holds the same numbers under other names of its axes."""
    (given,), (made,) = node.inputs, node.outputs
    rank = len(conversion.shape(given))
    permutation = list(node.attributes.get("perm", reversed(range(rank))))
    if given in conversion.constants:
        conversion.constants[made] = conversion.constants[given].transpose(permutation)
        return
    for order, tensor in conversion.stored(given).items():
        conversion.store(made, tensor, tuple(permutation.index(axis) for axis in order))


class _Regrouping(NamedTuple):
    """A reshape, axes of size 1 apart: which axes together become which others."""

    before: Sequence[Sequence[int]]
    after: Sequence[Sequence[int]]


def _regrouping(before: Sequence[int], after: Sequence[int]) -> _Regrouping:
    """The finest groups of axes, of sizes above 1, whose products are equal."""
    old = [axis for axis, size in enumerate(before) if size != 1]
    new = [axis for axis, size in enumerate(after) if size != 1]
    groups = _Regrouping([], [])
    while old or new:
        taken, made = [old.pop(0)], [new.pop(0)]
        products = [before[taken[0]], after[made[0]]]
        while products[0] != products[1]:
            if products[0] < products[1]:
                taken.append(old.pop(0))
                products[0] *= before[taken[-1]]
            else:
                made.append(new.pop(0))
                products[1] *= after[made[-1]]
        groups.before.append(taken)  # type: ignore[attr-defined]
        groups.after.append(made)  # type: ignore[attr-defined]
    return groups


def _group_order(order: Sequence[int], groups: _Regrouping) -> list[int] | None:
    """The groups in the order in which they are stored; None where the axes of one are apart or exchanged."""
    wide = [axis for axis in order if any(axis in group for group in groups.before)]
    sequence: list[int] = []
    while wide:
        number = next(number for number, group in enumerate(groups.before) if wide[0] in group)
        group = list(groups.before[number])
        if wide[: len(group)] != group:
            return None
        sequence.append(number)
        wide = wide[len(group) :]
    return sequence


def _whole_groups(order: Sequence[int], groups: _Regrouping) -> Order:
    """The nearest order in which the axes of each group follow each other."""
    sequence: list[int] = []
    for axis in order:
        group = next((group for group in groups.before if axis in group), (axis,))
        sequence += [member for member in group if member not in sequence]
    return tuple(sequence)


def _order_of(axes: Sequence[int], rank: int) -> Order:
    """An order in which these axes follow each other: with the channels at the end where that fits, ONNX's own, or ones first."""
    for order in (last(rank), plain(rank)) if rank == 4 else (plain(rank),):
        if [axis for axis in order if axis in axes] == list(axes):
            return order
    return (*(axis for axis in range(rank) if axis not in axes), *axes)


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze", held="", limits="constant sizes, at a batch of one")
def _reshape(conversion: Conversion, node: Node) -> None:
    """An axis that is split or joined where it is stored moves nothing, so that channel shuffles stay what they are."""
    given, made = node.inputs[0], node.outputs[0]
    if given in conversion.constants:
        conversion.constants[made] = conversion.constants[given].reshape(conversion.shape(made))
        return
    reshape(conversion, given, made)


def reshape(conversion: Conversion, given: str, made: str) -> None:
    """Write the reshape of a value to the shape of another."""
    groups = _regrouping(conversion.shape(given), conversion.shape(made))
    orders = [order for order in conversion.stored(given) if _group_order(order, groups) is not None]
    order = orders[0] if orders else _whole_groups(conversion.order(given), groups)
    sequence = _group_order(order, groups)
    assert sequence is not None
    axes = [axis for number in sequence for axis in groups.after[number]]
    tensor = conversion.value(given, order)
    new = _order_of(axes, len(conversion.shape(made)))
    if [conversion.shape(made)[axis] for axis in new] == list(conversion.network.shape(tensor)):
        conversion.store(made, tensor, new)
    else:
        conversion.reshaped(tensor, conversion.made(made, new))


@rule("Identity", held="")
@rule("Dropout", held="", limits="not in training mode")
def _same(conversion: Conversion, node: Node) -> None:
    given, made = node.inputs[0], node.outputs[0]
    if node.op == "Dropout" and node.has(2) and conversion.constant(node.inputs[2]).any():
        raise NoForm("training mode is not supported")
    if given in conversion.constants:
        conversion.constants[made] = conversion.constants[given]
        return
    for order, tensor in conversion.stored(given).items():
        conversion.store(made, tensor, order)


_JOINED_MAX: Final = 5
"""More inputs than these of a CONCATENATION XNNPACK leaves to LiteRT."""


@rule("Concat", held="CONCATENATION")
def _concat(conversion: Conversion, node: Node) -> None:
    """A DenseNet joins all that came before in each layer: what an earlier layer joined is read again."""
    axis = node.attributes["axis"] % len(conversion.shape(node.outputs[0]))
    order, names = largest_order(conversion, node.inputs), list(node.inputs)
    place = order.index(axis)
    for count in range(len(names) - 1, 1, -1):
        if (axis, tuple(names[:count])) in conversion.joined:
            names[:count] = [conversion.joined[axis, tuple(names[:count])]]
            break
    conversion.joined[axis, tuple(node.inputs)] = node.outputs[0]
    values = [conversion.value(name, order) for name in names]
    while len(values) > _JOINED_MAX:
        shape = list(conversion.network.shape(values[0]))
        shape[place] = sum(conversion.network.shape(value)[place] for value in values[:_JOINED_MAX])
        part = conversion.fresh(node.outputs[0], shape)
        conversion.network.add("CONCATENATION", values[:_JOINED_MAX], [part], "ConcatenationOptions", axis=place)
        values[:_JOINED_MAX] = [part]
    made = conversion.made(node.outputs[0], order)
    conversion.network.add("CONCATENATION", values, [made], "ConcatenationOptions", axis=place)


def largest_order(conversion: Conversion, names: Sequence[str]) -> Order:
    """The order in which the largest of several values is stored."""
    computed = [name for name in names if name not in conversion.constants]
    return conversion.order(max(computed, key=lambda name: int(np.prod(conversion.shape(name)))))


@rule("Slice", held="SLICE, STRIDED_SLICE, GATHER", limits="constant starts, ends and steps")
def _slice(conversion: Conversion, node: Node) -> None:
    given, made = node.inputs[0], node.outputs[0]
    shape = conversion.shape(given)
    if "starts" in node.attributes:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = conversion.integers(node.inputs[1]), conversion.integers(node.inputs[2])
        axes = conversion.integers(node.inputs[3]) if node.has(3) else range(len(starts))
        steps = conversion.integers(node.inputs[4]) if node.has(4) else [1] * len(starts)
    cuts = {axis % len(shape): slice(*cut) for axis, *cut in zip(axes, starts, ends, steps, strict=True)}
    cut_out(conversion, given, made, [cuts.get(axis, slice(None)).indices(size) for axis, size in enumerate(shape)])


def cut_out(conversion: Conversion, given: str, made: str, cuts: Sequence[tuple[int, int, int]]) -> None:
    """Write the part of a value between a first and a last index, in steps; ``cuts``: for each axis in ONNX's order."""
    order, cuts = conversion.order(given), list(cuts)
    value = conversion.value(given, order)
    for axis, (first, end, step) in enumerate(cuts):  # backwards, which XNNPACK cannot: the rows are read one by one
        if step < 0:
            rows, place = list(range(first, end, step)), order.index(axis)
            shape = list(conversion.network.shape(value))
            turned = conversion.fresh(made, [*shape[:place], len(rows), *shape[place + 1 :]])
            conversion.network.add("GATHER", [value, conversion.axes(rows)], [turned], "GatherOptions", axis=place)
            value, cuts[axis] = turned, (0, len(rows), 1)
    output = conversion.made(made, order)
    cut(conversion, value, output, [cuts[axis] for axis in order])


def cut(conversion: Conversion, value: int, output: int, cuts: Sequence[tuple[int, int, int]]) -> None:
    """The same of a tensor, whose axes are those of ``cuts``."""
    begin = conversion.axes([first for first, _, _ in cuts])
    if all(step == 1 for _, _, step in cuts):
        size = conversion.axes([max(0, end - first) for first, end, _ in cuts])
        conversion.network.add("SLICE", [value, begin, size], [output], "SliceOptions")
        return
    end, steps = conversion.axes([end for _, end, _ in cuts]), conversion.axes([step for _, _, step in cuts])
    conversion.network.add("STRIDED_SLICE", [value, begin, end, steps], [output], "StridedSliceOptions")


@rule("Split", held="SLICE")
def _split(conversion: Conversion, node: Node) -> None:
    shape, first = conversion.shape(node.inputs[0]), 0
    axis = node.attributes.get("axis", 0) % len(shape)
    for made in node.outputs:
        end = first + conversion.shape(made)[axis]
        cuts = [(first, end, 1) if place == axis else (0, size, 1) for place, size in enumerate(shape)]
        cut_out(conversion, node.inputs[0], made, cuts)
        first = end


@rule("Gather", held="SLICE, GATHER", limits="constant indices")
def _gather(conversion: Conversion, node: Node) -> None:
    given, made = node.inputs[0], node.outputs[0]
    shape, indices = conversion.shape(given), conversion.constant(node.inputs[1])
    axis = node.attributes.get("axis", 0) % len(shape)
    rows = [int(index) % shape[axis] for index in indices.flat]
    order = conversion.order(given)
    value, place = conversion.value(given, order), order.index(axis)
    if indices.ndim == 1 and rows == list(range(shape[axis])):  # all of them, as timm's ConvNeXt reads the batch
        conversion.store(made, value, order)
        return
    if indices.ndim == 0:
        kept = [(rows[0], rows[0] + 1, 1) if at == axis else (0, shape[at], 1) for at in order]
        row = conversion.fresh(made, [end - first for first, end, _ in kept])
        cut(conversion, value, row, kept)
        conversion.reshaped(row, conversion.made(made, without_axes(order, [axis])))
        return
    more = indices.ndim - 1  # axes that take the place of the one that is read
    new = [range(axis, axis + 1 + more) if at == axis else (at + more * (at > axis),) for at in order]
    output = conversion.made(made, tuple(at for places in new for at in places))
    numbers = conversion.network.constant(np.array(rows, np.int32).reshape(indices.shape), "rows")
    conversion.network.add("GATHER", [value, numbers], [output], "GatherOptions", axis=place)


@rule("GatherND", held="GATHER, GATHER_ND", limits="constant indices; not `batch_dims`")
def _gather_nd(conversion: Conversion, node: Node) -> None:
    given, made, indices = node.inputs[0], node.outputs[0], conversion.constant(node.inputs[1])
    if node.attributes.get("batch_dims", 0):
        raise NoForm("`batch_dims` is not supported")
    if indices.shape[-1] == 1:  # whole rows
        rows = conversion.part(made)
        conversion.constants[rows] = indices[..., 0]
        conversion.write("Gather", [given, rows], made, conversion.shape(made), axis=0)
        return
    places = conversion.network.constant((indices % conversion.shape(given)[: indices.shape[-1]]).astype(np.int32), "places")
    value = conversion.value(given, plain(len(conversion.shape(given))))
    output = conversion.made(made, plain(len(conversion.shape(made))))
    conversion.network.add("GATHER_ND", [value, places], [output], "GatherNdOptions")


def without_axes(order: Order, axes: Sequence[int]) -> Order:
    """The order of what is left where some axes are dropped."""
    kept = [axis for axis in order if axis not in axes]
    return tuple(sorted(kept).index(axis) for axis in kept)


@rule("Expand", held="BROADCAST_TO", limits="constant sizes")
def _expand(conversion: Conversion, node: Node) -> None:
    given, made = node.inputs[0], node.outputs[0]
    wide = with_rank(conversion, given, len(conversion.shape(made)))
    order = conversion.order(wide)
    if conversion.shape(wide) == conversion.shape(made):
        conversion.store(made, conversion.value(wide, order), order)
        return
    output = conversion.made(made, order)
    shape = conversion.axes([conversion.shape(made)[axis] for axis in order])
    conversion.network.add("BROADCAST_TO", [conversion.value(wide, order), shape], [output])


@rule("Tile", held="TILE", limits="constant repeats")
def _tile(conversion: Conversion, node: Node) -> None:
    order, repeats = conversion.order(node.inputs[0]), conversion.integers(node.inputs[1])
    value, output = conversion.value(node.inputs[0], order), conversion.made(node.outputs[0], order)
    conversion.network.add("TILE", [value, conversion.axes([repeats[axis] for axis in order])], [output], "TileOptions")


def with_rank(conversion: Conversion, name: str, rank: int) -> str:
    """A value with axes of size 1 before its own, as ONNX broadcasts."""
    shape = conversion.shape(name)
    if len(shape) == rank:
        return name
    if (name, rank) in conversion.widened:
        return conversion.widened[name, rank]
    wide = conversion.widened[name, rank] = conversion.part(name)
    if name in conversion.constants:
        conversion.constants[wide] = conversion.constants[name].reshape((1,) * (rank - len(shape)) + shape)
    else:
        conversion.known_shapes[wide] = (1,) * (rank - len(shape)) + shape
        reshape(conversion, name, wide)
    return wide
