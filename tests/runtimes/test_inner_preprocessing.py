"""A preprocessing inside the file stays in float: a scaler with a number for each pixel is not rounded by one scale for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.checks import onnx_logits
from edgecnn.runtimes import onnxruntime_files
from edgecnn.runtimes.job import Job
from edgecnn.values.preprocessing import Normalization
from tests.runtimes.made import CANDIDATES

SIDE, CLASSES = 16, 4
BYTES = Normalization(mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255))


def scaled_network(path: Path) -> Path:
    """Pictures less an offset, times a scale for each pixel: a corner counts a thousand times as much as the rest, as it does
    where a scaler was fitted on pictures whose corner never changes. Then a convolution, a mean, and a product."""
    draw = np.random.default_rng(0)
    scale = np.full((1, 3, SIDE, SIDE), 0.01, np.float32)
    scale[..., 0, 0] = 10
    held = {
        "offset": np.full((1, 3, SIDE, SIDE), 127, np.float32),
        "scale": scale,
        "conv.w": draw.normal(0, 1, (8, 3, 3, 3)).astype(np.float32),
        "fc.w": draw.normal(0, 1, (CLASSES, 8)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["image", "offset"], ["centred"], name="Sub_0"),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"], name="Mul_0"),
        helper.make_node("Clip", ["scaled", "least", "most"], ["clipped"], name="Clip_0"),
        helper.make_node("Conv", ["clipped", "conv.w"], ["conv"], name="Conv_0", kernel_shape=[3, 3]),
        helper.make_node("Mul", ["conv", "conv"], ["squared"], name="Mul_1"),
        helper.make_node("GlobalAveragePool", ["squared"], ["pool"], name="Pool_0"),
        helper.make_node("Flatten", ["pool"], ["flat"], name="Flatten_0"),
        helper.make_node("Gemm", ["flat", "fc.w"], ["logits"], name="Gemm_0", transB=1),
    ]
    held |= {"least": np.float32(-2), "most": np.float32(2)}
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()]
    graph = helper.make_graph(nodes, "scaled", [image], [logits], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_what_stands_before_the_first_layer_is_not_rounded(tmp_path: Path) -> None:
    trunk, out = scaled_network(tmp_path / "trunk.onnx"), tmp_path / "made"
    pixels = np.random.default_rng(1).integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)
    out.mkdir()
    onnxruntime_files.quantize(Job(trunk, out, CANDIDATES["onnxruntime-int8"], BYTES, pixels, ()))
    made = onnx.load(out / "model.onnx")
    readers = {node.name: node.input[0] for node in made.graph.node}
    assert readers["Sub_0"] == "image" and readers["Mul_0"] == "centred", "float, as they came"
    assert readers["Conv_0"].endswith("_DequantizeLinear_Output") and readers["Mul_1"].endswith("_DequantizeLinear_Output")
    shown = BYTES.feed(pixels)
    fp32, int8 = onnx_logits(trunk, shown), onnx_logits(out / "model.onnx", shown)
    assert np.abs(int8 - fp32).max() < 0.1 * np.ptp(fp32)
