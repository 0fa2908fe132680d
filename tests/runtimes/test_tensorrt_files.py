"""INT8 for TensorRT: the scheme, the twin that answers for it, and that the twin's executor computes what is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import TWIN_DISAGREES
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.onnxruntime_files import logits_of
from edgecnn.runtimes.tensorrt import UNFUSED
from edgecnn.runtimes.tensorrt_files import twin_distances
from edgecnn.values.model_file import ModelFile
from tests.graph.trunks import NORMALIZATION, feed_of, pictures, trunk
from tests.runner.engine_kits import INT8, made
from tests.runtimes.made import SATURATES
from tests.runtimes.misread import activations_as_uint8

NETWORK = "mobilenet_v3_small"


def ships() -> Path:
    return made(NETWORK, INT8) / "model.onnx"


def twin() -> Path:
    return made(NETWORK, INT8) / "twin" / "model.onnx"


def spread_apart(ours: np.ndarray, theirs: np.ndarray) -> float:  # type: ignore[type-arg]
    """Root mean square of the difference over the spread of the first."""
    return float(np.sqrt(np.mean((ours - theirs) ** 2)) / np.ptp(ours))


def test_every_multiplying_layer_reads_symmetric_int8_and_keeps_a_float_bias() -> None:
    model = onnx.load(ships())
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    multipliers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(multipliers) == 54
    for node in multipliers:
        activation, weights = (producers[name] for name in node.input[:2])
        assert (activation.op_type, weights.op_type) == ("DequantizeLinear", "DequantizeLinear")
        scale, zero = (constants[name] for name in weights.input[1:3])
        assert zero.data_type == TensorProto.INT8
        assert scale.data_type == TensorProto.FLOAT16
        assert not numpy_helper.to_array(zero).any()
        assert list(scale.dims) == [constants[weights.input[0]].dims[0]]
        assert all(constants[name].data_type == TensorProto.FLOAT16 for name in node.input[2:])


def test_nothing_stands_between_a_layer_and_what_follows_it() -> None:
    """A quantizer right behind a convolution would keep TensorRT from fusing its activation or a residual's addition into it."""
    model = onnx.load(ships())
    multiplied = {node.output[0] for node in model.graph.node if node.op_type == "Conv"}
    quantized = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    producers = {output: node for node in model.graph.node for output in node.output}
    readers = [node for node in model.graph.node if node.op_type in ("Relu", "HardSwish", "Add")]
    assert all(producers[name].op_type != "DequantizeLinear" for node in readers for name in node.input if name in multiplied)
    assert not quantized & {node.input[0] for node in model.graph.node if node.op_type in ("Relu", "HardSwish")}


def test_the_twin_s_session_is_told_not_to_fuse() -> None:
    described = ModelFile.model_validate_json((twin().parent / "model.json").read_text())
    assert described.session.module == "onnxruntime_cpu"
    assert dict(described.session.options) == {"session.disable_quant_qdq": "1"}


def test_told_so_onnx_runtime_computes_the_graph_as_written(tmp_path: Path) -> None:
    """No integer kernel is left, and the answers are those of the graph run node by node without any optimization."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    for name, value in UNFUSED.items():
        options.add_session_config_entry(name, value)
    onnxruntime.InferenceSession(twin(), options, providers=["CPUExecutionProvider"])
    ops = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert "QuantizeLinear" in ops
    assert not {op for op in ops if op.startswith("QLinear") or op in ("ConvInteger", "MatMulInteger", "QGemm")}
    feed = feed_of(pictures(2, seed=3))
    assert spread_apart(ReferenceEvaluator(str(twin())).run(None, {"image": feed})[0], logits_of(twin(), feed, UNFUSED)) < 0.01


def test_the_file_that_ships_computes_what_its_twin_computes() -> None:
    """By ONNX Runtime with fusion off, which is what every build checks with.

    onnx's reference sums fp16 products in fp16, which no convolution of TensorRT does, so it is no judge of this.
    """
    feed = feed_of(pictures(16, seed=3))
    assert 0 < spread_apart(logits_of(twin(), feed, UNFUSED), logits_of(ships(), feed, UNFUSED)) < 0.08


@pytest.mark.skipif(SATURATES, reason="no VNNI here: OpenVINO's sums of byte products saturate")
def test_the_file_that_ships_computes_it_by_openvino_too() -> None:
    feed = feed_of(pictures(16, seed=3))
    core = openvino.Core()
    by_openvino = core.compile_model(core.read_model(ships()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(feed)[0]
    assert 0 < spread_apart(logits_of(twin(), feed, UNFUSED), by_openvino) < 0.08


def test_what_ships_and_its_twin_are_equally_far_from_the_network_that_they_stand_for() -> None:
    facts = json.loads((made(NETWORK, INT8) / "quantize.json").read_text())
    away = facts["distance_from_float"]
    assert 0.01 < away["twin"] < 0.06
    assert away["ships"] == pytest.approx(away["twin"], rel=0.25)
    assert facts["float_layers"] == []


def test_a_file_that_does_not_compute_what_its_twin_does_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "model.onnx").write_bytes(twin().read_bytes())
    onnx.save(activations_as_uint8(onnx.load(ships())), tmp_path / "model.onnx")
    job = Job(trunk(NETWORK), tmp_path, INT8, NORMALIZATION, pictures(8))
    with pytest.raises(EdgecnnError, check=TWIN_DISAGREES.made):
        twin_distances(job)
