"""Answers as files give them: with axes of one, one share an image, among other outputs; and what answers no image by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.special import softmax

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.feeding import CustomSession
from edgecnn.graph.custom.onnx_entry import read_entry, read_model
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk
from edgecnn.graph.onnx_file import save_model
from tests.graph.custom_files import CLASSES, SIDE, classifier, feeding_named, pictures
from tests.graph.custom_trunks import trunk_of

PATH = Path("mine.onnx")


def reshaped_output(model: onnx.ModelProto, *dims: int | str) -> onnx.ModelProto:
    """The one output with other declared sizes."""
    output = model.graph.output[0]
    kind = output.type.tensor_type.elem_type
    output.CopyFrom(helper.make_tensor_value_info(output.name, kind, list(dims)))
    return model


def ended_by(model: onnx.ModelProto, op: str, name: str, *more: str, **attributes: Any) -> onnx.ModelProto:
    """One more node at the end, whose output is the file's."""
    model.graph.node.append(helper.make_node(op, [model.graph.output[0].name, *more], [name], name=name, **attributes))
    model.graph.output[0].name = name
    return model


def add_constant(model: onnx.ModelProto, name: str, value: Any, kind: type = np.int64) -> onnx.ModelProto:
    model.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
    return model


def convolution_scores(axis: int | None = None, opset: int = 17) -> onnx.ModelProto:
    """Its scores are images×classes×1×1, and a softmax over ``axis`` may follow."""
    model = classifier("half", opset=opset)
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.w")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights).reshape(len(CLASSES), 3, 1, 1), "fc.w"))
    del model.graph.node[-2:]
    model.graph.node.append(helper.make_node("Conv", ["pool", "fc.w", "fc.b"], ["scores"], name="fc"))
    reshaped_output(model, "n", len(CLASSES), 1, 1)
    return model if axis is None else ended_by(model, "Softmax", "share", axis=axis)


def one_number_model(*, sigmoid: bool = True) -> onnx.ModelProto:
    """Dark or bright, as one logit, or the share of bright."""
    model = classifier("half")
    for tensor in model.graph.initializer:
        if tensor.name in ("fc.w", "fc.b"):
            rows = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(rows[:1] - rows[2:3], tensor.name))
    reshaped_output(model, "n", 1)
    return ended_by(model, "Sigmoid", "bright") if sigmoid else model


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("axis", [None, 1])
def test_scores_that_a_convolution_leaves_are_flattened(axis: int | None, opset: int, tmp_path: Path) -> None:
    onnx.save(convolution_scores(axis, opset), tmp_path / "mine.onnx")
    entry = read_entry(read_model(tmp_path / "mine.onnx"), PATH)
    assert (entry.classes, entry.ends_in_softmax, entry.ends_in_shares) == (len(CLASSES), axis == 1, False)
    trunk = trunk_of(tmp_path / "mine.onnx")
    assert not {"Softmax", "Log"} & {node.op_type for node in trunk.graph.node}


@pytest.mark.parametrize("axes", [2, 1, 4])
def test_one_share_an_image_is_that_of_the_second_of_two_classes(axes: int, tmp_path: Path) -> None:
    model = add_constant(add_constant(one_number_model(), "flat_axis", [1]), "more_axes", [2, 3])
    if axes == 1:
        model = reshaped_output(ended_by(model, "Squeeze", "squeezed", "flat_axis"), "n")
    if axes == 4:
        model = reshaped_output(ended_by(model, "Unsqueeze", "tall", "more_axes"), "n", 1, 1, 1)
    onnx.save(model, tmp_path / "mine.onnx")
    entry = read_entry(read_model(tmp_path / "mine.onnx"), PATH)

    assert (entry.classes, entry.one_share, entry.ends_in_sigmoid) == (2, True, False)
    trunk = trunk_of(tmp_path / "mine.onnx")
    assert "Sigmoid" not in {node.op_type for node in trunk.graph.node}
    pixels, labels = pictures(10)
    answers = CustomSession(tmp_path / "mine.onnx", entry).answers(pixels, feeding_named("half"))
    assert (answers.argmax(axis=1) == (labels < 2)).all() and answers.sum(axis=1) == pytest.approx(1)


def test_one_share_that_was_rounded_to_bytes_stays(tmp_path: Path) -> None:
    model = add_constant(add_constant(one_number_model(), "step", 1 / 255, np.float32), "zero", 0, np.uint8)
    model = ended_by(ended_by(model, "QuantizeLinear", "bytes", "step", "zero"), "DequantizeLinear", "rounded", "step", "zero")
    onnx.save(model, tmp_path / "mine.onnx")
    entry, feeding = read_entry(read_model(tmp_path / "mine.onnx"), PATH), feeding_named("half")
    assert (entry.one_share, entry.ends_in_shares, entry.quantized) == (True, True, "Q/DQ")
    pixels, _ = pictures(10)
    theirs = CustomSession(tmp_path / "mine.onnx", entry).answers(pixels, feeding)
    save_model(convert_to_trunk(read_model(tmp_path / "mine.onnx"), entry, "rgb", PATH), tmp_path / "trunk.onnx")
    ours = softmax(onnx_logits(tmp_path / "trunk.onnx", feeding.normalization.feed(pixels)), axis=1)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_shares_in_double_precision_become_logits_in_single(tmp_path: Path) -> None:
    model = classifier("half")
    ended_by(ended_by(model, "Cast", "wide", to=TensorProto.DOUBLE), "Softmax", "share", axis=1)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    onnx.save(model, tmp_path / "mine.onnx")
    trunk_of(tmp_path / "mine.onnx")


def two_outputs() -> onnx.ModelProto:
    model = classifier("half")
    model.graph.node.append(helper.make_node("Identity", ["flat"], ["embedding"]))
    model.graph.output.insert(0, helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3]))
    return model


def test_an_output_is_chosen_by_its_name(tmp_path: Path) -> None:
    onnx.save(two_outputs(), tmp_path / "mine.onnx")
    entry = read_entry(read_model(tmp_path / "mine.onnx"), PATH, output="scores")
    assert (entry.output, entry.classes) == ("scores", len(CLASSES))
    trunk = convert_to_trunk(read_model(tmp_path / "mine.onnx"), entry, "rgb", PATH)
    assert [value.name for value in trunk.graph.output] == ["logits"]


def model_without_images_axis() -> onnx.ModelProto:
    model = add_constant(classifier(batch=1), "first", [0])
    model.graph.node.insert(0, helper.make_node("Unsqueeze", ["image", "first"], ["planes"]))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, SIDE, SIDE]))
    return model


def naming_the_class() -> onnx.ModelProto:
    model = ended_by(classifier(), "ArgMax", "index", axis=1, keepdims=0)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return reshaped_output(model, "n")


ONE_OUTPUT = "export it with one output of images×classes: the score of each class"
UNUSABLE: dict[str, tuple[onnx.ModelProto, str | None, str]] = {
    "two outputs": (
        two_outputs(),
        None,
        "a classifier has one output, but this file has 2: embedding, scores — name the one that holds the class scores: --set "
        "model.output=embedding or scores",
    ),
    "another name": (
        two_outputs(),
        "logits",
        "model.output is 'logits', and its outputs are embedding, scores — choose one of these, or remove model.output",
    ),
    "an index": (
        naming_the_class(),
        None,
        f"its output index is int64, made by ArgMax: the class alone, not the score of each class — {ONE_OUTPUT}",
    ),
    "no axis of images": (
        model_without_images_axis(),
        None,
        "its input image is 3×32×32, which has no batch axis — export it with an example of 1×3×32×32 and a dynamic first axis",
    ),
    "no axis of images in the answer": (
        reshaped_output(ended_by(add_constant(classifier(batch=1), "first", [0]), "Squeeze", "flat_scores", "first"), 4),
        None,
        f"its output flat_scores is 4, which has no batch axis — {ONE_OUTPUT}, and do not squeeze the first axis",
    ),
    "a map": (
        reshaped_output(classifier(), "n", 4, 7, 7),
        None,
        "its output scores is n×4×7×7, not images×classes — end it in a pooling over height and width, or name another "
        "output by --set model.output=NAME",
    ),
    "one logit": (
        one_number_model(sigmoid=False),
        None,
        "its output scores is one number an image, and it does not end in a sigmoid — end it in a sigmoid, if the number "
        "is the logit of the second of two classes, and export it again",
    ),
    "a softmax over the images": (
        ended_by(classifier(), "Softmax", "share", axis=0),
        None,
        "its Softmax share normalizes over the images of a batch (axis 0), and not over its 4 classes — export it with a softmax "
        "over the axis of classes (dim=1 in torch), or without one",
    ),
    "a softmax over one number": (
        convolution_scores(-1),
        None,
        "its Softmax share normalizes over an axis of 1 (axis -1), and not over its 4 classes — export it with a softmax over "
        "the axis of classes (dim=1 in torch), or without one",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_answers_of_another_form_are_refused_with_their_own_fix(name: str) -> None:
    model, output, message = UNUSABLE[name]
    with pytest.raises(CustomModelUnusable) as refused:
        read_entry(model, PATH, output=output)
    assert refused.value.line() == f"edgecnn cannot build from mine.onnx: {message} [custom-model-unusable]"
