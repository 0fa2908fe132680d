"""A max-pooling pads for itself what was padded with -infinity before it, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.node_folding import fold_pooled_padding

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 9, 7)).astype(np.float32) - 5  # below 0, so that zeros would win
LOWEST = np.finfo(np.float32).min


def pooled(pads: list[int], /, value: float, axes: Any = None, mode: str = "constant", **pool: Any) -> onnx.ModelProto:
    """Pad, then MaxPool of 3 x 3 with stride 2."""
    constants = {"pads": np.array(pads, np.int64), "value": np.array(value, np.float32)}
    constants |= {} if axes is None else {"axes": np.array(axes, np.int64)}
    nodes = [
        helper.make_node("Pad", ["images", *constants], ["padded"], mode=mode),
        helper.make_node("MaxPool", ["padded"], ["answers"], kernel_shape=[3, 3], strides=[2, 2], **pool),
    ]
    graph = helper.make_graph(
        nodes,
        "pooled",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 9, 7])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answers(model: onnx.ModelProto) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"images": IMAGES}
    )[0]


@pytest.mark.parametrize(
    ("model", "pads"),
    [
        (pooled([0, 0, 0, 1, 0, 0, 1, 2], -np.inf), [0, 1, 1, 2]),
        (pooled([0, 0, 0, 1, 0, 0, 1, 2], LOWEST), [0, 1, 1, 2]),
        (pooled([1, 0, 2, 1], -np.inf, axes=[3, 2]), [0, 1, 1, 2]),
        (pooled([1, 0, 2, 1], -np.inf, axes=[-1, -2]), [0, 1, 1, 2]),
        (pooled([0, 0, 0, 1, 0, 0, 1, 1], -np.inf, pads=[1, 1, 0, 1]), [1, 2, 1, 2]),
    ],
)
def test_the_pooling_pads_and_answers_as_before(model: onnx.ModelProto, pads: list[int]) -> None:
    before = answers(model)
    assert fold_pooled_padding(model.graph) == 1
    assert [node.op_type for node in model.graph.node] == ["MaxPool"]
    assert not model.graph.initializer
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in model.graph.node[0].attribute}
    assert (attributes["pads"], attributes["strides"]) == (pads, [2, 2])
    assert np.array_equal(answers(model), before)


@pytest.mark.parametrize(
    "model",
    [
        pooled([0, 0, 0, 1, 0, 0, 1, 1], 0.0),
        pooled([0, 0, 0, 1, 0, 0, 1, 1], -np.inf, mode="edge"),
        pooled([0, 1, 0, 1, 0, 0, 1, 1], -np.inf),
        pooled([0, 0, 0, -1, 0, 0, 1, 1], -np.inf),
        pooled([0, 0, 0, 3, 0, 0, 1, 1], -np.inf),
        pooled([0, 0, 0, 1, 0, 0, 1, 1], -np.inf, ceil_mode=1),
        pooled([0, 0, 0, 1, 0, 0, 1, 1], -np.inf, auto_pad="SAME_UPPER"),
    ],
    ids=["zeros", "edges", "channels", "cropped", "wider than a window", "rounded up", "padded by name"],
)
def test_any_other_padding_stays(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    assert fold_pooled_padding(model.graph) == 0
    assert model.SerializeToString() == before


def test_constant_nodes_are_read_too() -> None:
    model = pooled([0, 0, 0, 1, 0, 0, 1, 2], -np.inf)
    before = answers(model)
    for tensor in model.graph.initializer:
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del model.graph.initializer[:]
    assert fold_pooled_padding(model.graph) == 1
    assert np.array_equal(answers(model), before)


def test_padding_that_a_branch_reads_stays_for_it() -> None:
    model = pooled([0, 0, 0, 1, 0, 0, 1, 1], -np.inf)
    branch = helper.make_graph([helper.make_node("Identity", ["padded"], ["same"])], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["asked"], ["either"], then_branch=branch, else_branch=branch))
    assert fold_pooled_padding(model.graph) == 1
    assert sorted(node.op_type for node in model.graph.node) == ["If", "MaxPool", "Pad"]


def test_padding_that_something_else_reads_stays_for_that() -> None:
    model = pooled([0, 0, 0, 1, 0, 0, 1, 1], -np.inf)
    model.graph.output.append(helper.make_tensor_value_info("padded", TensorProto.FLOAT, None))
    assert fold_pooled_padding(model.graph) == 1
    assert sorted(node.op_type for node in model.graph.node) == ["MaxPool", "Pad"]
