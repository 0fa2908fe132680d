"""Attention stays in float: what eight bits would make of it, and which nodes it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import CONVERTER_FAILED
from edgecnn.graph.float_nodes import attention_nodes, attention_products
from edgecnn.runtimes import onnxruntime_files
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.model_file import ModelFile
from edgecnn.values.preprocessing import Normalization

SIDE = 8


def linear_attention() -> onnx.ModelProto:
    """A convolution, ReLU attention as EfficientViT has it with a residual around it, and a classifier of 4."""
    draws = np.random.default_rng(2)

    def weights(name: str, *shape: int, scale: float = 0.3) -> onnx.TensorProto:
        return numpy_helper.from_array((scale * draws.standard_normal(shape)).astype(np.float32), name)

    def integers(name: str, *values: int) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, np.int64), name)

    constants = [
        weights("w.stem", 8, 3, 3, 3), weights("w.qkv", 24, 8, 1, 1), weights("w.proj", 8, 8, 1, 1), weights("w.head", 4, 8),
        numpy_helper.from_array(np.zeros(4, np.float32), "b.head"), numpy_helper.from_array(np.float32(1e-3), "small"),
        integers("flat", 0, 24, SIDE * SIDE),
        integers("square", 0, 8, SIDE, SIDE), integers("thirds", 8, 8, 8), integers("ones", 1),
    ]  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w.stem"], ["stem"], "stem", pads=[1] * 4),
        node("Conv", ["stem", "w.qkv"], ["qkv"], "qkv"),
        node("Reshape", ["qkv", "flat"], ["rows"], "rows"),
        node("Split", ["rows", "thirds"], ["q", "k", "v"], "split", axis=1),
        node("Relu", ["q"], ["q+"], "relu.q"),
        node("Relu", ["k"], ["k+"], "relu.k"),
        node("Transpose", ["k+"], ["kT"], "turned", perm=[0, 2, 1]),
        node("MatMul", ["v", "kT"], ["vk"], "product.vk"),
        node("MatMul", ["vk", "q+"], ["top"], "product.top"),
        node("ReduceSum", ["kT", "ones"], ["sum"], "sum", keepdims=1),
        node("MatMul", ["sum", "q+"], ["bottom"], "product.bottom"),
        node("Add", ["bottom", "small"], ["below"], "above.zero"),
        node("Div", ["top", "below"], ["divided"], "divided"),
        node("Reshape", ["divided", "square"], ["attended"], "back"),
        node("Conv", ["attended", "w.proj"], ["proj"], "proj"),
        node("Add", ["proj", "stem"], ["residual"], "residual"),
        node("GlobalAveragePool", ["residual"], ["pooled"], "pooled"),
        node("Flatten", ["pooled"], ["features"], "flatten"),
        node("Gemm", ["features", "w.head", "b.head"], ["logits"], "head", transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph(nodes, "attention", [image], [logits], constants)
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def cosine_attention() -> onnx.ModelProto:
    """Attention by products of unit rows, in nodes that are named otherwise than what they make, as torch names them."""
    draws = np.random.default_rng(2)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((0.3 * draws.standard_normal(shape)).astype(np.float32), name)

    def integers(name: str, *values: int) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, np.int64), name)

    nodes = [
        ("Conv", ["image", "w.qkv"], ["qkv"], {}), ("Reshape", ["qkv", "flat"], ["rows"], {}),
        ("Split", ["rows", "thirds"], ["q", "k", "v"], {"axis": 1}),
        ("ReduceL2", ["q", "one"], ["q.long"], {}), ("Div", ["q", "q.long"], ["q.unit"], {}),
        ("ReduceL2", ["k", "one"], ["k.long"], {}), ("Div", ["k", "k.long"], ["k.unit"], {}),
        ("Transpose", ["q.unit"], ["q.turned"], {"perm": [0, 2, 1]}), ("MatMul", ["q.turned", "k.unit"], ["near"], {}),
        ("Mul", ["near", "ten"], ["scaled"], {}), ("Softsign", ["scaled"], ["soft"], {}), ("Softmax", ["soft"], ["shares"], {}),
        ("Transpose", ["v"], ["v.turned"], {"perm": [0, 2, 1]}), ("MatMul", ["shares", "v.turned"], ["mixed"], {}),
        ("Transpose", ["mixed"], ["mixed.turned"], {"perm": [0, 2, 1]}), ("Reshape", ["mixed.turned", "square"], ["back"], {}),
        ("GlobalAveragePool", ["back"], ["pooled"], {}), ("Flatten", ["pooled"], ["features"], {}),
        ("Gemm", ["features", "w.head"], ["logits"], {"transB": 1}),
    ]  # fmt: skip
    constants = [
        weights("w.qkv", 24, 3, 1, 1), weights("w.head", 4, 8), integers("flat", 0, 24, SIDE * SIDE), integers("one", 1),
        integers("thirds", 8, 8, 8), integers("square", 0, 8, SIDE, SIDE), numpy_helper.from_array(np.float32(10), "ten"),
    ]  # fmt: skip
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])
    made = [
        helper.make_node(op, reads, makes, f"node_{number}", **attributes)
        for number, (op, reads, makes, attributes) in enumerate(nodes)
    ]
    graph = helper.make_graph(made, "attention", [image], [logits], constants)
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def test_every_step_of_attention_stays_in_float_in_litert(tmp_path: Path) -> None:
    onnx.save(cosine_attention(), tmp_path / "model.onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (16, SIDE, SIDE, 3), np.uint8)
    scheme = SCHEMES[Runtime.LITERT]
    runtime, method = Runtime.LITERT, Method.POST_TRAINING
    int8 = Candidate(id="litert-int8", runtime=runtime, precision=Precision.INT8, method=method, scheme=scheme)
    normal = Normalization(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    backend_for(int8.runtime).write(Job(tmp_path / "model.onnx", tmp_path, int8, normal, pixels))
    model = schema.Model.GetRootAs((tmp_path / "model.tflite").read_bytes())
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(place) for place in range(graph.TensorsLength())]
    rounded = {tensor.Name().decode() for tensor in tensors if tensor.Type() == schema.TensorType.INT8}
    edges = {"image_quantized", "features_quantized"}
    assert rounded == {*edges, "qkv", "qkv/weights", "logits", "logits/weights"}


def test_it_reaches_from_layer_to_layer_and_not_along_the_residual() -> None:
    model = linear_attention()
    assert attention_products(model) == ["product.vk", "product.top", "product.bottom"]
    assert attention_nodes(model) == [
        "rows", "split", "relu.q", "relu.k", "turned", "product.vk", "product.top", "sum", "product.bottom", "above.zero",
        "divided", "back",
    ]  # fmt: skip


def test_a_network_without_products_of_activations_has_none() -> None:
    model = linear_attention()
    kept = [node for node in model.graph.node if node.name in ("stem", "pooled", "flatten", "head")]
    kept[1].input[0] = "stem"
    del model.graph.node[:]
    model.graph.node.extend(kept)
    assert attention_nodes(model) == [] and attention_products(model) == []


SCHEMES = {
    Runtime.ONNXRUNTIME: Scheme(activation_dtype="uint8", activation_symmetric=False, reduced_range=True),  # not all have VNNI
    Runtime.LITERT: Scheme(activation_dtype="int8", activation_symmetric=False),
}


@pytest.mark.parametrize("runtime", SCHEMES)
def test_int8_of_linear_attention_answers_as_fp32_does(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(linear_attention(), tmp_path / "model.onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)
    pixels[::4] //= 16  # dark pictures, whose sums are small
    identity = f"{runtime.value}-int8"
    int8 = Candidate(id=identity, runtime=runtime, precision=Precision.INT8, method=Method.POST_TRAINING, scheme=SCHEMES[runtime])
    normal = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def off(folder: str, in_float: list[str]) -> float:
        out = tmp_path / folder
        out.mkdir()
        facts = backend_for(int8.runtime).write(Job(tmp_path / "model.onnx", out, int8, normal, pixels))
        assert facts["attention"] == in_float
        model = ModelFile.model_validate_json((out / "model.json").read_text())
        feed = normal.feed(pixels)
        exact = onnxruntime_files.logits_of(tmp_path / "model.onnx", feed)
        rounded = backend_for(runtime).logits(out, model, normal.feed(pixels, layout=model.model.input.layout))
        return float(np.abs(exact - rounded).max() / np.ptp(exact))

    with_attention_in_float = off("mended", ["product.vk", "product.top", "product.bottom"])
    monkeypatch.setattr("edgecnn.graph.float_nodes.attention_nodes", lambda model: [])
    assert with_attention_in_float < 0.05
    if runtime is Runtime.LITERT:  # which divides by no rounded zero
        with pytest.raises(EdgecnnError, match="DIV", check=CONVERTER_FAILED.made):
            off("plain", [])
    else:
        assert off("plain", []) > 0.05
