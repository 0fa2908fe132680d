"""Answers whose declared shape is not theirs, and softmaxes of a single image, as files in use have them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.custom.onnx_entry import read_entry, read_model
from tests.graph.custom.test_answer_forms import add_constant, convolution_scores, ended_by, reshaped_output
from tests.graph.custom_files import CLASSES, classifier
from tests.graph.custom_trunks import trunk_of

PATH = Path("mine.onnx")


def test_a_declared_shape_that_is_not_the_real_one_does_not_count(tmp_path: Path) -> None:
    onnx.save(reshaped_output(convolution_scores(), "n", len(CLASSES)), tmp_path / "mine.onnx")
    trunk = trunk_of(tmp_path / "mine.onnx")
    assert trunk.graph.node[-1].op_type == "Reshape"


def test_an_output_without_a_declared_shape_has_the_inferred_one(tmp_path: Path) -> None:
    model = classifier("half")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, tmp_path / "mine.onnx")
    assert read_entry(model, PATH).classes == len(CLASSES)
    trunk_of(tmp_path / "mine.onnx")


def squeezed_image_model(axis: int) -> onnx.ModelProto:
    """Its one image's axis is gone while the softmax normalizes."""
    model = add_constant(classifier("half", batch=1), "first", [0])
    ended_by(ended_by(model, "Squeeze", "alone", "first"), "Softmax", "normalized", axis=axis)
    return ended_by(model, "Unsqueeze", "share", "first")


def flattened_image_model() -> onnx.ModelProto:
    """Before opset 13 a softmax of axis 0 normalizes over all numbers."""
    return ended_by(classifier("half", batch=1, opset=11), "Softmax", "share", axis=0)


ALONE = {
    "squeezed": squeezed_image_model(0),
    "squeezed, last axis": squeezed_image_model(-1),
    "all numbers": flattened_image_model(),
}


@pytest.mark.parametrize("form", ALONE)
def test_a_softmax_over_the_classes_of_a_single_image_is_left_out(form: str, tmp_path: Path) -> None:
    onnx.save(ALONE[form], tmp_path / "mine.onnx")
    entry = read_entry(read_model(tmp_path / "mine.onnx"), PATH)
    assert (entry.batch, entry.classes, entry.ends_in_softmax) == (1, len(CLASSES), True)
    assert not {"Softmax", "Squeeze"} & {node.op_type for node in trunk_of(tmp_path / "mine.onnx").graph.node}


def test_a_softmax_over_the_one_image_of_a_call_is_refused() -> None:
    with pytest.raises(CustomModelUnusable, match=r"normalizes over the images of a batch \(axis 0\)"):
        read_entry(ended_by(classifier(batch=1), "Softmax", "share", axis=0), PATH)
