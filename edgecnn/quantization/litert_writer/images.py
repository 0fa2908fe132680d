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
    axes = wrapped_axes(conversion, node, rank)
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


def wrapped_axes(conversion: Conversion, node: Node, rank: int) -> list[int]:
    """The axes that ``Pad`` names, else all."""
    return [axis % rank for axis in conversion.integers(node.inputs[3])] if node.has(3) else list(range(rank))


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
    """Each row is a copy of one row of the image; a whole factor is what LiteRT's operator gives too."""
    size, made = conversion.shape(node.inputs[0])[2:], conversion.shape(node.outputs[0])[2:]
    if any(after % before for before, after in zip(size, made, strict=True)):
        raise NoForm("LiteRT's nearest neighbour agrees with ONNX's only where a size grows by a whole factor")
    if position not in ("half_pixel", "asymmetric", "pytorch_half_pixel"):
        raise NoForm(f"LiteRT has no resizing by nearest with {position}")
    if position == "asymmetric" and node.attributes.get("nearest_mode", b"round_prefer_floor") != b"floor":
        raise NoForm("LiteRT's nearest neighbour rounds down")
    inputs = [conversion.value(node.inputs[0], _IMAGE), conversion.axes(list(made))]
    output = conversion.made(node.outputs[0], _IMAGE)
    conversion.network.add("RESIZE_NEAREST_NEIGHBOR", inputs, [output], "ResizeNearestNeighborOptions")


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
