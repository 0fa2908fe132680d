"""Networks of a few nodes, for passes that are about which node touches which tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 3


def conv(name: str, read: str, made: str) -> onnx.NodeProto:
    return helper.make_node("Conv", [read, f"{name}.weight", f"{name}.bias"], [made], name=name, pads=[1, 1, 1, 1])


def op(kind: str, name: str, *read: str) -> onnx.NodeProto:
    """A node that makes a tensor of its own name."""
    return helper.make_node(kind, list(read), [f"{name}.out"], name=name)


def strand(nodes: Sequence[onnx.NodeProto], output: str) -> onnx.ModelProto:
    """A model of these nodes on 8 x 8 pixels; each convolution keeps the size and the three channels."""
    generator = np.random.default_rng(0)
    weights = []
    for node in nodes:
        if node.op_type == "Conv":
            kernel = generator.normal(0, 0.5, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
            weights += [numpy_helper.from_array(kernel, f"{node.name}.weight")]
            weights += [numpy_helper.from_array(generator.normal(0, 0.1, CHANNELS).astype(np.float32), f"{node.name}.bias")]
    shape = ["batch", CHANNELS, 8, 8]
    graph = helper.make_graph(
        list(nodes),
        "strand",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def relu_strand() -> onnx.ModelProto:
    """a → Relu → b → Relu → c."""
    nodes = [
        conv("a", "image", "a.out"), op("Relu", "ra", "a.out"), conv("b", "ra.out", "b.out"), op("Relu", "rb", "b.out"),
        conv("c", "rb.out", "c.out"),
    ]  # fmt: skip
    return strand(nodes, "c.out")


def swish_strand() -> onnx.ModelProto:
    """a → swish → b → swish → c, with what went into b added to what comes out."""
    nodes = [
        conv("a", "image", "a.out"), op("Sigmoid", "sa", "a.out"), op("Mul", "ma", "a.out", "sa.out"),
        conv("b", "ma.out", "b.out"), op("Sigmoid", "sb", "b.out"), op("Mul", "mb", "b.out", "sb.out"),
        op("Add", "sum", "ma.out", "mb.out"), conv("c", "sum.out", "c.out"),
    ]  # fmt: skip
    return strand(nodes, "c.out")
