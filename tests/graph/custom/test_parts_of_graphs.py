"""Parts of a graph that reach further than one node: branches, constants with several readers, functions, dropouts, casts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.custom.onnx_entry import final_activation, read_entry, read_model
from tests.graph.custom.test_answer_forms import add_constant, ended_by, reshaped_output
from tests.graph.custom_files import CLASSES, classifier
from tests.graph.custom_trunks import trunk_of

PATH = Path("mine.onnx")


def test_a_shape_that_other_nodes_read_too_stays_theirs(tmp_path: Path) -> None:
    """A Reshape copies the axis of images; an Expand would take the 0 for a size."""
    model = add_constant(add_constant(classifier("half", batch=1), "row", [1, 4]), "more", [[0.5]], np.float32)
    ended_by(model, "Reshape", "flat_scores", "row")
    model.graph.node.append(helper.make_node("Expand", ["more", "row"], ["wide"]))
    onnx.save(ended_by(model, "Add", "sums", "wide"), tmp_path / "mine.onnx")
    trunk_of(tmp_path / "mine.onnx")


def test_branches_read_the_input_under_its_new_name(tmp_path: Path) -> None:
    model = add_constant(classifier("half"), "condition", False, np.bool_)
    inside = [helper.make_node("ReduceMean", ["planes"], ["mean"], axes=[2, 3], keepdims=0)]
    inside.append(helper.make_node("ReduceMax", ["mean"], ["most"], axes=[1], keepdims=1))
    inside.append(helper.make_node("Sub", ["scores", "most"], ["less"]))
    value = helper.make_tensor_value_info("less", TensorProto.FLOAT, None)
    same = helper.make_tensor_value_info("same", TensorProto.FLOAT, None)
    then = helper.make_graph([helper.make_node("Identity", ["scores"], ["same"])], "then", [], [same])
    other = helper.make_graph(inside, "else", [], [value])
    model.graph.node.append(helper.make_node("If", ["condition"], ["chosen"], then_branch=then, else_branch=other))
    model.graph.output[0].name = "chosen"
    onnx.save(model, tmp_path / "mine.onnx")
    trunk_of(tmp_path / "mine.onnx")


def function_model(op: str, opset: int) -> onnx.ModelProto:
    """A model of opset 17 whose last layer is a function of an older opset, behind a tensor of three axes."""
    model = add_constant(classifier("half"), "last", [2])
    ended_by(model, "Unsqueeze", "tall", "last")
    imports = [helper.make_opsetid("", opset)]
    body = helper.make_node(op, ["a"], ["b"], axis=1) if op == "Softmax" else helper.make_node(op, ["a"], ["b"])
    model.functions.append(helper.make_function("own", "Last", ["a"], ["b"], [body], imports))
    model.opset_import.append(helper.make_opsetid("own", 1))
    ended_by(model, "Last", "made", domain="own")
    ended_by(model, "Flatten", "flat_answer")
    return reshaped_output(model, "n", len(CLASSES))


@pytest.mark.parametrize(("op", "opset"), [("Tanh", 14), ("Softmax", 11)])
def test_functions_of_another_opset_are_inlined(op: str, opset: int, tmp_path: Path) -> None:
    """Before opset 13 a softmax over axis 1 of a tensor of three axes is one over the last two."""
    onnx.save(function_model(op, opset), tmp_path / "mine.onnx")
    assert not read_model(tmp_path / "mine.onnx").functions
    trunk_of(tmp_path / "mine.onnx")


@pytest.mark.parametrize(("ratio", "trains"), [(0.0, False), (0.5, True)])
def test_a_dropout_that_drops_nothing_does_not_train(ratio: float, trains: bool) -> None:
    model = add_constant(add_constant(classifier(), "ratio", ratio, np.float32), "mode", True, np.bool_)
    ended_by(model, "Dropout", "left", "ratio", "mode")
    if trains:
        with pytest.raises(CustomModelUnusable, match=r"it was exported in training mode \(Dropout left\)"):
            read_entry(model, PATH)
    else:
        assert read_entry(model, PATH).classes == len(CLASSES)


@pytest.mark.parametrize(("kind", "end"), [(TensorProto.DOUBLE, "softmax"), (TensorProto.INT32, None)])
def test_only_casts_to_floating_point_keep_probabilities(kind: int, end: str | None) -> None:
    model = ended_by(classifier(softmax=True), "Cast", "cast", to=kind)
    assert final_activation(ended_by(model, "Cast", "back", to=TensorProto.FLOAT).graph, "back") == end
