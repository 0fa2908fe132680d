"""A clamp goes only where the quantizer behind it does the same, and then no number changes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecnn.graph.quantization_nodes import absorb_clamps


def clamped(kind: str, scale: float, zero: int, read_twice: bool = False) -> onnx.ModelProto:
    """x (N, 4) → ReLU or Clip to [0, 6] → Q → DQ."""
    constants = {
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
        "scale": np.array(scale, np.float32),
        "zero": np.array(zero, np.uint8),
    }
    bounds = ["low", "high"] if kind == "Clip" else []
    nodes = [
        helper.make_node(kind, ["x", *bounds], ["c"], name="clamp"),
        helper.make_node("QuantizeLinear", ["c", "scale", "zero"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d" if read_twice else "y"], name="d"),
        *([helper.make_node("Add", ["d", "c"], ["y"], name="add")] if read_twice else []),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy")
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )


@pytest.mark.parametrize(
    ("kind", "scale", "zero", "gone"),
    [
        ("Relu", 0.05, 0, 1),
        ("Relu", 0.05, 3, 0),
        ("Clip", 6 / 255, 0, 1),
        ("Clip", 4 / 255, 0, 1),
        ("Clip", 8 / 255, 0, 0),
    ],
    ids=["from 0 up", "numbers below 0", "the same range", "a smaller range", "a larger range"],
)
def test_a_clamp_goes_where_the_quantizer_clamps_as_much(kind: str, scale: float, zero: int, gone: int) -> None:
    before, after = clamped(kind, scale, zero), clamped(kind, scale, zero)
    assert absorb_clamps(after) == gone
    assert len(after.graph.node) == 3 - gone
    images = np.linspace(-2, 9, 400, dtype=np.float32).reshape(100, 4)
    theirs, ours = (ReferenceEvaluator(model).run(None, {"x": images})[0] for model in (before, after))
    assert np.array_equal(theirs, ours)


def test_a_clamp_that_something_else_reads_stays() -> None:
    assert absorb_clamps(clamped("Relu", 0.05, 0, read_twice=True)) == 0
