"""One layer's numbers are rounded as the quantized file rounds them, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgecnn.graph.macs import tensors_of_layers
from edgecnn.graph.quantization_nodes import Rounding, quantize_one_layer, read_rounding
from edgecnn.runtimes.onnxruntime_files import logits_of
from tests.graph.strands import relu_strand, swish_strand

AS_WRITTEN = {"session.disable_quant_qdq": "1"}
IMAGES = np.random.default_rng(1).normal(0, 1, (4, 3, 8, 8)).astype(np.float32)


class Once(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self.feeds = iter([{"image": IMAGES}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def quantized(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    onnx.save(model, folder / "float.onnx")
    quantize_static(
        folder / "float.onnx", folder / "int8.onnx", Once(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return onnx.load(folder / "int8.onnx")


@pytest.fixture(scope="module")
def rounding(tmp_path_factory: pytest.TempPathFactory) -> Rounding:
    return read_rounding(quantized(relu_strand(), tmp_path_factory.mktemp("relu")))


def test_grids_are_of_the_float_model_s_tensors_the_graph_s_output_included(rounding: Rounding) -> None:
    assert rounding.activations.keys() == {"image", "ra.out", "rb.out", "c.out"}, "what Relu reads is clipped by the grid behind"
    assert all(grid.zero_point.dtype == np.uint8 for grid in rounding.activations.values())


def test_rounded_weights_are_within_half_a_step_of_the_float_ones(rounding: Rounding) -> None:
    assert rounding.constants.keys() == {(name, place) for name in "abc" for place in (1, 2)}
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in relu_strand().graph.initializer}
    for name in "abc":
        exact, rounded = weights[f"{name}.weight"], rounding.constants[name, 1]
        step = np.abs(exact).max(axis=(1, 2, 3), keepdims=True) / 127
        assert np.abs(rounded - exact).max() > 0
        assert (np.abs(rounded - exact) <= step * 0.5001).all()


def test_rounding_every_layer_in_turn_leaves_the_float_model_as_it_was_and_changes_each_answer(rounding: Rounding) -> None:
    model = relu_strand()
    before = model.SerializeToString(deterministic=True)
    exact = logits_of(before, IMAGES)
    tensors = tensors_of_layers(model)
    alone = [quantize_one_layer(model, rounding, name, tensors[name]) for name in "abc"]
    answers = [logits_of(rounded.SerializeToString(), IMAGES, AS_WRITTEN) for rounded in alone]
    assert model.SerializeToString(deterministic=True) == before
    for answer in answers:
        assert 0 < np.abs(answer - exact).max() < 0.1 * np.ptp(exact)
    assert not np.array_equal(answers[0], answers[1])


def test_all_layers_rounded_one_upon_the_other_are_the_quantized_file(tmp_path: Path) -> None:
    """What a layer alone is charged with adds up to what the file does: nothing is forgotten and nothing is rounded twice."""
    model = relu_strand()
    file = quantized(model, tmp_path)
    rounding = read_rounding(file)
    whole = model
    for index, name in enumerate("abc"):
        taken = {tensor for other in "abc"[:index] for tensor in tensors_of_layers(model)[other]}
        whole = quantize_one_layer(whole, rounding, name, tensors_of_layers(model)[name] - taken)
    ours = logits_of(whole.SerializeToString(), IMAGES, AS_WRITTEN)
    theirs = logits_of(file.SerializeToString(), IMAGES, AS_WRITTEN)
    assert np.abs(ours - theirs).max() < 1e-5 * np.ptp(theirs)


def test_a_tensor_that_the_file_does_not_round_stays_as_it_is(tmp_path: Path) -> None:
    model = swish_strand()
    rounding = read_rounding(quantized(model, tmp_path))
    nothing = Rounding(activations={}, constants={})
    exact = logits_of(model.SerializeToString(), IMAGES)
    same = quantize_one_layer(model, nothing, "b", {"ma.out", "b.out"})
    assert np.array_equal(logits_of(same.SerializeToString(), IMAGES), exact)
    other = quantize_one_layer(model, rounding, "b", {"ma.out", "b.out"})
    assert [node.op_type for node in other.graph.node].count("QuantizeLinear") == 2
