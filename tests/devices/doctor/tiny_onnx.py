"""Writes the file of the tiny network again: ``python -m tests.devices.doctor.tiny_onnx`` after changing its weights."""

from __future__ import annotations

from onnx import TensorProto, checker, helper, numpy_helper

from edgecnn.devices.doctor.trying import CLASSES, FILE, SIDE_PX, STRIDE, weights
from edgecnn.values.model_file import TRUNK_IR, TRUNK_OPSET


def tiny_onnx() -> bytes:
    """The whole file."""
    strided = {"kernel_shape": [3, 3], "strides": [STRIDE, STRIDE], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "conv.weight", "conv.bias"], ["c0"], name="conv", **strided),
        helper.make_node("Relu", ["c0"], ["r0"], name="relu0"),
        helper.make_node("Conv", ["r0", "depthwise.weight", "depthwise.bias"], ["c1"], name="depthwise", group=8, **strided),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("GlobalAveragePool", ["r1"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "head.weight", "head.bias"], ["logits"], name="head", transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE_PX, SIDE_PX])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
    initializers = [numpy_helper.from_array(array, name) for name, array in weights().items()]
    graph = helper.make_graph(nodes, "tiny", [image], [logits], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", TRUNK_OPSET)], ir_version=TRUNK_IR)
    checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


if __name__ == "__main__":
    FILE.write_bytes(tiny_onnx())
