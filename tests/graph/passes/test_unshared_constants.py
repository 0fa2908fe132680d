"""Layers that share a weight, a bias or a zero point each get a copy, before any quantizer or runtime reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType

from edgecnn.graph.checks import session_of
from edgecnn.graph.custom.onnx_entry import read_entry
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk
from edgecnn.graph.onnx_file import save_model
from edgecnn.graph.quantization_nodes import unshare_constants
from edgecnn.runtimes.onnxruntime import EXACT
from edgecnn.runtimes.onnxruntime_files import quantize_statically

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
    assert unshare_constants(model.graph) == 2
    biases = [node.input[2] for node in model.graph.node if node.op_type == "InstanceNormalization"]
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert len(set(biases)) == 3 and all((held[name] == 0).all() for name in biases)
    assert unshare_constants(model.graph) == 0


def test_a_tensor_that_is_called_as_a_copy_would_be_keeps_its_values_in_int8(tmp_path: Path) -> None:
    save_model(normalized(), tmp_path / "trunk.onnx")
    images = np.random.default_rng(1).normal(size=(8, 3, 8, 8)).astype(np.float32)
    how = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8, "per_channel": False}
    made = quantize_statically(tmp_path / "trunk.onnx", [images], **how)
    save_model(made, tmp_path / "int8.onnx")
    exact, rounded = (session_of(tmp_path / name).run(None, {"image": images})[0] for name in ("trunk.onnx", "int8.onnx"))
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.99


HOW = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8, "per_channel": True}


def tied(*, shared: bool = True) -> onnx.ModelProto:
    """Two convolutions read one weight; a Gemm reads another along its rows, and a MatMul reads it along its columns."""
    draw = np.random.default_rng(0)
    square = draw.normal(size=(16, 16)) * np.exp(draw.normal(0, 1.5, (16, 1))) / 4
    weights = {"stem": draw.normal(size=(16, 3, 3, 3)) / 5, "kernel": draw.normal(size=(16, 16, 3, 3)) / 12, "square": square}
    weights |= {"head": draw.normal(size=(16, 4))}
    again = {"kernel": "kernel", "square": "square"} if shared else {"kernel": "kernel.2", "square": "square.2"}
    weights |= {again[name]: weights[name] for name in again}
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "stem"], ["a"], "stem", pads=[1] * 4, strides=[2, 2]), node("Relu", ["a"], ["a+"], "a+"),
        node("Conv", ["a+", "kernel"], ["b"], "first", pads=[1] * 4), node("Relu", ["b"], ["b+"], "b+"),
        node("Conv", ["b+", again["kernel"]], ["c"], "second", pads=[1] * 4), node("Relu", ["c"], ["c+"], "c+"),
        node("GlobalAveragePool", ["c+"], ["d"], "pool"), node("Flatten", ["d"], ["e"], "flat"),
        node("Gemm", ["e", "square"], ["f"], "rows", transB=1), node("Relu", ["f"], ["f+"], "f+"),
        node("MatMul", ["f+", again["square"]], ["g"], "columns"), node("Relu", ["g"], ["g+"], "g+"),
        node("MatMul", ["g+", "head"], ["scores"], "head"),
    ]  # fmt: skip
    held = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    info = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 16, 16])
    answer = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "tied", [info], [answer], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def images(count: int = 24) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, 16, 16)).astype(np.float32)


def int8_of(model: onnx.ModelProto, folder: Path) -> Path:
    save_model(model, folder / "trunk.onnx")
    save_model(quantize_statically(folder / "trunk.onnx", [images()], **HOW), folder / "int8.onnx")
    return folder / "int8.onnx"


@pytest.mark.parametrize("entries", [{}, EXACT], ids=["usual", "exact"])
def test_a_tied_weight_loses_no_more_than_two_equal_weights(entries: dict[str, str], tmp_path: Path) -> None:
    found = []
    for shared in (True, False):
        folder = tmp_path / str(shared)
        folder.mkdir()
        path = int8_of(tied(shared=shared), folder)
        found.append(session_of(path, entries=entries).run(None, {"image": images()})[0])
    np.testing.assert_array_equal(*found)


def share_dequantizers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let the second convolution read the DequantizeLinear of the first, as other tools write a tied weight."""
    first, second = (next(node for node in model.graph.node if node.name == name) for name in ("first", "second"))
    second.input[1] = first.input[1]
    return model


def integer_kernels() -> onnx.ModelProto:
    """Two QLinearConv that read one weight and one zero point."""
    draw = np.random.default_rng(0)
    held = {"kernel": draw.integers(-60, 60, (3, 3, 3, 3)).astype(np.int8), "zero": np.int8(0), "step": np.float32(0.01)}
    held |= {"wide": np.float32(0.05), "middle": np.uint8(128), "shape": np.array([-1, 3], np.int64)}
    node = helper.make_node
    operands = ["step", "zero", "wide", "middle"]
    nodes = [
        node("QuantizeLinear", ["image", "wide", "middle"], ["a"], "entry"),
        node("QLinearConv", ["a", "wide", "middle", "kernel", *operands], ["b"], "first", pads=[1] * 4),
        node("QLinearConv", ["b", "wide", "middle", "kernel", *operands], ["c"], "second", pads=[1] * 4),
        node("DequantizeLinear", ["c", "wide", "middle"], ["d"], "end"),
        node("GlobalAveragePool", ["d"], ["e"], "pool"), node("Reshape", ["e", "shape"], ["scores"], "flat"),
    ]  # fmt: skip
    info = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 16, 16])
    answer = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(
        nodes, "integers", [info], [answer], [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.mark.parametrize("form", ["Q/DQ", "QOperator"])
def test_a_file_that_came_quantized_with_a_tied_weight_runs_with_exact_products(form: str, tmp_path: Path) -> None:
    path = tmp_path / "file.onnx"
    if form == "Q/DQ":
        save_model(share_dequantizers(onnx.load(int8_of(tied(), tmp_path))), path)
    else:
        save_model(integer_kernels(), path)
    model = onnx.load(path)
    entry = read_entry(model, path)
    assert entry.quantized == form
    save_model(convert_to_trunk(model, entry, "rgb", path), tmp_path / "made.onnx")
    reference = session_of(path, entries={"session.disable_quant_qdq": "1"}).run(None, {"image": images()})[0]
    ours = session_of(tmp_path / "made.onnx", entries=EXACT).run(None, {"image": images()})[0]
    assert np.corrcoef(reference.ravel(), ours.ravel())[0, 1] > 0.99
