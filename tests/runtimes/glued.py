"""Small Q/DQ networks written node by node: 1x1 convolutions in INT8, with or without float work between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.runner.kits import CLASSES, SIDE

WIDTH, DEPTH = 16, 3


def network(glue: str, quantized: bool = True) -> onnx.ModelProto:
    """``DEPTH`` convolutions, each followed by the operator ``glue``, then average and classifier; batch free.

    Args:
        glue: an operator of one input and no attributes. ``Relu`` lies inside the quantizers, where runtimes fuse it into the
            convolution because the quantizer cuts off at 0 as it does; any other one stands between a dequantizer and a
            quantizer of its own.
        quantized: False leaves every quantizer out, for the table of multiply-adds.
    """
    graph = _Graph(quantized)
    now = graph.through_uint8("image", "image")
    for index in range(DEPTH):
        shape = (WIDTH, 3 if index == 0 else WIDTH, 1, 1)
        graph.add("Conv", [now, graph.weights(f"w{index}", shape)], f"c{index}", name=f"conv{index}")
        now = f"c{index}"
        if glue != "Relu":
            now = graph.through_uint8(now, now)
        graph.add(glue, [now], f"g{index}", name=f"glue{index}")
        now = graph.through_uint8(f"g{index}", f"g{index}", zero=0)
    graph.add("GlobalAveragePool", [now], "pooled", name="pool")
    graph.add("Flatten", [graph.through_uint8("pooled", "pooled")], "flat", name="flat")
    graph.add(
        "Gemm",
        [graph.through_uint8("flat", "flat"), graph.weights("head", (CLASSES, WIDTH))],
        "logits",
        name="classifier",
        transB=1,
    )
    return graph.model()


class _Graph:
    def __init__(self, quantized: bool) -> None:
        self._quantized = quantized
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def add(self, op: str, inputs: list[str], output: str, name: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))

    def through_uint8(self, tensor: str, name: str, zero: int = 100) -> str:
        """The tensor after a quantizer and a dequantizer; the tensor itself in a float network."""
        if not self._quantized:
            return tensor
        scale = self._constant(f"{name}.scale", np.array(0.05, np.float32))
        offset = self._constant(f"{name}.zero", np.array(zero, np.uint8))
        self.add("QuantizeLinear", [tensor, scale, offset], f"{name}.q", name=f"{name}.Q")
        self.add("DequantizeLinear", [f"{name}.q", scale, offset], f"{name}.dq", name=f"{name}.DQ")
        return f"{name}.dq"

    def weights(self, name: str, shape: tuple[int, ...]) -> str:
        values = self._random.normal(0, 0.5, shape).astype(np.float32)
        if not self._quantized:
            return self._constant(name, values)
        scale = self._constant(f"{name}.scale", np.full(shape[0], 0.01, np.float32))
        zero = self._constant(f"{name}.zero", np.zeros(shape[0], np.int8))
        held = self._constant(f"{name}.q", np.clip(np.rint(values / 0.01), -127, 127).astype(np.int8))
        self.add("DequantizeLinear", [held, scale, zero], f"{name}.dq", name=f"{name}.DQ", axis=0)
        return f"{name}.dq"

    def model(self) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
        graph = helper.make_graph(self._nodes, "glued", [image], [logits], self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)

    def _constant(self, name: str, value: Any) -> str:
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
