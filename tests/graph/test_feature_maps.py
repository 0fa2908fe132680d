from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.export import export_onnx
from edgecnn.graph.feature_maps import first_filters, maps_of
from edgecnn.graph.layer_cost import Field
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from tests.graph.planted import planted


def test_the_first_map_and_the_last_of_each_size_are_taken_behind_their_activations() -> None:
    assert [
        (feature_map.tensor, feature_map.after, feature_map.rows, feature_map.field) for feature_map in maps_of(planted())
    ] == [
        ("spots", "spotter", 16, Field(size=3, jump=1, start=-1)),
        ("halves", "halver", 8, Field(size=5, jump=2, start=-2)),
    ]


def residual() -> onnx.ModelProto:
    """A stem, a block, and a block that halves: inside it a 1×1 convolution works at the size of the map before."""

    def conv(name: str, reads: str, makes: str, stride: int = 1) -> onnx.NodeProto:
        return helper.make_node("Conv", [reads, "w"], [makes], name=name, strides=[stride, stride])

    nodes = [
        conv("stem", "image", "a"), conv("inner", "a", "b"), helper.make_node("Add", ["a", "b"], ["block"]),
        conv("reduce", "block", "c"), conv("halve", "c", "d", 2), conv("shortcut", "block", "e", 2),
        helper.make_node("Add", ["d", "e"], ["logits"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [numpy_helper.from_array(np.zeros((3, 3, 1, 1), np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.slow  # exports a network for one node
def test_a_map_that_was_transposed_is_none(tmp_path: Path) -> None:
    """At 64 px AlexNet's last map has one position, and what enlarges it puts the images behind the channels."""
    model = export_onnx(build_network(arch_named("alexnet"), 10), ImageSize.square(64), tmp_path / "alexnet.onnx")
    assert "Transpose" in {node.op_type for node in model.graph.node}
    assert [(feature_map.channels, feature_map.rows) for feature_map in maps_of(model)] == [(64, 15), (192, 7), (256, 3)]


def test_a_branch_of_a_block_is_no_end_of_a_group() -> None:
    assert [feature_map.tensor for feature_map in maps_of(residual())] == ["a", "block", "logits"]


def auto_pad_model(text: str, size: int) -> onnx.ModelProto:
    node = helper.make_node("Conv", ["image", "w"], ["logits"], name="only", auto_pad=text, strides=[2, 2])
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2, -(-size // 2), -(-size // 2)])],
        [numpy_helper.from_array(np.zeros((2, 3, 3, 3), np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.parametrize(("text", "size", "start"), [("SAME_UPPER", 8, 0), ("SAME_LOWER", 8, -1), ("SAME_UPPER", 9, -1)])
def test_a_padding_that_is_left_to_the_runtime_is_where_the_runtime_puts_it(text: str, size: int, start: int) -> None:
    (only,) = maps_of(auto_pad_model(text, size))
    assert only.field == Field(size=3, jump=2, start=start)


def test_filters_are_the_first_convolutions_own_numbers() -> None:
    filters = first_filters(planted())
    assert filters is not None and filters.layer == "spotter" and filters.weights.shape == (4, 3, 3, 3)
    assert filters.weights[0, :, 1, 1] == pytest.approx([1 / 9, -1 / 9, -1 / 9])
    without = planted()
    without.graph.node[0].op_type = "ConvTranspose"
    without.graph.node[2].input[1] = "elsewhere"
    assert first_filters(without) is None
