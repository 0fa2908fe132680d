"""NaN spreads to the end of a network; what is named is where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph import checks
from edgecnn.graph.checks import first_nonfinite

ONES = np.ones((1, 3), np.float32)


def a_network(folder: Path, *operators: str, scale: float = 1.0) -> Path:
    """A chain of layers, the first of which multiplies by ``scale``."""
    names = ["image", *(f"t{place}" for place in range(len(operators))), "logits"]
    nodes = [helper.make_node("Mul", ["image", "scale"], ["t0"], name="first")]
    for place, operator in enumerate(operators):
        nodes.append(helper.make_node(operator, [names[place + 1]], [names[place + 2]], name=f"{operator.lower()}-{place}"))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(np.full(3, scale, np.float32), "scale")],
    )
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.mark.parametrize("a_pass", [1, 2, 64])
@pytest.mark.parametrize(
    ("operators", "scale", "text"),
    [
        (("Exp", "Neg", "Exp"), 100.0, "layer exp-0 (Exp) is the first to give inf, from finite numbers and finite weights"),
        (("Neg", "Log", "Abs"), 1.0, "layer log-1 (Log) is the first to give nan, from finite numbers and finite weights"),
        (("Abs", "Neg"), float("nan"), "layer first (Mul) is the first to give nan, its weights already contain it"),
    ],
)
def test_the_first_layer_that_gives_no_number_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operators: Sequence[str], scale: float, text: str, a_pass: int
) -> None:
    monkeypatch.setattr(checks, "LAYERS_A_PASS", a_pass)
    assert str(first_nonfinite(a_network(tmp_path, *operators, scale=scale), ONES)) == text


def test_a_network_of_numbers_blames_nobody(tmp_path: Path) -> None:
    assert first_nonfinite(a_network(tmp_path, "Neg", "Abs", "Sqrt"), ONES) is None
    assert first_nonfinite(a_network(tmp_path, "Neg", "Abs", "Sqrt"), ONES, {"threads": "1", "session.x": "y"}) is None
