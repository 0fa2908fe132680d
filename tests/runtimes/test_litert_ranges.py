"""The ranges of LiteRT's INT8: the extremes over all calibration images, whatever their order, or those that were learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from edgecnn.runtimes import onnxruntime_files
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.litert_files import quantize
from edgecnn.values.candidate import Method
from edgecnn.values.preprocessing import Normalization
from tests.runtimes.made import CANDIDATES

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


def pixels(bright: int | None) -> npt.NDArray[np.uint8]:
    """Dark images, but for one."""
    shown = np.random.default_rng(1).integers(0, 16, (IMAGES, SIDE, SIDE, 3), np.uint8)
    if bright is not None:
        shown[bright] *= 16
    return shown


def steps(made: Path) -> float:
    """All 255 steps of the convolution's output."""
    graph = schema.Model.GetRootAs(made.read_bytes()).Subgraphs(0)
    tensors = [graph.Tensors(number) for number in range(graph.TensorsLength())]
    (felt,) = (tensor for tensor in tensors if tensor.Name() == b"felt" and tensor.Type() == schema.TensorType.INT8)
    return float(felt.Quantization().Scale(0) * 255)


def width(path: Path, shown: npt.NDArray[np.uint8]) -> float:
    """From the smallest to the largest number that the convolution makes, zero among them."""
    weights = numpy_helper.to_array(onnx.load(path).graph.initializer[0])[:, :, 0, 0]
    sums = np.einsum("nhwc,kc->nhwk", PLAIN.feed(shown, layout="NHWC"), weights)
    return float(np.ptp(np.append(sums, 0)))


@pytest.mark.parametrize("bright", [0, IMAGES - 1])
def test_one_bright_image_is_in_the_range_wherever_it_stands(bright: int, tmp_path: Path) -> None:
    network(tmp_path / "model.onnx")
    quantize(Job(tmp_path / "model.onnx", tmp_path, CANDIDATES["litert-int8"], PLAIN, pixels(bright)))
    assert steps(tmp_path / "model.tflite") == pytest.approx(width(tmp_path / "model.onnx", pixels(bright)), rel=0.01)


def test_a_range_that_was_learned_stays_whatever_the_calibration_images_show(tmp_path: Path) -> None:
    network(tmp_path / "model.onnx")
    wide = Job(tmp_path / "model.onnx", tmp_path / "rounded", CANDIDATES["onnxruntime-int8"], PLAIN, pixels(0))
    wide.out.mkdir()
    onnxruntime_files.quantize(wide)
    aware = CANDIDATES["litert-int8"].model_copy(update={"id": "litert-int8-aware", "method": Method.AWARE_TRAINING})
    facts = quantize(Job(wide.out / "model.onnx", tmp_path, aware, PLAIN, pixels(None)))
    assert facts["float_layers"] == []
    assert steps(tmp_path / "model.tflite") == pytest.approx(width(tmp_path / "model.onnx", pixels(0)), rel=0.01)
    assert width(tmp_path / "model.onnx", pixels(None)) < 0.2 * width(tmp_path / "model.onnx", pixels(0))
