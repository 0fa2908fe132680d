"""Answers in integers count by the scale and zero point that the file states; without these the file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from scipy.special import softmax

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.feeding import CustomSession
from edgecnn.graph.custom.onnx_entry import read_entry, read_model
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk, describe_changes
from edgecnn.graph.onnx_file import save_model
from edgecnn.values.custom_model import OutputSteps
from tests.graph.custom.test_answer_forms import add_constant, ended_by, one_number_model, reshaped_output
from tests.graph.custom_files import classifier, feeding_named, pictures, quantized

PATH = Path("mine.onnx")


def quantize_answer(model: onnx.ModelProto, dtype: type, scale: float = 1 / 256) -> onnx.ModelProto:
    """Its answer, quantized to the full range of the type."""
    zero = np.iinfo(dtype).min
    add_constant(add_constant(model, "step", scale, np.float32), "zero", zero, dtype)
    ended_by(model, "QuantizeLinear", "bytes", "step", "zero")
    model.graph.output[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return model


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("end", ["one sigmoid", "softmax"])
def test_probabilities_in_integers_are_those_of_the_file(end: str, dtype: type, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    model = one_number_model() if end == "one sigmoid" else classifier("half", softmax=True)
    onnx.save(model, path)
    entry, feeding, (pixels, _) = read_entry(read_model(path), path), feeding_named("half"), pictures(10)
    exact = CustomSession(path, entry).answers(pixels, feeding)
    onnx.save(quantize_answer(model, dtype), path)
    entry = read_entry(read_model(path), path)
    assert (entry.output_steps, entry.ends_in_shares) == (OutputSteps(scale=1 / 256, zero=np.iinfo(dtype).min), True)
    theirs = CustomSession(path, entry).answers(pixels, feeding)
    np.testing.assert_allclose(theirs, exact, atol=1 / 256)
    save_model(convert_to_trunk(read_model(path), entry, "rgb", path), tmp_path / "trunk.onnx")
    ours = softmax(onnx_logits(tmp_path / "trunk.onnx", feeding.normalization.feed(pixels)), axis=1)
    np.testing.assert_allclose(ours, theirs / theirs.sum(axis=1, keepdims=True), atol=1e-5)
    assert "the bytes of its output scaled" in describe_changes(entry, "rgb", entry.opset)


def test_logits_in_integers_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    onnx.save(quantize_answer(classifier("half", opset=21), np.int16, 0.01), path)
    entry, feeding, (pixels, _) = read_entry(read_model(path), path), feeding_named("half"), pictures(10)
    theirs = CustomSession(path, entry).answers(pixels, feeding)
    save_model(convert_to_trunk(read_model(path), entry, "rgb", path), tmp_path / "trunk.onnx")
    np.testing.assert_allclose(onnx_logits(tmp_path / "trunk.onnx", feeding.normalization.feed(pixels)), theirs, atol=1e-4)


def test_integer_operators_state_the_scale_too(tmp_path: Path) -> None:
    path = quantized(tmp_path, "QOperator", softmax=True)
    model = read_model(path)
    last = model.graph.node[-1]
    assert last.op_type == "DequantizeLinear"
    scale = next(onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == last.input[1])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(last.input[0], TensorProto.UINT8, ["n", 4]))
    model.graph.node.remove(last)
    assert read_entry(model, PATH).output_steps == OutputSteps(scale=scale.item(), zero=0)


def cast_to_bytes() -> onnx.ModelProto:
    model = ended_by(classifier("half", softmax=True), "Cast", "bytes", to=TensorProto.UINT8)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    return model


def scaled_by_class() -> onnx.ModelProto:
    model = add_constant(classifier("half", softmax=True), "step", [0.1, 0.2, 0.3, 0.4], np.float32)
    add_constant(model, "zero", [0, 0, 0, 0], np.uint8)
    ended_by(model, "QuantizeLinear", "bytes", "step", "zero", axis=1)
    return reshaped_bytes(model)


def reshaped_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    return reshaped_output(model, "n", 4)


@pytest.mark.parametrize("model", [cast_to_bytes(), scaled_by_class()], ids=["cast", "a scale for each class"])
def test_integers_without_one_scale_are_refused(model: onnx.ModelProto) -> None:
    with pytest.raises(CustomModelUnusable) as refused:
        read_entry(model, PATH)
    assert refused.value.line() == (
        "edgecnn cannot build from mine.onnx: its output bytes is uint8, and the file states no scale for it — "
        "end the model with a "
        "DequantizeLinear, and export it with a float32 output [custom-model-unusable]"
    )
