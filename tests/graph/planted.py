"""A tiny network whose channels are known: red, green and blue places, then their means, then one class a colour."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE, SPOT = 16, 3
WHERE = (4, 9)
"""Row and column of a spot's middle, unless told."""


def planted(gain: float = 1.0, side: int = SIDE) -> onnx.ModelProto:
    """(batch, 3, side, side) → ``spots`` at full size, ``halves`` at half of it → (batch, 3).

    Channel 3 of the spots hears nothing. ``gain`` multiplies the logits.
    """
    colour = 2 * np.eye(4, 3, dtype=np.float32) - np.array([[1], [1], [1], [0]], np.float32) * np.ones((4, 3), np.float32)
    first = np.tile(colour[:, :, None, None] / SPOT**2, (1, 1, SPOT, SPOT)).astype(np.float32)
    second = np.tile(np.eye(3, 4, dtype=np.float32)[:, :, None, None] / 9, (1, 1, 3, 3))
    head = gain * np.eye(3, dtype=np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["made"], name="spotter", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["made"], ["spots"], name="spotter_relu"),
        helper.make_node("Conv", ["spots", "second"], ["halved"], name="halver", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["halved"], ["halves"], name="halver_relu"),
        helper.make_node("GlobalMaxPool", ["halves"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"),
        helper.make_node("MatMul", ["flat", "head"], ["logits"], name="head"),
    ]
    weights = {"first": first, "second": second, "head": head}
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def spotted(colour: int, middle: tuple[int, int] = WHERE, level: int = 255, side: int = SIDE) -> NDArray[np.uint8]:
    """A black picture (side, side, 3) with one square spot of red (0), green (1) or blue (2)."""
    picture = np.zeros((side, side, 3), np.uint8)
    row, column = middle
    picture[row - 1 : row + 2, column - 1 : column + 2, colour] = level
    return picture
