"""The ranges of LiteRT's INT8: the extremes over all calibration images, whatever their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from edgecnn.quantization.job import Job
from edgecnn.quantization.litert import quantize
from edgecnn.values.data.preprocessing import Normalization
from tests.quantization.made import CANDIDATES

SIDE, IMAGES = 4, 40
PLAIN = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def network(path: Path) -> None:
    """A convolution, whose ranges are looked at, and a classifier of 3."""
    draws = np.random.default_rng(5)
    shapes = {"w": (4, 3, 1, 1), "head": (3, 4 * SIDE * SIDE)}
    weights = [numpy_helper.from_array(draws.standard_normal(shape).astype(np.float32), name) for name, shape in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["felt"], "layer"),
        helper.make_node("Flatten", ["felt"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "head"], ["logits"], "classifier", transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph(nodes, "ranges", [image], [logits], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


@pytest.mark.parametrize("bright", [0, IMAGES - 1])
def test_one_bright_image_is_in_the_range_wherever_it_stands(bright: int, tmp_path: Path) -> None:
    network(tmp_path / "model.onnx")
    pixels = np.random.default_rng(1).integers(0, 16, (IMAGES, SIDE, SIDE, 3), np.uint8)
    pixels[bright] *= 16
    (tmp_path / "made").mkdir()
    quantize(Job(tmp_path / "model.onnx", tmp_path / "made", CANDIDATES["litert-int8"], PLAIN, pixels))
    graph = schema.Model.GetRootAs((tmp_path / "made" / "model.tflite").read_bytes()).Subgraphs(0)
    tensors = [graph.Tensors(number) for number in range(graph.TensorsLength())]
    (felt,) = (tensor for tensor in tensors if tensor.Name() == b"felt" and tensor.Type() == schema.TensorType.INT8)
    weights = numpy_helper.to_array(onnx.load(tmp_path / "model.onnx").graph.initializer[0])[:, :, 0, 0]
    sums = np.einsum("nhwc,kc->nhwk", PLAIN.feed(pixels, layout="NHWC"), weights)
    assert felt.Quantization().Scale(0) * 255 == pytest.approx(np.ptp(np.append(sums, 0)), rel=0.01)
