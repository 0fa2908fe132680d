"""Operators that give an image another size: padding, resizing, blocks; and local response normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantization.litert_writer.axes import cut
from edgecnn.quantization.litert_writer.conversion import Conversion, Node, NoForm, last
from edgecnn.quantization.litert_writer.registry import rule

_IMAGE: Final = last(4)


@rule("Pad")
def _pad(conversion: Conversion, node: Node) -> None:
    pads = conversion.integers(node.inputs[1]) if node.has(1) else list(node.attributes["pads"])
    rank = len(conversion.shape(node.inputs[0]))
    axes = [axis % rank for axis in conversion.integers(node.inputs[3])] if node.has(3) else list(range(rank))
    sides = {axis: (pads[place], pads[place + len(axes)]) for place, axis in enumerate(axes)}
    order = conversion.order(node.inputs[0])
    value, made = conversion.value(node.inputs[0], order), conversion.made(node.outputs[0], order)
    stated = np.array([sides.get(axis, (0, 0)) for axis in order], np.int32)
    table = np.maximum(stated, 0)
    if (stated < 0).any():  # which cuts
        whole = conversion.network.shape(value)
        cuts = [(max(0, -before), size + min(0, after), 1) for (before, after), size in zip(stated, whole, strict=True)]
        uncut, value = value, made
        if table.any():
            value = conversion.fresh(node.name, [end - first for first, end, _ in cuts])
        cut(conversion, uncut, value, cuts)
        if not table.any():
            return
    mode = node.attributes.get("mode", b"constant")
    if mode == b"constant":
        filling = float(conversion.constant(node.inputs[2])) if node.has(2) else float(node.attributes.get("value", 0.0))
        sizes = conversion.network.constant(table, "pads")
        if filling == 0.0:
            conversion.network.add("PAD", [value, sizes], [made], "PadOptions")
        else:
            conversion.network.add("PADV2", [value, sizes, conversion.number(filling)], [made], "PadV2Options")
    elif mode == b"reflect":
        sizes = conversion.network.constant(table, "pads")
        conversion.network.add("MIRROR_PAD", [value, sizes], [made], "MirrorPadOptions", mode=schema.MirrorPadMode.REFLECT)
    else:
        _gathered(conversion, value, made, [(tuple(pair), mode) for pair in table])


def _gathered(conversion: Conversion, value: int, made: int, sides: Sequence[tuple[tuple[int, int], bytes]]) -> None:
    """Pad with the image's own edge (``edge``) or with its other end (``wrap``): rows are read again."""
    padded = [axis for axis, ((before, after), _) in enumerate(sides) if before or after]
    for axis in padded:
        (before, after), mode = sides[axis]
        size = conversion.network.shape(value)
        rows = np.arange(-before, size[axis] + after)
        rows = rows % size[axis] if mode == b"wrap" else np.clip(rows, 0, size[axis] - 1)
        shape = [*size[:axis], len(rows), *size[axis + 1 :]]
        target = made if axis == padded[-1] else conversion.fresh("pad", shape)
        conversion.network.add("GATHER", [value, conversion.axes(list(rows))], [target], "GatherOptions", axis=axis)
        value = target
    if not padded:
        conversion.reshaped(value, made)


@rule("Resize")
def _resize(conversion: Conversion, node: Node) -> None:
    shape, made = conversion.shape(node.inputs[0]), conversion.shape(node.outputs[0])
    mode = node.attributes.get("mode", b"nearest").decode()
    position = node.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    if len(shape) != 4 or shape[:2] != made[:2]:
        raise NoForm("LiteRT resizes the height and the width of an image alone")
    if mode == "nearest":
        _resize_nearest(conversion, node, position)
        return
    half = position in ("half_pixel", "pytorch_half_pixel")
    if mode != "linear" or not (half or position in ("align_corners", "asymmetric")) or node.attributes.get("antialias", 0):
        raise NoForm(f"LiteRT has no resizing by {mode} with {position}")
    options: dict[str, Any] = {"halfPixelCenters": half, "alignCorners": position == "align_corners"}
    inputs = [conversion.value(node.inputs[0], _IMAGE), conversion.axes(list(made[2:]))]
    conversion.network.add(
        "RESIZE_BILINEAR", inputs, [conversion.made(node.outputs[0], _IMAGE)], "ResizeBilinearOptions", **options
    )


def _resize_nearest(conversion: Conversion, node: Node, position: str) -> None:
    """Copy rows. LiteRT's operator rounds down as ONNX may be told to; other rounding reads the rows one by one."""
    size, made = conversion.shape(node.inputs[0])[2:], conversion.shape(node.outputs[0])[2:]
    image, output = conversion.value(node.inputs[0], _IMAGE), conversion.made(node.outputs[0], _IMAGE)
    rounding = node.attributes.get("nearest_mode", b"round_prefer_floor").decode()
    rows = [_rows(*sizes, position, rounding) for sizes in zip(size, made, strict=True)]
    if all(
        list(row) == [place * before // after for place in range(after)]
        for row, before, after in zip(rows, size, made, strict=True)
    ):
        table = "ResizeNearestNeighborOptions"
        conversion.network.add("RESIZE_NEAREST_NEIGHBOR", [image, conversion.axes(list(made))], [output], table)
        return
    shape = conversion.network.shape(image)
    higher = conversion.fresh(node.name, [shape[0], made[0], *shape[2:]])
    conversion.network.add("GATHER", [image, conversion.axes(rows[0])], [higher], "GatherOptions", axis=1)
    conversion.network.add("GATHER", [higher, conversion.axes(rows[1])], [output], "GatherOptions", axis=2)


def _rows(before: int, after: int, position: str, rounding: str) -> list[int]:
    """Which row each new row copies, by ONNX's definition of Resize. Raises NoForm: by another definition than these."""
    places, scale = np.arange(after, dtype=np.float64), after / before
    if position == "asymmetric":
        at = places / scale
    elif position == "half_pixel" or (position == "pytorch_half_pixel" and after > 1):
        at = (places + 0.5) / scale - 0.5
    elif position == "align_corners" and after > 1:
        at = places * (before - 1) / (after - 1)
    else:
        raise NoForm(f"LiteRT has no resizing by nearest with {position}")
    rounded = {
        "floor": np.floor(at),
        "ceil": np.ceil(at),
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
    }
    return [int(row) for row in np.clip(rounded[rounding], 0, before - 1)]


@rule("DepthToSpace")
def _depth_to_space(conversion: Conversion, node: Node) -> None:
    if node.attributes.get("mode", b"DCR") != b"DCR":
        raise NoForm("LiteRT has DEPTH_TO_SPACE in the mode DCR alone")
    _moved_blocks(conversion, node, "DEPTH_TO_SPACE", "DepthToSpaceOptions")


@rule("SpaceToDepth")
def _space_to_depth(conversion: Conversion, node: Node) -> None:
    _moved_blocks(conversion, node, "SPACE_TO_DEPTH", "SpaceToDepthOptions")


def _moved_blocks(conversion: Conversion, node: Node, operator: str, table: str) -> None:
    image, output = conversion.value(node.inputs[0], _IMAGE), conversion.made(node.outputs[0], _IMAGE)
    conversion.network.add(operator, [image], [output], table, blockSize=node.attributes["blocksize"])


@rule("LRN")
def _local_response(conversion: Conversion, node: Node) -> None:
    size = node.attributes["size"]
    if size % 2 == 0:
        raise NoForm("LiteRT normalizes over an odd number of channels")
    image, output = conversion.value(node.inputs[0], _IMAGE), conversion.made(node.outputs[0], _IMAGE)
    options = {"radius": size // 2, "bias": node.attributes.get("bias", 1.0), "beta": node.attributes.get("beta", 0.75)}
    alpha = node.attributes.get("alpha", 1e-4) / size
    conversion.network.add(
        "LOCAL_RESPONSE_NORMALIZATION", [image], [output], "LocalResponseNormalizationOptions", alpha=alpha, **options
    )
