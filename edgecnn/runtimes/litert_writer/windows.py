"""Convolutions and pooling: operators with a window over an image, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgecnn.runtimes.litert_writer.axes import cut
from edgecnn.runtimes.litert_writer.conversion import Conversion, Node, NoForm, channels_last, rule

_IMAGE: Final = channels_last(4)
_POOLED: Final = "a window of at most two axes; not dilation, not the output `Indices`"
_NEVER_NEGATIVE: Final = ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Exp", "Abs")
_KEEPS_SIGN: Final = ("MaxPool", "AveragePool", "Concat", "GlobalAveragePool", "Reshape", "Transpose", "Flatten", "Identity")


class _Window(NamedTuple):
    kernel: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: Sequence[int]
    """Padding before each axis, then after each axis."""

    @classmethod
    def read(cls, conversion: Conversion, node: Node, kernel: Sequence[int]) -> _Window:
        """Read a window of two axes. Rows that ``ceil_mode`` adds become padding."""
        attributes = node.attributes
        strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
        size, made = conversion.shape(node.inputs[0])[2:], conversion.shape(node.outputs[0])[2:]
        reach = [(taps - 1) * apart + 1 for taps, apart in zip(kernel, dilations, strict=True)]
        needed = [(made[axis] - 1) * strides[axis] + reach[axis] - size[axis] for axis in (0, 1)]
        automatic = attributes.get("auto_pad", b"NOTSET")
        if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
            low = [max(0, need) // 2 if automatic == b"SAME_UPPER" else -(-max(0, need) // 2) for need in needed]
            pads = [*low, *(max(0, need) - before for need, before in zip(needed, low, strict=True))]
        else:
            pads = list(attributes.get("pads", [0] * 4))
            pads = [*pads[:2], *(max(pads[2 + axis], needed[axis] - pads[axis]) for axis in (0, 1))]
        return cls(list(kernel), list(strides), list(dilations), pads)

    def pool_options(self) -> dict[str, int]:
        """Return the window's fields of LiteRT's ``Pool2DOptions``."""
        (stride_h, stride_w), (height, width) = self.strides, self.kernel
        return {"strideH": stride_h, "strideW": stride_w, "filterHeight": height, "filterWidth": width}

    def is_same(self, size: Sequence[int]) -> bool:
        """Whether LiteRT's SAME pads an image (H, W) in this way."""
        for axis in (0, 1):
            reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1
            need = max(0, (-(-size[axis] // self.strides[axis]) - 1) * self.strides[axis] + reach - size[axis])
            if (self.pads[axis], self.pads[axis + 2]) != (need // 2, need - need // 2):
                return False
        return True


def _write_zero_padding(conversion: Conversion, image: int, pads: Sequence[int], name: str) -> int:
    """Write an image with rows and columns of zeros around it. XNNPACK fuses them into the convolution that follows."""
    batch, height, width, channels = conversion.network.shape(image)
    made = conversion.add_part(name, [batch, height + pads[0] + pads[2], width + pads[1] + pads[3], channels])
    sizes = conversion.network.constant(np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32), "pads")
    conversion.network.add("PAD", [image, sizes], [made], "PadOptions")
    return made


def _image_and_padding(conversion: Conversion, node: Node, window: _Window) -> tuple[int, int]:
    """Return the image that a window reads, and LiteRT's kind of padding."""
    image = conversion.value(node.inputs[0], _IMAGE)
    if not any(window.pads):
        return image, schema.Padding.VALID
    if window.is_same(conversion.network.shape(image)[1:3]):
        return image, schema.Padding.SAME
    return _write_zero_padding(conversion, image, window.pads, node.outputs[0]), schema.Padding.VALID


def _image_node(conversion: Conversion, node: Node, kernel: Sequence[int]) -> Node | None:
    """Return the node rewritten for an image of two axes, if its window has one axis, or three with an idle one; None for two.

    Idle axes are merged into the channels. ``_restore_axes`` gives the output its axes.
    """
    if len(kernel) == 2:
        return None
    attributes = node.attributes
    count, name = len(kernel), node.inputs[0]
    lists = {"strides": [1] * count, "dilations": [1] * count, "pads": [0] * 2 * count}
    stated = {key: list(attributes.get(key, usual)) for key, usual in lists.items()}
    busy = [axis for axis in range(count) if kernel[axis] > 1 or stated["strides"][axis] > 1]
    busy = busy or [count - 1]
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise NoForm(f"`auto_pad` with a window of {count} axes is not supported")
    if len(busy) > 2:
        raise NoForm(f"a window of {len(busy)} axes is not supported")
    idle = [axis for axis in range(count) if axis not in busy]
    if any(stated["pads"][axis] or stated["pads"][axis + count] for axis in idle):
        raise NoForm("padding of an axis along which the window has size 1 is not supported")
    shape, made = conversion.shape(name), conversion.shape(node.outputs[0])
    moved = [0, 1, *(axis + 2 for axis in idle), *(axis + 2 for axis in busy)]
    turned, image, windows = (conversion.part_name(node.outputs[0]) for _ in range(3))
    conversion.write("Transpose", [name], turned, [shape[axis] for axis in moved], perm=moved)
    channels, ones = moved[1 : 2 + len(idle)], [1] * (2 - len(busy))
    sizes = [
        [1, prod(values[axis] for axis in channels), *ones, *(values[axis + 2] for axis in busy)] for values in (shape, made)
    ]
    conversion.write("Reshape", [turned], image, sizes[0])
    conversion.known_shapes[windows] = tuple(sizes[1])
    ends = [*(axis for axis in busy), *(axis + count for axis in busy)]
    pads = [stated["pads"][axis] for axis in ends]
    values = {key: [*ones, *(stated[key][axis] for axis in busy)] for key in ("strides", "dilations")}
    values["pads"] = [0, pads[0], 0, pads[1]] if len(busy) == 1 else pads
    values["kernel_shape"] = [*ones, *(kernel[axis] for axis in busy)]
    return Node(node.op, node.name, [image, *node.inputs[1:]], [windows], {**attributes, **values})


def _restore_axes(conversion: Conversion, node: Node, kernel: Sequence[int], windows: str) -> None:
    """Write the node's output from the output of its ``_image_node``."""
    made = conversion.shape(node.outputs[0])
    strides = node.attributes.get("strides", [1] * len(kernel))
    busy = [axis + 2 for axis in range(len(kernel)) if kernel[axis] > 1 or strides[axis] > 1] or [len(made) - 1]
    moved = [axis for axis in range(len(made)) if axis not in busy] + busy
    back, permutation = conversion.part_name(node.outputs[0]), [moved.index(axis) for axis in range(len(made))]
    conversion.write("Reshape", [windows], back, [made[axis] for axis in moved])
    conversion.write("Transpose", [back], node.outputs[0], made, perm=permutation)


@rule("Conv", writes="CONV_2D, DEPTHWISE_CONV_2D, PAD", limits="one or two axes, constant weights")
def _convolution(conversion: Conversion, node: Node) -> None:
    weights = conversion.constant(node.inputs[1]).astype(np.float32, copy=False)
    if len(weights.shape) == 3:  # along one axis, as a row
        row = _image_node(conversion, node, [max(2, weights.shape[2])])
        assert row is not None
        conversion.constants[taps := conversion.part_name(node.outputs[0])] = weights[:, :, None]
        attributes = {**row.attributes, "kernel_shape": [1, weights.shape[2]]}
        inputs = [row.inputs[0], taps, *node.inputs[2:]]
        _convolution(conversion, row._replace(inputs=inputs, attributes=attributes))
        _restore_axes(conversion, node, [max(2, weights.shape[2])], row.outputs[0])
        return
    if len(weights.shape) != 4:
        raise NoForm(f"a window of {len(weights.shape) - 2} axes is not supported")
    window = _Window.read(conversion, node, weights.shape[2:])
    channels, groups, made = conversion.shape(node.inputs[0])[1], node.attributes.get("group", 1), weights.shape[0]
    bias = conversion.constant(node.inputs[2]).astype(np.float32) if node.has(2) else np.zeros(made, np.float32)
    image, padding = _image_and_padding(conversion, node, window)
    options = {"padding": padding, "strideH": window.strides[0], "strideW": window.strides[1]}
    options |= {"dilationHFactor": window.dilations[0], "dilationWFactor": window.dilations[1]}
    fused, output = conversion.add_fused_output(node, _IMAGE)
    options["fusedActivationFunction"] = fused
    offset = conversion.network.constant(bias, f"{node.outputs[0]}/bias")
    if groups == channels and groups > 1:
        filters = conversion.network.constant(np.ascontiguousarray(weights.transpose(1, 2, 3, 0)), f"{node.outputs[0]}/weights")
        options["depthMultiplier"] = made // channels
        conversion.network.add("DEPTHWISE_CONV_2D", [image, filters, offset], [output], "DepthwiseConv2DOptions", **options)
        return
    filters = conversion.network.constant(np.ascontiguousarray(weights.transpose(0, 2, 3, 1)), f"{node.outputs[0]}/weights")
    conversion.network.add("CONV_2D", [image, filters, offset], [output], "Conv2DOptions", **options)


@rule("MaxPool", writes="MAX_POOL_2D, PAD, SLICE, CONCATENATION, DEPTHWISE_CONV_2D", limits=_POOLED)
@rule("AveragePool", writes="AVERAGE_POOL_2D, PAD, MUL, DEPTHWISE_CONV_2D", limits=_POOLED)
def _pool(conversion: Conversion, node: Node) -> None:
    if any(node.outputs[1:]):
        raise NoForm("the output `Indices` is not supported")
    kernel = node.attributes["kernel_shape"]
    if (image_node := _image_node(conversion, node, kernel)) is not None:
        _pool(conversion, image_node)
        _restore_axes(conversion, node, kernel, image_node.outputs[0])
        return
    window = _Window.read(conversion, node, kernel)
    if any(apart != 1 for apart in window.dilations):
        raise NoForm("dilation is not supported")
    if prod(kernel) == 1 and not any(window.pads):
        _write_positions(conversion, node, window)
        return
    if node.op == "AveragePool":
        _average_pool(conversion, node, window)
        return
    image = conversion.value(node.inputs[0], _IMAGE)
    if is_never_negative(conversion, node.inputs[0]) or window.is_same(conversion.network.shape(image)[1:3]):
        _write_pool(conversion, node, "MAX_POOL_2D", window, _image_and_padding(conversion, node, window))
        return
    edged = _write_edge_padding(conversion, image, window.pads, node.outputs[0])
    _write_pool(conversion, node, "MAX_POOL_2D", window, (edged, schema.Padding.VALID))


def _write_edge_padding(conversion: Conversion, image: int, pads: Sequence[int], name: str) -> int:
    """Write an image with its first and last rows and columns repeated. No maximum changes: such a window also covers the edge.

    XNNPACK pads only with zero, and in INT8 a very low number would widen the range.
    """
    for axis in (1, 2):
        size = conversion.network.shape(image)
        edges: list[list[int]] = []
        for place, count in ((0, pads[axis - 1]), (size[axis] - 1, pads[axis + 1])):
            edges.append([])
            if count:
                row = conversion.add_part(name, [*size[:axis], 1, *size[axis + 1 :]])
                cut(conversion, image, row, [(place, place + 1, 1) if at == axis else (0, n, 1) for at, n in enumerate(size)])
                edges[-1] = [row] * count
        parts = [*edges[0], image, *edges[1]]
        if len(parts) > 1:
            image = conversion.add_part(name, [*size[:axis], size[axis] + len(parts) - 1, *size[axis + 1 :]])
            conversion.network.add("CONCATENATION", parts, [image], "ConcatenationOptions", axis=axis)
    return image


def _write_positions(conversion: Conversion, node: Node, window: _Window) -> None:
    """Write a window of size 1 as a depthwise convolution with weights of 1: XNNPACK has no such pooling."""
    image, padding = _image_and_padding(conversion, node, window)
    channels = conversion.network.shape(image)[3]
    ones = conversion.network.constant(np.ones((1, 1, 1, channels), np.float32), f"{node.outputs[0]}/ones")
    offset = conversion.network.constant(np.zeros(channels, np.float32), f"{node.outputs[0]}/bias")
    options = {"strideH": window.strides[0], "strideW": window.strides[1], "dilationHFactor": 1, "dilationWFactor": 1}
    fused, output = conversion.add_fused_output(node, _IMAGE)
    options |= {"padding": padding, "depthMultiplier": 1, "fusedActivationFunction": fused}
    conversion.network.add("DEPTHWISE_CONV_2D", [image, ones, offset], [output], "DepthwiseConv2DOptions", **options)


def _write_pool(conversion: Conversion, node: Node, operator: str, window: _Window, source: tuple[int, int]) -> None:
    """Write a pooling operator. ``source``: the image that it reads, and its padding."""
    fused, output = conversion.add_fused_output(node, _IMAGE)
    image, padding = source
    options = {**window.pool_options(), "padding": padding, "fusedActivationFunction": fused}
    conversion.network.add(operator, [image], [output], "Pool2DOptions", **options)


def _average_pool(conversion: Conversion, node: Node, window: _Window) -> None:
    """Write an average. LiteRT divides by the positions inside the image with SAME, by the window's size otherwise."""
    counts = _position_counts(conversion, node, window)
    image = conversion.value(node.inputs[0], _IMAGE)
    size = conversion.network.shape(image)[1:3]
    counts_inside = not node.attributes.get("count_include_pad", 0)
    if not any(window.pads) or (counts_inside and window.is_same(size)):
        _write_pool(conversion, node, "AVERAGE_POOL_2D", window, _image_and_padding(conversion, node, window))
        return
    image = _write_zero_padding(conversion, image, window.pads, node.outputs[0])
    shape = conversion.shape(node.outputs[0])
    positions = prod(window.kernel)
    if bool((counts == positions).all()):
        _write_pool(conversion, node, "AVERAGE_POOL_2D", window, (image, schema.Padding.VALID))
        return
    mean = conversion.add_part(node.outputs[0], [shape[axis] for axis in _IMAGE])
    options = {**window.pool_options(), "padding": schema.Padding.VALID}
    conversion.network.add("AVERAGE_POOL_2D", [image], [mean], "Pool2DOptions", **options)
    factors = conversion.network.constant((positions / counts).astype(np.float32)[None, :, :, None], f"{node.outputs[0]}/factors")
    fused, output = conversion.add_fused_output(node, _IMAGE)
    conversion.network.add("MUL", [mean, factors], [output], "MulOptions", fusedActivationFunction=fused)


def _position_counts(conversion: Conversion, node: Node, window: _Window) -> npt.NDArray[np.float64]:
    """Return the number of positions (H, W) that ONNX counts in each window; ``count_include_pad`` adds the padding."""
    size, made = conversion.shape(node.inputs[0])[2:], conversion.shape(node.outputs[0])[2:]
    stated = [0] * 4
    if node.attributes.get("count_include_pad", 0):
        is_automatic = node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET"
        stated = list(window.pads) if is_automatic else list(node.attributes.get("pads", [0] * 4))
    along = []
    for axis in (0, 1):
        first = np.arange(made[axis]) * window.strides[axis] - window.pads[axis]
        low, high = -stated[axis], size[axis] + stated[axis + 2]
        along.append(np.minimum(first + window.kernel[axis], high) - np.maximum(first, low))
    return np.outer(*along).astype(np.float64)


def is_never_negative(conversion: Conversion, name: str) -> bool:
    """Whether a value is never below 0, so that zeros around it change no maximum."""
    node = conversion.maker(name)
    if node is None:
        return False
    if node.op in _NEVER_NEGATIVE:
        return True
    if node.op == "Clip" and node.has(1) and node.inputs[1] in conversion.constants:
        return float(conversion.constants[node.inputs[1]]) >= 0
    if node.op in _KEEPS_SIGN:
        values = node.inputs if node.op == "Concat" else node.inputs[:1]
        return all(is_never_negative(conversion, value) for value in values)
    return False
