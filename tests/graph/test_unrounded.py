"""A learned Q/DQ file without its rounding: the floats of its integers, and the activations that its ranges replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.checks import Level, session_of
from edgecnn.graph.quantization_nodes import Ranges, remove_rounding

SIDE = 4


def learned(maker: str, scale: float, zero: int, *, ends_quantized: bool = False) -> onnx.ModelProto:
    """One layer or product of an image, its rounded output, and a sum of each channel; its activation was absorbed."""
    draws = np.random.default_rng(3)
    integers = draws.integers(-127, 128, (4, 3, 1, 1)).astype(np.int8)
    constants: dict[str, npt.NDArray[Any]] = {
        "w": integers, "w.scale": np.array([0.01, 0.02, 0.04, 0.05], np.float32), "w.zero": np.zeros(4, np.int8),
        "scale": np.array(scale, np.float32), "zero": np.array(zero, np.uint8), "factor": np.array(2.0, np.float32),
    }  # fmt: skip
    first = (
        [helper.make_node("DequantizeLinear", ["w", "w.scale", "w.zero"], ["w.float"], axis=0),
         helper.make_node("Conv", ["image", "w.float"], ["made"], "layer")]
        if maker == "Conv" else [helper.make_node("Mul", ["image", "factor"], ["made"], "layer")]
    )  # fmt: skip
    nodes = [
        *first,
        helper.make_node("QuantizeLinear", ["made", "scale", "zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["rounded", "scale", "zero"], ["logits" if ends_quantized else "kept"]),
        *([] if ends_quantized else [helper.make_node("GlobalAveragePool", ["kept"], ["logits"])]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "C", "H", "W"])
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "learned", [image], [logits], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def taken(model: onnx.ModelProto, folder: Path) -> tuple[float, Ranges, list[str]]:
    """How far the float network's answers are from the rounded one's, the ranges, and the operators."""
    images = np.random.default_rng(4).normal(0, 0.5, (5, 3, SIDE, SIDE)).astype(np.float32)
    onnx.save(model, folder / "learned.onnx")
    ranges = remove_rounding(model)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "float.onnx")
    before, after = (session_of(folder / f"{name}.onnx", Level.ORT_ENABLE_BASIC) for name in ("learned", "float"))
    rounded, floats = (session.run(None, {"image": images})[0] for session in (before, after))
    return float(np.abs(rounded - floats).max()), ranges, [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("maker", ["Conv", "Mul"])
def test_a_relu_is_put_back_whatever_it_followed(maker: str, tmp_path: Path) -> None:
    apart, ranges, operators = taken(learned(maker, 0.1, 0), tmp_path)
    assert operators == [maker, "Relu", "GlobalAveragePool"]
    assert ranges["made"] == ranges["kept"] == (0.0, pytest.approx(25.5))
    assert apart < 0.05


def test_a_relu6_is_put_back_where_the_range_ends_at_six(tmp_path: Path) -> None:
    apart, _, operators = taken(learned("Conv", 6 / 255, 0), tmp_path)
    assert operators == ["Conv", "Clip", "GlobalAveragePool"]
    assert apart < 0.02


def test_a_range_on_both_sides_of_zero_has_no_activation(tmp_path: Path) -> None:
    apart, ranges, operators = taken(learned("Conv", 0.2, 100), tmp_path)
    assert operators == ["Conv", "GlobalAveragePool"]
    assert ranges["made"] == (pytest.approx(-20.0), pytest.approx(31.0))
    assert apart < 0.1


def test_an_output_that_is_rounded_keeps_its_name(tmp_path: Path) -> None:
    apart, _, operators = taken(learned("Conv", 0.2, 100, ends_quantized=True), tmp_path)
    assert operators == ["Conv", "Identity"] and apart <= 0.11
