"""Files of other exporters: weights among the inputs, functions of their own, and quantized ones of every kind, which stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.errors.graph import NOT_AN_ONNX_MODEL
from edgecnn.graph.checks import Level, onnx_logits, session_of
from edgecnn.graph.custom.feeding import CustomSession
from edgecnn.graph.custom.onnx_entry import read_entry, read_model
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk, describe_changes
from edgecnn.graph.onnx_file import save_model
from tests.graph.custom_files import classifier, feeding_named, pictures


def written(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "mine.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("opset", [7, 8, 9, 11, 12])
def test_weights_among_the_inputs_are_no_inputs_of_the_trunk(opset: int, tmp_path: Path) -> None:
    """As IR 3 has them: the Model Zoo's older files, MXNet's and old Keras's."""
    model = classifier("half", opset=opset, batch_norm=True)
    held = [onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in model.graph.initializer]
    model.graph.input.extend(held)
    model.ir_version = 3
    path = written(model, tmp_path)
    entry, (pixels, _) = read_entry(read_model(path), path), pictures(10)
    theirs = CustomSession(path, entry).answers(pixels, feeding_named("half"))
    save_model(convert_to_trunk(read_model(path), entry, "rgb", path), tmp_path / "trunk.onnx")
    np.testing.assert_allclose(answers_of_trunk(tmp_path / "trunk.onnx", pixels), theirs, atol=2e-3)
    trunk = onnx.load(tmp_path / "trunk.onnx")
    assert (trunk.ir_version, [value.name for value in trunk.graph.input]) == (10, ["image"])


def answers_of_trunk(path: Path, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return onnx_logits(path, feeding_named("half").normalization.feed(pixels))


def wrap_in_function(*inner: str) -> onnx.ModelProto:
    """The last layer as a function of the file's own, which calls ``inner`` of that domain where that is named."""
    model = classifier("half")
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own", 1)]
    gemm = onnx.helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    calls = [onnx.helper.make_node(name, ["x", "w", "b"], ["y"], domain="own") for name in inner]
    model.functions.append(onnx.helper.make_function("own", "Head", ["x", "w", "b"], ["y"], calls or [gemm], opsets))
    last = model.graph.node[-1]
    last.op_type, last.domain = "Head", "own"
    last.ClearField("attribute")
    model.opset_import.append(opsets[1])
    return model


def test_functions_of_the_file_are_inlined(tmp_path: Path) -> None:
    path = written(wrap_in_function(), tmp_path)
    entry, (pixels, _) = read_entry(read_model(path), path), pictures(10)
    theirs = CustomSession(path, entry).answers(pixels, feeding_named("half"))
    trunk = convert_to_trunk(read_model(path), entry, "rgb", path)
    save_model(trunk, tmp_path / "trunk.onnx")
    np.testing.assert_allclose(answers_of_trunk(tmp_path / "trunk.onnx", pixels), theirs, atol=2e-3)
    assert {node.op_type for node in trunk.graph.node} >= {"Gemm"} and not trunk.functions


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    path = written(wrap_in_function("Head"), tmp_path)
    with pytest.raises(EdgecnnError, check=NOT_AN_ONNX_MODEL.made) as refused:
        read_model(path)
    assert refused.value.ref == "not-an-onnx-model"


KINDS = {
    "4 bits": (onnx.TensorProto.INT4, 21, "float32"),
    "4 bits, opset 23": (onnx.TensorProto.INT4, 23, "float32"),
    "8 bits, opset 21": (onnx.TensorProto.INT8, 21, "float32"),
    "FP8": (onnx.TensorProto.FLOAT8E4M3FN, 19, "float32"),
    "8 bits and half precision": (onnx.TensorProto.INT8, 21, "float16"),
}


def quantized_weights_model(kind: int, opset: int, dtype: str) -> onnx.ModelProto:
    model = classifier("half", opset=opset, dtype=dtype)
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.w")
    values = onnx.numpy_helper.to_array(weights).astype(np.float32)
    step = np.abs(values).max() / 7
    model.graph.initializer.remove(weights)
    steps = np.clip(np.round(values / step), -7, 7).ravel().tolist()
    model.graph.initializer.extend(
        [
            onnx.helper.make_tensor("steps", kind, values.shape, steps),
            onnx.helper.make_tensor("zero", kind, [], [0]),
            onnx.numpy_helper.from_array(np.array(step, dtype), "step"),
        ]
    )
    node = onnx.helper.make_node("DequantizeLinear", ["steps", "step", "zero"], ["fc.w"], name="weights")
    model.graph.node.insert(0, node)
    model.ir_version = 10
    return model


@pytest.mark.parametrize("name", KINDS)
def test_quantized_weights_keep_their_opset_type_and_precision(name: str, tmp_path: Path) -> None:
    kind, opset, dtype = KINDS[name]
    path = written(quantized_weights_model(kind, opset, dtype), tmp_path)
    entry, (pixels, _) = read_entry(read_model(path), path), pictures(10)
    assert (entry.quantized, entry.opset) == ("Q/DQ", opset)
    theirs = CustomSession(path, entry).answers(pixels, feeding_named("half"))
    save_model(convert_to_trunk(read_model(path), entry, "rgb", path), tmp_path / "trunk.onnx")
    np.testing.assert_allclose(
        answers_of_trunk(tmp_path / "trunk.onnx", pixels), theirs, atol=1e-2 if dtype == "float16" else 1e-5
    )
    trunk = onnx.load(tmp_path / "trunk.onnx")
    held = {tensor.name: tensor.data_type for tensor in trunk.graph.initializer}
    assert trunk.opset_import[0].version == opset
    assert (held["steps"], held["step"]) == (kind, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    assert describe_changes(entry, "rgb", opset) == "saved anew"


def test_a_quantized_file_that_no_runtime_here_runs_asks_for_its_float_network(tmp_path: Path) -> None:
    model = quantized_weights_model(onnx.TensorProto.INT8, 21, "float32")
    model.opset_import[0].version = 99
    path = written(model, tmp_path)
    with pytest.raises(CustomModelUnusable) as refused:
        CustomSession(path, read_entry(read_model(path), path))
    assert refused.value.because is not None and refused.value.because.startswith("ONNX Runtime cannot open it (version ")
    assert refused.value.hint == "pass --model the float network that it was made from; edgecnn quantizes it"


def test_a_quantized_file_that_only_opens_unfused_is_refused_at_once(tmp_path: Path) -> None:
    """FP8 behind a Clip: ONNX Runtime 1.31 has the operators, and its fusion of Clip with QuantizeLinear lacks the type."""
    model = classifier("half", opset=21)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    made = relu.output[0]
    relu.op_type, relu.output[0] = "Clip", "before"
    relu.input.extend(["low", "high"])
    bounds = {"low": 0.0, "high": 6.0}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(value, np.float32), name) for name, value in bounds.items()
    )
    kind = onnx.TensorProto.FLOAT8E4M3FN
    model.graph.initializer.extend(
        [onnx.helper.make_tensor("zero", kind, [], [0]), onnx.numpy_helper.from_array(np.array(0.1, np.float32), "step")]
    )
    rounded = onnx.helper.make_node("QuantizeLinear", ["before", "step", "zero"], ["rounded"], name="rounding")
    back = onnx.helper.make_node("DequantizeLinear", ["rounded", "step", "zero"], [made], name="back")
    place = list(model.graph.node).index(relu) + 1
    model.graph.node.insert(place, back)
    model.graph.node.insert(place, rounded)
    model.ir_version = 10
    path = written(model, tmp_path)
    session_of(path, Level.ORT_ENABLE_BASIC)
    with pytest.raises(CustomModelUnusable, match="Unexpected data type for QuantizeLinear"):
        CustomSession(path, read_entry(read_model(path), path))


def test_zero_points_that_weights_share_are_copied(tmp_path: Path) -> None:
    """With exact products ONNX Runtime 1.31 rewrites each weight's zero point, and cannot rewrite one twice."""
    model = quantized_weights_model(onnx.TensorProto.INT8, 21, "float32")
    again = [("steps", "fc.again"), ("steps", "fc.once_more")]
    nodes = [onnx.helper.make_node("DequantizeLinear", [steps, "step", "zero"], [made], name=made) for steps, made in again]
    nodes += [onnx.helper.make_node("Max", ["fc.again", "fc.once_more", "fc.v"], ["fc.w"], name="same")]
    weights = next(node for node in model.graph.node if node.name == "weights")
    weights.output[0] = "fc.v"
    model.graph.node.extend(nodes)
    ordered = sorted(model.graph.node, key=lambda node: node not in (weights, *nodes))
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    path = written(model, tmp_path)
    entry, (pixels, _) = read_entry(read_model(path), path), pictures(10)
    theirs = CustomSession(path, entry).answers(pixels, feeding_named("half"))
    trunk = convert_to_trunk(read_model(path), entry, "rgb", path)
    points = [node.input[2] for node in trunk.graph.node if node.op_type == "DequantizeLinear"]
    assert len(points) == len(set(points)) == 3
    save_model(trunk, tmp_path / "trunk.onnx")
    np.testing.assert_allclose(answers_of_trunk(tmp_path / "trunk.onnx", pixels), theirs, atol=1e-5)
