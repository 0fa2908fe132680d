"""Read the operations of an ONNX file, and what it costs to compute one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import onnx
from onnx import ModelProto

from edgecnn.errors.base import system_reason
from edgecnn.errors.custom_model import CUSTOM_FILE_MISSING
from edgecnn.errors.fit import COST_UNKNOWN
from edgecnn.errors.graph import MacsUnknown
from edgecnn.graph.custom.onnx_entry import parameters_of
from edgecnn.graph.layer_cost import Operation, Product, Window, cost_of_layers, uncounted_products
from edgecnn.graph.macs import (
    ACTIVATIONS,
    COUNTED,
    INTEGER,
    image_input,
    nodes_by_image,
    product_of,
    shapes_at_batch_one,
    weight_place,
)
from edgecnn.graph.onnx_file import load_model
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.layers import NetworkCost

MAY_MULTIPLY = (
    "Attention", "ConvInteger", "DeformConv", "Einsum", "GRU", "LSTM", "MatMulInteger", "MatMulNBits", "QAttention", "QGemm",
    "QLinearConv", "QLinearMatMul", "RNN",
)  # fmt: skip
"""Operators that multiply, and are counted only if they are in ``INTEGER`` and ONNX can infer their shapes. Otherwise a file has
more multiply-adds than its total."""
_POOLS = ("MaxPool", "AveragePool", "LpPool")
_BIAS_PLACE = {"QLinearConv": 8, "QGemm": 6}
"""Operand indices (onnx.ai/onnx/operators; QGemm: ONNX Runtime's docs/ContribOperators.md); other operators have none."""
_IN_PLACE = (
    *ACTIVATIONS, "Add", "BatchNormalization", "Cast", "Div", "Dropout", "Elu", "Flatten", "Gelu", "Identity", "Mul", "PRelu",
    "Reshape", "Softmax", "Squeeze", "Sub", "Swish", "Unsqueeze",
)  # fmt: skip


def operations_of_model(model: onnx.ModelProto) -> tuple[Operation, ...]:
    """Return the operations for one image in file order, without those that only make constants.

    Raises MacsUnknown: shapes of a counted node cannot be inferred at batch 1.
    """
    shapes = shapes_at_batch_one(model)
    weights = {tensor.name: prod(tensor.dims) for tensor in model.graph.initializer}
    return tuple(_operation(node, reads, shapes, weights) for node, reads in nodes_by_image(model))


def image_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of its image at batch 1. Raises KeyError: the file leaves another size open."""
    return tuple(shapes_at_batch_one(model)[image_input(model).name])


def _operation(
    node: onnx.NodeProto, reads: tuple[str, ...], shapes: Mapping[str, list[int]], weights: Mapping[str, int]
) -> Operation:
    shape = tuple(shapes.get(node.output[0], ()))
    return Operation(
        name=node.name or node.output[0],
        op=node.op_type,
        reads=reads,
        makes=(node.output[0],),
        shape=shape,
        elements=prod(shape),
        product=_product(node, shapes),
        window=_window(node, shapes),
        parameters=sum(weights.get(name, 0) for name in _trained_operands(node)),
        in_place=node.op_type in _IN_PLACE,
    )


def _product(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> Product | None:
    if node.op_type in COUNTED:
        return product_of(node, shapes)
    if node.op_type in INTEGER:
        with suppress(MacsUnknown):  # a runtime's own operator, without shape inference
            return product_of(node, shapes)
    return None


def _trained_operands(node: onnx.NodeProto) -> Sequence[str]:
    """Return trained operands; other constants are shapes, scales and bounds."""
    if node.op_type in INTEGER:
        bias = _BIAS_PLACE.get(node.op_type, len(node.input))
        return [node.input[weight_place(node)], *node.input[bias : bias + 1]]
    return node.input if node.op_type in (*COUNTED, "BatchNormalization", "PRelu", "LayerNormalization") else ()


def _window(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> Window | None:
    if "Conv" in (node.op_type, INTEGER.get(node.op_type)):
        kernel: Sequence[int] = shapes.get(node.input[weight_place(node)], ())[2:]
    elif node.op_type in _POOLS:
        kernel = _ints(node, "kernel_shape")
    else:
        return None
    if not kernel:  # and those of an integer operator that is not counted
        return None
    window = Window(max(kernel), max(_ints(node, "strides"), default=1), max(_ints(node, "dilations"), default=1))
    return window._replace(pad=_leading_pad(node, shapes, window))


def _leading_pad(node: onnx.NodeProto, shapes: Mapping[str, list[int]], window: Window) -> int:
    """Return the padding before the first position, along the larger side."""
    auto_pad = next((attribute.s for attribute in node.attribute if attribute.name == "auto_pad"), b"NOTSET")
    if auto_pad not in (b"SAME_UPPER", b"SAME_LOWER"):
        pads = _ints(node, "pads")
        return max(pads[: len(pads) // 2], default=0)
    side, made = max(shapes.get(node.input[0], [0])[2:], default=0), max(shapes.get(node.output[0], [0])[2:], default=0)
    whole = max(0, (made - 1) * window.stride + window.reach + 1 - side)
    return whole // 2 if auto_pad == b"SAME_UPPER" else -(-whole // 2)


def _ints(node: onnx.NodeProto, name: str) -> list[int]:
    return next((list(attribute.ints) for attribute in node.attribute if attribute.name == name), [])


class FileOperations(NamedTuple):
    """The operations of an ONNX file for one image."""

    model: ModelProto
    image: str
    """Its first input."""
    shape: tuple[int, ...]
    """Shape of the image, with batch 1."""
    operations: tuple[Operation, ...]

    @property
    def resolution_px(self) -> ImageSize:
        """Height and width; channels may come first or last."""
        return ImageSize(*(self.shape[2:] if self.shape[1] < self.shape[3] else self.shape[1:3]))


def operations_of_file(path: Path) -> FileOperations:
    """Return the operations of an ONNX file.

    Raises CUSTOM_FILE_MISSING, NOT_AN_ONNX_MODEL, COST_UNKNOWN, MacsUnknown: the file cannot be read, or has open sizes.
    """
    try:
        model = load_model(path)
    except OSError as error:
        raise CUSTOM_FILE_MISSING(path=path, because=system_reason(error)) from error
    try:
        image, shape = image_input(model).name, image_shape(model)
    except (StopIteration, KeyError) as error:
        raise COST_UNKNOWN(path=path, because="it has no input whose size is fixed except for the batch") from error
    operations = operations_of_model(model)
    if len(shape) != 4 or not operations:
        raise COST_UNKNOWN(path=path, because="its input is not an image, or nothing reads it")
    return FileOperations(model, image, shape, operations)


def cost_as_json(path: Path) -> dict[str, Any]:
    """Return ``cost_of_file`` as JSON, for a sandbox."""
    return cost_of_file(path).model_dump(mode="json", by_alias=True)


def cost_of_file(path: Path) -> NetworkCost:
    """Return the cost of an ONNX file, with activations counted as float32 in any case. Raises as ``operations_of_file``."""
    file = operations_of_file(path)
    cost = cost_of_layers(file.operations, file.image, file.shape)
    return NetworkCost(
        network=path.name,
        scale=None,
        resolution_px=file.resolution_px,
        parameters=parameters_of(file.model),
        macs=sum(layer.macs for layer in cost.layers),
        **cost._asdict(),
        not_counted=uncounted_products(file.operations, MAY_MULTIPLY),
    )
