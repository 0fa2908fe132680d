"""fp16 for TensorRT ships with a twin that has the same weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import HALF_OVERFLOW
from edgecnn.graph.half_precision import SMALLEST_HALF, nearest_halves, round_to_half, type_half
from edgecnn.runtimes.onnxruntime_files import logits_of
from edgecnn.values.model_file import ModelFile
from tests.graph.trunks import feed_of, pictures, trunk
from tests.runner.engine_kits import FP16, made
from tests.runner.kits import network

NETWORK = "mobilenet_v3_small"


@pytest.mark.slow  # a large network is exported
def test_the_file_is_typed_fp16_between_float32_ends() -> None:
    model = onnx.load(made(NETWORK, FP16) / "model.onnx")
    ends = [*model.graph.input, *model.graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {TensorProto.FLOAT}
    assert {end.type.tensor_type.shape.dim[0].dim_param for end in ends} == {"batch"}
    floats = {tensor.data_type for tensor in model.graph.initializer} - {TensorProto.INT64}
    assert floats == {TensorProto.FLOAT16}
    assert sum(node.op_type == "Cast" for node in model.graph.node) == 2


def test_file_and_twin_hold_the_same_weights() -> None:
    folder = made(NETWORK, FP16)
    ships, twin = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
        for path in (folder / "model.onnx", folder / "twin" / "model.onnx")
    )
    assert ships.keys() == twin.keys()
    assert all(np.array_equal(ships[name].astype(np.float64), twin[name].astype(np.float64)) for name in ships)
    assert {value.dtype.name for value in twin.values()} == {"float32", "int64"}


def test_the_twin_stays_close_to_the_network() -> None:
    feed = feed_of(pictures(8, seed=3))
    logits, answered = logits_of(trunk(NETWORK), feed), logits_of(made(NETWORK, FP16) / "twin" / "model.onnx", feed)
    assert 0 < np.abs(logits - answered).max() < 0.02 * np.ptp(logits)


def test_the_kit_s_file_wants_an_engine_and_the_twin_wants_none() -> None:
    folder = made(NETWORK, FP16)
    ships, twin = (ModelFile.model_validate_json((path / "model.json").read_text()) for path in (folder, folder / "twin"))
    assert ships.session.module == "tensorrt_gpu"
    assert ships.engine is not None
    assert (ships.engine.builder, ships.engine.onnx, ships.engine.min_version) == ("tensorrt", "model.onnx", "10.3")
    assert twin.session.module == "onnxruntime_cpu"
    assert twin.engine is None


def test_every_number_that_fp16_holds_survives_typing() -> None:
    model = network()
    edge = np.array([SMALLEST_HALF, -SMALLEST_HALF, 3 * SMALLEST_HALF, 65504.0, -65504.0, 0.0, 1.0, 2.0**-14], np.float32)
    head = next(tensor for tensor in model.graph.initializer if tensor.name == "head")
    head.CopyFrom(numpy_helper.from_array(np.tile(edge, (4, 1)), "head"))
    typed = type_half(round_to_half(model))
    array = next(numpy_helper.to_array(tensor) for tensor in typed.graph.initializer if tensor.name == "head")
    assert np.array_equal(array.astype(np.float32), np.tile(edge, (4, 1)))


def test_a_weight_beyond_fp16_is_refused() -> None:
    with pytest.raises(EdgecnnError, check=HALF_OVERFLOW.made):
        nearest_halves(np.array([1.0, -7e4], np.float32), "conv.weight")
