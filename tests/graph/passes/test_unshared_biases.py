"""Layers that share a bias each get their own, so that no copy that a quantizer makes takes another tensor's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType

from edgecnn.graph.checks import session_of
from edgecnn.graph.onnx_file import save_model
from edgecnn.graph.quantization_nodes import unshare_biases
from edgecnn.runtimes.onnxruntime_files import Feeds, quantize_statically

COPIES = tuple(f"zeros{number}" for number in range(30))
"""What a quantizer that copies ``zeros`` may call its copies."""


def normalized(layers: int = 3) -> onnx.ModelProto:
    """Instance normalizations one after another, by one scale and one bias; every tensor between them has such a name."""
    draw = np.random.default_rng(0)
    weights = {"w": draw.normal(size=(4, 3, 3, 3)), "ones": np.ones(4), "zeros": np.zeros(4)}
    held = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    nodes, last = [helper.make_node("Conv", ["image", "w"], ["start"], name="conv", pads=[1] * 4)], "start"
    for number in range(layers):
        shared = [last, "ones", "zeros"]
        nodes.append(helper.make_node("InstanceNormalization", shared, [f"normal_{number}"], name=f"norm_{number}"))
        for name in COPIES[number::layers]:
            nodes.append(helper.make_node("Relu", [f"normal_{number}"], [name], name=f"relu_{name}"))
        nodes.append(helper.make_node("Add", [COPIES[number], f"normal_{number}"], [f"sum_{number}"], name=f"sum_{number}"))
        last = f"sum_{number}"
    info = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])
    answer = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["batch", 4, 8, 8])
    graph = helper.make_graph(nodes, "g", [info], [answer], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_each_layer_has_a_bias_of_its_own_with_the_same_numbers() -> None:
    model = normalized()
    assert unshare_biases(model.graph) == 2
    biases = [node.input[2] for node in model.graph.node if node.op_type == "InstanceNormalization"]
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert len(set(biases)) == 3 and all((held[name] == 0).all() for name in biases)
    assert unshare_biases(model.graph) == 0


def test_a_tensor_that_is_called_as_a_copy_would_be_keeps_its_values_in_int8(tmp_path: Path) -> None:
    save_model(normalized(), tmp_path / "trunk.onnx")
    images = np.random.default_rng(1).normal(size=(8, 3, 8, 8)).astype(np.float32)
    how = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8, "per_channel": False}
    made = quantize_statically(tmp_path / "trunk.onnx", Feeds("image", iter([images])), **how)
    save_model(made, tmp_path / "int8.onnx")
    exact, rounded = (session_of(tmp_path / name).run(None, {"image": images})[0] for name in ("trunk.onnx", "int8.onnx"))
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.99
