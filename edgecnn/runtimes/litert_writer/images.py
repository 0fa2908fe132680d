"""Operators that change the size of an image: padding, resizing, blocks; and local response normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import helper
from onnx.reference import ReferenceEvaluator

from edgecnn.runtimes.litert_writer.axes import cut
from edgecnn.runtimes.litert_writer.conversion import Array, Conversion, Node, NoForm, channels_last, rule

_IMAGE: Final = channels_last(4)
_POSITIONS: Final = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
"""ONNX's coordinate modes that RESIZE_BILINEAR has."""


@rule("Pad", writes="PAD, PADV2, MIRROR_PAD, GATHER, SLICE", limits="constant pads")
def _pad(conversion: Conversion, node: Node) -> None:
    pads = conversion.integers(node.inputs[1]) if node.has(1) else list(node.attributes["pads"])
    rank = len(conversion.shape(node.inputs[0]))
    axes = [axis % rank for axis in conversion.integers(node.inputs[3])] if node.has(3) else list(range(rank))
    sides = {axis: (pads[place], pads[place + len(axes)]) for place, axis in enumerate(axes)}
    order = conversion.order(node.inputs[0])
    value, made = conversion.value(node.inputs[0], order), conversion.add_output(node.outputs[0], order)
    stated = np.array([sides.get(axis, (0, 0)) for axis in order], np.int32)
    table = np.maximum(stated, 0)
    if (stated < 0).any():  # negative pads cut
        size = conversion.network.shape(value)
        cuts = [(max(0, -before), size + min(0, after), 1) for (before, after), size in zip(stated, size, strict=True)]
        uncut, value = value, made
        if table.any():
            value = conversion.add_part(node.outputs[0], [end - first for first, end, _ in cuts])
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
            conversion.network.add("PADV2", [value, sizes, conversion.add_number(filling)], [made], "PadV2Options")
    elif mode == b"reflect":
        sizes = conversion.network.constant(table, "pads")
        conversion.network.add("MIRROR_PAD", [value, sizes], [made], "MirrorPadOptions", mode=schema.MirrorPadMode.REFLECT)
    else:
        _pad_by_gathering(conversion, value, made, [(tuple(pair), mode) for pair in table], node.outputs[0])


def _pad_by_gathering(
    conversion: Conversion, value: int, made: int, sides: Sequence[tuple[tuple[int, int], bytes]], name: str
) -> None:
    """Pad with the image's edge (``edge``) or with its opposite side (``wrap``) by gathering rows."""
    padded = [axis for axis, ((before, after), _) in enumerate(sides) if before or after]
    for axis in padded:
        (before, after), mode = sides[axis]
        size = conversion.network.shape(value)
        rows = np.arange(-before, size[axis] + after)
        rows = rows % size[axis] if mode == b"wrap" else np.clip(rows, 0, size[axis] - 1)
        shape = [*size[:axis], len(rows), *size[axis + 1 :]]
        target = made if axis == padded[-1] else conversion.add_part(name, shape)
        conversion.network.add("GATHER", [value, conversion.add_integers(list(rows))], [target], "GatherOptions", axis=axis)
        value = target
    if not padded:
        conversion.write_reshape(value, made)


@rule(
    "Resize",
    writes="RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR, GATHER, BATCH_MATMUL",
    limits="height and width of an image, constant sizes; not `tf_crop_and_resize`, not `keep_aspect_ratio_policy`",
)
def _resize(conversion: Conversion, node: Node) -> None:
    shape, made = conversion.shape(node.inputs[0]), conversion.shape(node.outputs[0])
    mode = node.attributes.get("mode", b"nearest").decode()
    position = node.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    if len(shape) != 4 or shape[:2] != made[:2]:
        raise NoForm("only the height and width of an image can be resized")
    scales = _image_scales(conversion, node)
    is_exact = scales is None or bool(np.isclose(np.array(shape[2:]) * scales, made[2:]).all())  # else ONNX uses the scales
    copied = _source_rows_and_columns(node, shape[2:], made[2:], position) if mode == "nearest" and is_exact else None
    half = position in ("half_pixel", "pytorch_half_pixel")
    if copied is not None:
        _resize_nearest(conversion, node, copied)
    elif (
        mode == "linear" and is_exact and min(made[2:]) > 1 and not node.attributes.get("antialias", 0) and position in _POSITIONS
    ):
        options: dict[str, Any] = {"halfPixelCenters": half, "alignCorners": position == "align_corners"}
        inputs = [conversion.value(node.inputs[0], _IMAGE), conversion.add_integers(list(made[2:]))]
        output = conversion.add_output(node.outputs[0], _IMAGE)
        conversion.network.add("RESIZE_BILINEAR", inputs, [output], "ResizeBilinearOptions", **options)
    elif position == "tf_crop_and_resize":
        raise NoForm("`tf_crop_and_resize` is not supported")
    else:
        _resize_by_matrices(conversion, node, scales)


def _image_scales(conversion: Conversion, node: Node) -> Array | None:
    """Return the factors of height and width; None if the node states sizes."""
    stated = conversion.constant(node.inputs[2]).tolist() if node.has(2) else []
    if not stated:
        if node.attributes.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
            raise NoForm("`keep_aspect_ratio_policy` is not supported")
        return None
    factors = dict(zip((axis % 4 for axis in node.attributes.get("axes", range(4))), stated, strict=True))
    return np.array([factors.get(axis, 1.0) for axis in (2, 3)])


def _resize_by_matrices(conversion: Conversion, node: Node, scales: Array | None) -> None:
    """Write a resize as two matrix products, of rows and of columns. ONNX's reference computes the matrices."""
    (height, width), (rows, columns) = conversion.shape(node.inputs[0])[2:], conversion.shape(node.outputs[0])[2:]
    channels = conversion.shape(node.inputs[0])[1]
    attributes = {name: value for name, value in node.attributes.items() if name not in ("axes", "keep_aspect_ratio_policy")}
    entry = helper.make_node("Resize", ["rows", "", "scales" if scales is not None else "", "" if scales is not None else "size"],
                             ["out"], **attributes)  # fmt: skip
    shares = []
    for axis, (before, after) in enumerate([(height, rows), (width, columns)]):
        feed = {"rows": np.eye(before, dtype=np.float32)[None, None]}
        if scales is None:
            feed["size"] = np.array([1, 1, before, after], np.int64)
        else:
            feed["scales"] = np.array([1, 1, 1, scales[axis]], np.float32)
        (made,) = ReferenceEvaluator(entry).run(None, feed)
        shares.append(conversion.network.constant(made.reshape(before, -1).T[None].astype(np.float32), f"{node.name}/shares"))
    image = conversion.value(node.inputs[0], _IMAGE)
    flat, higher = (conversion.add_part(node.outputs[0], [1, size, width * channels]) for size in (height, rows))
    conversion.write_reshape(image, flat)
    conversion.network.add("BATCH_MATMUL", [shares[0], flat], [higher], "BatchMatMulOptions")
    apart = conversion.add_part(node.outputs[0], [rows, width, channels])
    wider = conversion.add_part(node.outputs[0], [rows, columns, channels])
    conversion.write_reshape(higher, apart)
    conversion.network.add("BATCH_MATMUL", [shares[1], apart], [wider], "BatchMatMulOptions")
    conversion.write_reshape(wider, conversion.add_output(node.outputs[0], _IMAGE))


def _source_rows_and_columns(node: Node, size: Sequence[int], made: Sequence[int], position: str) -> list[list[int]] | None:
    """Return the row and column that each new row and column copies; None if ``_source_rows`` lacks the definition."""
    rounding = node.attributes.get("nearest_mode", b"round_prefer_floor").decode()
    rows = [_source_rows(before, after, position, rounding) for before, after in zip(size, made, strict=True)]
    return [along for along in rows if along is not None] if None not in rows else None


def _resize_nearest(conversion: Conversion, node: Node, rows: Sequence[Sequence[int]]) -> None:
    """Write a copy of rows and columns. LiteRT's operator rounds down; other rounding gathers the rows."""
    size, made = conversion.shape(node.inputs[0])[2:], conversion.shape(node.outputs[0])[2:]
    image, output = conversion.value(node.inputs[0], _IMAGE), conversion.add_output(node.outputs[0], _IMAGE)
    if all(
        list(row) == [place * before // after for place in range(after)]
        for row, before, after in zip(rows, size, made, strict=True)
    ):
        table = "ResizeNearestNeighborOptions"
        conversion.network.add("RESIZE_NEAREST_NEIGHBOR", [image, conversion.add_integers(list(made))], [output], table)
        return
    shape = conversion.network.shape(image)
    higher = conversion.add_part(node.outputs[0], [shape[0], made[0], *shape[2:]])
    conversion.network.add("GATHER", [image, conversion.add_integers(rows[0])], [higher], "GatherOptions", axis=1)
    conversion.network.add("GATHER", [higher, conversion.add_integers(rows[1])], [output], "GatherOptions", axis=2)


def _source_rows(before: int, after: int, position: str, rounding: str) -> list[int] | None:
    """Return the row that each new row copies, by ONNX's definition of Resize; None for other coordinate modes."""
    places, scale = np.arange(after, dtype=np.float64), after / before
    if position == "asymmetric":
        at = places / scale
    elif position == "half_pixel" or (position == "pytorch_half_pixel" and after > 1):
        at = (places + 0.5) / scale - 0.5
    elif position == "align_corners" and after > 1:
        at = places * (before - 1) / (after - 1)
    else:
        return None
    rounded = {
        "floor": np.floor(at),
        "ceil": np.ceil(at),
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
    }
    return [int(row) for row in np.clip(rounded[rounding], 0, before - 1)]


@rule("DepthToSpace", writes="DEPTH_TO_SPACE")
def _depth_to_space(conversion: Conversion, node: Node) -> None:
    """Write LiteRT's operator for the mode DCR, and a transpose for CRD, which is torch's PixelShuffle."""
    if node.attributes.get("mode", b"DCR") == b"DCR":
        _write_blocks(conversion, node, "DEPTH_TO_SPACE", "DepthToSpaceOptions")
        return
    (batch, channels, height, width), side = conversion.shape(node.inputs[0]), node.attributes["blocksize"]
    parts, moved = (conversion.part_name(node.outputs[0]) for _ in range(2))
    shape = [batch, channels // side**2, side, side, height, width]
    order = [0, 1, 4, 2, 5, 3]
    conversion.write("Reshape", [node.inputs[0]], parts, shape)
    conversion.write("Transpose", [parts], moved, [shape[axis] for axis in order], perm=order)
    conversion.write("Reshape", [moved], node.outputs[0], conversion.shape(node.outputs[0]))


@rule(
    "ConvTranspose", writes="TRANSPOSE_CONV, SLICE", limits="two axes, constant weights; not `output_padding` beyond the window"
)
def _transposed_convolution(conversion: Conversion, node: Node) -> None:
    """Write groups and dilation as zeros between the weights, and padding as a slice of the result: LiteRT lacks all three."""
    weights = conversion.constant(node.inputs[1]).astype(np.float32)
    if weights.ndim != 4:
        raise NoForm(f"a window of {weights.ndim - 2} axes is not supported")
    made, groups = conversion.shape(node.outputs[0]), node.attributes.get("group", 1)
    strides, apart = node.attributes.get("strides", [1, 1]), node.attributes.get("dilations", [1, 1])
    reach = [(taps - 1) * step + 1 for taps, step in zip(weights.shape[2:], apart, strict=True)]
    filters = np.zeros((made[1], *reach, len(weights)), np.float32)
    for group, rows in enumerate(np.split(np.arange(len(weights)), groups)):
        first = group * weights.shape[1]
        part = filters[first : first + weights.shape[1], :: apart[0], :: apart[1], rows[0] : rows[-1] + 1]
        part[:] = weights[rows].transpose(1, 2, 3, 0)
    size = conversion.shape(node.inputs[0])[2:]
    full = [(size[axis] - 1) * strides[axis] + reach[axis] for axis in (0, 1)]
    first = _cut_before(node, [full[axis] - made[2 + axis] for axis in (0, 1)])
    if any(first[axis] + made[2 + axis] > full[axis] for axis in (0, 1)):
        raise NoForm("an output beyond the reach of its window is not supported")
    bias = conversion.constant(node.inputs[2]).astype(np.float32) if node.has(2) else np.zeros(made[1], np.float32)
    constants = [
        conversion.network.constant(values, f"{node.outputs[0]}/{name}")
        for name, values in (("weights", filters), ("bias", bias))
    ]
    image, output = conversion.value(node.inputs[0], _IMAGE), conversion.add_output(node.outputs[0], _IMAGE)
    is_cut = full != list(made[2:])
    target = conversion.add_part(node.outputs[0], [1, *full, made[1]]) if is_cut else output
    inputs = [conversion.add_integers([1, *full, made[1]]), constants[0], image, constants[1]]
    options = {"padding": schema.Padding.VALID, "strideH": strides[0], "strideW": strides[1]}
    conversion.network.add("TRANSPOSE_CONV", inputs, [target], "TransposeConvOptions", **options)
    if is_cut:
        cuts = [(first[axis], first[axis] + made[2 + axis], 1) for axis in (0, 1)]
        cut(conversion, target, output, [(0, 1, 1), *cuts, (0, made[1], 1)])


def _cut_before(node: Node, excess: Sequence[int]) -> list[int]:
    """Return the rows and columns that the padding of a transposed convolution cuts at the beginning.

    If the output size is stated, ONNX ignores ``pads`` and cuts both sides: an odd excess is cut first, or last for SAME_UPPER.
    """
    automatic, added = node.attributes.get("auto_pad", b"NOTSET"), node.attributes.get("output_padding", [0, 0])
    is_same, is_stated = automatic in (b"SAME_UPPER", b"SAME_LOWER"), "output_shape" in node.attributes
    if is_same and not is_stated and any(added):
        raise NoForm("`output_padding` with `auto_pad` is not supported")
    if is_same or is_stated:
        cut_away = [max(0, size + more) for size, more in zip(excess, added, strict=True)]
        return [size // 2 if automatic == b"SAME_UPPER" else -(-size // 2) for size in cut_away]
    return list(node.attributes.get("pads", [0] * 4)[:2])


@rule("SpaceToDepth", writes="SPACE_TO_DEPTH")
def _space_to_depth(conversion: Conversion, node: Node) -> None:
    _write_blocks(conversion, node, "SPACE_TO_DEPTH", "SpaceToDepthOptions")


def _write_blocks(conversion: Conversion, node: Node, operator: str, table: str) -> None:
    image, output = conversion.value(node.inputs[0], _IMAGE), conversion.add_output(node.outputs[0], _IMAGE)
    conversion.network.add(operator, [image], [output], table, blockSize=node.attributes["blocksize"])


@rule("LRN", writes="LOCAL_RESPONSE_NORMALIZATION", limits="an odd `size`")
def _local_response(conversion: Conversion, node: Node) -> None:
    size = node.attributes["size"]
    if size % 2 == 0:
        raise NoForm("an even `size` is not supported")
    image, output = conversion.value(node.inputs[0], _IMAGE), conversion.add_output(node.outputs[0], _IMAGE)
    options = {"radius": size // 2, "bias": node.attributes.get("bias", 1.0), "beta": node.attributes.get("beta", 0.75)}
    alpha = node.attributes.get("alpha", 1e-4) / size
    conversion.network.add(
        "LOCAL_RESPONSE_NORMALIZATION", [image], [output], "LocalResponseNormalizationOptions", alpha=alpha, **options
    )
