"""Operators that move, cut or join tensors: they change shapes and orders of axes, but no number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from edgecnn.runtimes.litert_writer.conversion import Conversion, Node, NoForm, Order, channels_last, onnx_order, rule


@rule("Transpose", writes="")
def _transpose(conversion: Conversion, node: Node) -> None:
    """Write nothing: the stored tensors hold the same numbers, with their axes renamed."""
    (source,), (result,) = node.inputs, node.outputs
    rank = len(conversion.shape(source))
    permutation = list(node.attributes.get("perm", reversed(range(rank))))
    if source in conversion.constants:
        conversion.constants[result] = conversion.constants[source].transpose(permutation)
        return
    for order, tensor in conversion.tensors_of(source).items():
        conversion.store(result, tensor, tuple(permutation.index(axis) for axis in order))


class _Regrouping(NamedTuple):
    """A reshape without axes of size 1: which group of axes becomes which other group."""

    before: Sequence[Sequence[int]]
    after: Sequence[Sequence[int]]


def _regroup(before: Sequence[int], after: Sequence[int]) -> _Regrouping:
    """Return the finest groups of axes of sizes above 1 whose products are equal."""
    old = [axis for axis, size in enumerate(before) if size != 1]
    new = [axis for axis, size in enumerate(after) if size != 1]
    groups = _Regrouping([], [])
    while old or new:
        old_group, new_group = [old.pop(0)], [new.pop(0)]
        products = [before[old_group[0]], after[new_group[0]]]
        while products[0] != products[1]:
            if products[0] < products[1]:
                old_group.append(old.pop(0))
                products[0] *= before[old_group[-1]]
            else:
                new_group.append(new.pop(0))
                products[1] *= after[new_group[-1]]
        groups.before.append(old_group)  # type: ignore[attr-defined]
        groups.after.append(new_group)  # type: ignore[attr-defined]
    return groups


def _group_order(order: Sequence[int], groups: _Regrouping) -> list[int] | None:
    """Return the groups in stored order; None if the axes of a group are apart or swapped."""
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


def _order_with_whole_groups(order: Sequence[int], groups: _Regrouping) -> Order:
    """Return the nearest order in which the axes of each group are adjacent."""
    sequence: list[int] = []
    for axis in order:
        group = next((group for group in groups.before if axis in group), (axis,))
        sequence += [member for member in group if member not in sequence]
    return tuple(sequence)


def _order_keeping(axes: Sequence[int], rank: int) -> Order:
    """Return an order that keeps these axes in sequence: channels last if that fits, else ONNX's order, else other axes first."""
    for order in (channels_last(rank), onnx_order(rank)) if rank == 4 else (onnx_order(rank),):
        if [axis for axis in order if axis in axes] == list(axes):
            return order
    return (*(axis for axis in range(rank) if axis not in axes), *axes)


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze", writes="", limits="constant sizes, at a batch of one")
def _reshape(conversion: Conversion, node: Node) -> None:
    """Write a reshape. Axes that are split or joined in the stored order, as in a channel shuffle, need no TRANSPOSE."""
    source, result = node.inputs[0], node.outputs[0]
    if source in conversion.constants:
        conversion.constants[result] = conversion.constants[source].reshape(conversion.shape(result))
        return
    reshape(conversion, source, result)


def reshape(conversion: Conversion, source: str, result: str) -> None:
    """Write the reshape of a value to the shape of ``result``."""
    groups = _regroup(conversion.shape(source), conversion.shape(result))
    orders = [order for order in conversion.tensors_of(source) if _group_order(order, groups) is not None]
    order = orders[0] if orders else _order_with_whole_groups(conversion.order(source), groups)
    sequence = _group_order(order, groups)
    assert sequence is not None
    axes = [axis for number in sequence for axis in groups.after[number]]
    tensor = conversion.value(source, order)
    new = _order_keeping(axes, len(conversion.shape(result)))
    if [conversion.shape(result)[axis] for axis in new] == list(conversion.network.shape(tensor)):
        conversion.store(result, tensor, new)
    else:
        conversion.write_reshape(tensor, conversion.add_output(result, new))


@rule("Identity", writes="")
@rule("Dropout", writes="", limits="not in training mode")
def _same(conversion: Conversion, node: Node) -> None:
    source, result = node.inputs[0], node.outputs[0]
    if node.op == "Dropout" and node.has(2) and conversion.constant(node.inputs[2]).any():
        raise NoForm("training mode is not supported")
    if source in conversion.constants:
        conversion.constants[result] = conversion.constants[source]
        return
    for order, tensor in conversion.tensors_of(source).items():
        conversion.store(result, tensor, order)


_JOINED_MAX: Final = 5
"""XNNPACK leaves a CONCATENATION of more inputs to LiteRT."""


@rule("Concat", writes="CONCATENATION")
def _concat(conversion: Conversion, node: Node) -> None:
    """Write a concatenation. It reuses an earlier one of its first inputs: DenseNet's layers join all values before them."""
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
        part = conversion.add_part(node.outputs[0], shape)
        conversion.network.add("CONCATENATION", values[:_JOINED_MAX], [part], "ConcatenationOptions", axis=place)
        values[:_JOINED_MAX] = [part]
    made = conversion.add_output(node.outputs[0], order)
    conversion.network.add("CONCATENATION", values, [made], "ConcatenationOptions", axis=place)


def largest_order(conversion: Conversion, names: Sequence[str]) -> Order:
    """Return the order in which the largest of the values is stored."""
    computed = [name for name in names if name not in conversion.constants]
    return conversion.order(max(computed, key=lambda name: int(np.prod(conversion.shape(name)))))


@rule("Slice", writes="SLICE, STRIDED_SLICE, GATHER", limits="constant starts, ends and steps")
def _slice(conversion: Conversion, node: Node) -> None:
    source, result = node.inputs[0], node.outputs[0]
    shape = conversion.shape(source)
    if "starts" in node.attributes:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = conversion.integers(node.inputs[1]), conversion.integers(node.inputs[2])
        axes = conversion.integers(node.inputs[3]) if node.has(3) else range(len(starts))
        steps = conversion.integers(node.inputs[4]) if node.has(4) else [1] * len(starts)
    cuts = {axis % len(shape): slice(*cut) for axis, *cut in zip(axes, starts, ends, steps, strict=True)}
    cut_out(conversion, source, result, [cuts.get(axis, slice(None)).indices(size) for axis, size in enumerate(shape)])


def cut_out(conversion: Conversion, source: str, result: str, cuts: Sequence[tuple[int, int, int]]) -> None:
    """Write a slice of a value. ``cuts``: start, stop and step of each axis in ONNX's order."""
    order, cuts = conversion.order(source), list(cuts)
    value = conversion.value(source, order)
    for axis, (first, end, step) in enumerate(cuts):  # XNNPACK has no negative step: gather the rows
        if step < 0:
            rows, place = list(range(first, end, step)), order.index(axis)
            shape = list(conversion.network.shape(value))
            turned = conversion.add_part(result, [*shape[:place], len(rows), *shape[place + 1 :]])
            conversion.network.add("GATHER", [value, conversion.add_integers(rows)], [turned], "GatherOptions", axis=place)
            value, cuts[axis] = turned, (0, len(rows), 1)
    output = conversion.add_output(result, order)
    cut(conversion, value, output, [cuts[axis] for axis in order])


def cut(conversion: Conversion, value: int, output: int, cuts: Sequence[tuple[int, int, int]]) -> None:
    """Write a slice of a tensor. ``cuts``: start, stop and step of each axis of the tensor."""
    begin = conversion.add_integers([first for first, _, _ in cuts])
    if all(step == 1 for _, _, step in cuts):
        size = conversion.add_integers([max(0, end - first) for first, end, _ in cuts])
        conversion.network.add("SLICE", [value, begin, size], [output], "SliceOptions")
        return
    end, steps = conversion.add_integers([end for _, end, _ in cuts]), conversion.add_integers([step for _, _, step in cuts])
    conversion.network.add("STRIDED_SLICE", [value, begin, end, steps], [output], "StridedSliceOptions")


@rule("Split", writes="SLICE")
def _split(conversion: Conversion, node: Node) -> None:
    shape, first = conversion.shape(node.inputs[0]), 0
    axis = node.attributes.get("axis", 0) % len(shape)
    for result in node.outputs:
        end = first + conversion.shape(result)[axis]
        cuts = [(first, end, 1) if place == axis else (0, size, 1) for place, size in enumerate(shape)]
        cut_out(conversion, node.inputs[0], result, cuts)
        first = end


@rule("Gather", writes="SLICE, GATHER", limits="constant indices")
def _gather(conversion: Conversion, node: Node) -> None:
    source, result = node.inputs[0], node.outputs[0]
    shape, indices = conversion.shape(source), conversion.constant(node.inputs[1])
    axis = node.attributes.get("axis", 0) % len(shape)
    rows = [int(index) % shape[axis] for index in indices.flat]
    order = conversion.order(source)
    value, place = conversion.value(source, order), order.index(axis)
    if indices.ndim == 1 and rows == list(range(shape[axis])):  # all rows, as timm's ConvNeXt reads the batch
        conversion.store(result, value, order)
        return
    if indices.ndim == 0:
        cuts = [(rows[0], rows[0] + 1, 1) if at == axis else (0, shape[at], 1) for at in order]
        row = conversion.add_part(result, [end - first for first, end, _ in cuts])
        cut(conversion, value, row, cuts)
        conversion.write_reshape(row, conversion.add_output(result, drop_axes(order, [axis])))
        return
    more = indices.ndim - 1  # the indexed axis becomes this many axes more
    new = [range(axis, axis + 1 + more) if at == axis else (at + more * (at > axis),) for at in order]
    output = conversion.add_output(result, tuple(at for places in new for at in places))
    numbers = conversion.network.constant(np.array(rows, np.int32).reshape(indices.shape), "rows")
    conversion.network.add("GATHER", [value, numbers], [output], "GatherOptions", axis=place)


@rule("GatherND", writes="GATHER, GATHER_ND", limits="constant indices; not `batch_dims`")
def _gather_nd(conversion: Conversion, node: Node) -> None:
    source, result, indices = node.inputs[0], node.outputs[0], conversion.constant(node.inputs[1])
    if node.attributes.get("batch_dims", 0):
        raise NoForm("`batch_dims` is not supported")
    if indices.shape[-1] == 1:  # whole rows
        rows = conversion.part_name(result)
        conversion.constants[rows] = indices[..., 0]
        conversion.write("Gather", [source, rows], result, conversion.shape(result), axis=0)
        return
    places = conversion.network.constant((indices % conversion.shape(source)[: indices.shape[-1]]).astype(np.int32), "places")
    value = conversion.value(source, onnx_order(len(conversion.shape(source))))
    output = conversion.add_output(result, onnx_order(len(conversion.shape(result))))
    conversion.network.add("GATHER_ND", [value, places], [output], "GatherNdOptions")


def drop_axes(order: Order, axes: Sequence[int]) -> Order:
    """Return the order of the remaining axes, renumbered."""
    remaining = [axis for axis in order if axis not in axes]
    return tuple(sorted(remaining).index(axis) for axis in remaining)


@rule("Expand", writes="BROADCAST_TO", limits="constant sizes")
def _expand(conversion: Conversion, node: Node) -> None:
    source, result = node.inputs[0], node.outputs[0]
    wide = widen(conversion, source, len(conversion.shape(result)))
    order = conversion.order(wide)
    if conversion.shape(wide) == conversion.shape(result):
        conversion.store(result, conversion.value(wide, order), order)
        return
    output = conversion.add_output(result, order)
    shape = conversion.add_integers([conversion.shape(result)[axis] for axis in order])
    conversion.network.add("BROADCAST_TO", [conversion.value(wide, order), shape], [output])


@rule("Tile", writes="TILE", limits="constant repeats")
def _tile(conversion: Conversion, node: Node) -> None:
    order, repeats = conversion.order(node.inputs[0]), conversion.integers(node.inputs[1])
    value, output = conversion.value(node.inputs[0], order), conversion.add_output(node.outputs[0], order)
    conversion.network.add("TILE", [value, conversion.add_integers([repeats[axis] for axis in order])], [output], "TileOptions")


def widen(conversion: Conversion, name: str, rank: int) -> str:
    """Return a value with group_action axes of size 1 up to a rank, as ONNX broadcasts it."""
    shape = conversion.shape(name)
    if len(shape) == rank:
        return name
    if (name, rank) in conversion.widened:
        return conversion.widened[name, rank]
    wide = conversion.widened[name, rank] = conversion.part_name(name)
    if name in conversion.constants:
        conversion.constants[wide] = conversion.constants[name].reshape((1,) * (rank - len(shape)) + shape)
    else:
        conversion.known_shapes[wide] = (1,) * (rank - len(shape)) + shape
        reshape(conversion, name, wide)
    return wide
