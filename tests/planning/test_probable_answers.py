"""A file that answers with probabilities, made by whatever, is given by its kits with these and not with a softmax of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image
from scipy.special import softmax

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.file import CustomRequest, make_custom_trunk, open_file
from edgecnn.graph.custom.onnx_entry import read_entry
from edgecnn.graph.custom.onnx_trunk import describe_changes
from edgecnn.render.progress import Quiet
from edgecnn.values.custom_model import CustomModel
from tests.graph.custom.test_several_labels import prepared
from tests.graph.custom_files import SIDE, classifier, photo_folder, pictures
from tests.planning.test_own_order import resolved


def normalized(opset: int = 17) -> onnx.ModelProto:
    """Sigmoids over their sum, as scikit-learn gives one against the rest."""
    model = classifier("half", sigmoid=True, opset=opset)
    model.graph.node.append(helper.make_node("LpNormalization", ["share"], ["shares"], name="norm", axis=1, p=1))
    model.graph.output[0].name = "shares"
    return model


def found(model: onnx.ModelProto, folder: Path, *sets: str) -> CustomModel:
    onnx.save(model, folder / "mine.onnx")
    custom = resolved(folder / "mine.onnx", photo_folder(folder / "photos"), "preprocessing.like=half", *sets).custom_model
    assert custom is not None
    return custom


@pytest.mark.parametrize("way", ["sigmoids over their sum", "sigmoids"])
def test_the_softmax_of_its_trunk_is_the_file_s_own_answer(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    custom = found(normalized() if way == "sigmoids over their sum" else classifier("half", sigmoid=True), tmp_path)
    assert custom.entry.ends_in_shares and not custom.entry.ends_in_sigmoid
    assert custom.why.endswith("; its outputs are probabilities, which a kit divides by their sum")
    assert describe_changes(custom.entry, "rgb", custom.entry.opset) == "with the logarithm of its shares taken"
    (tmp_path / "out").mkdir()
    pixels, labels = pictures(64)
    request = CustomRequest(tmp_path / "mine.onnx", prepared(tmp_path / "pixels", labels), custom.entry, custom.feeding)
    make_custom_trunk(request, tmp_path / "out", Quiet())
    theirs = open_file(tmp_path / "mine.onnx", custom.entry).answers(pixels, custom.feeding)
    ours = softmax(onnx_logits(tmp_path / "out/model.onnx", custom.feeding.normalization.feed(pixels)), axis=1)
    np.testing.assert_allclose(ours, theirs / theirs.sum(axis=1, keepdims=True), atol=1e-4)
    assert ours.max() > 0.49, "a second softmax gives 0.31 at most"


def scaled(factor: float, *, rounded: bool = False, hidden: bool = False) -> onnx.ModelProto:
    """The softmax times a number. ``hidden``: the number is added up, so that only the outputs show it."""
    model = classifier("half", softmax=True)
    held = {"all": np.float32(factor), "half": np.float32(factor / 2)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in held.items())
    ends = [("Mul", ["share", "all"])]
    if hidden:
        model.graph.node.append(helper.make_node("Mul", ["share", "half"], ["some"], name="some"))
        ends = [("Add", ["some", "some"])]
    ends += [("Round", ["end0"])] if rounded else []
    for number, (op, reads) in enumerate(ends):
        model.graph.node.append(helper.make_node(op, reads, [f"end{number}"], name=f"end{number}"))
    model.graph.output[0].name = f"end{len(ends) - 1}"
    return model


FORMS = {"percent": (100, False, False), "hidden": (100, False, True), "bytes": (255, True, False), "half": (0.5, False, False)}


@pytest.mark.parametrize("form", FORMS)
def test_shares_with_another_total_are_divided_by_it(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    factor, rounded, hidden = FORMS[form]
    custom = found(scaled(factor, rounded=rounded, hidden=hidden), tmp_path)
    assert custom.entry.ends_in_softmax == (form in ("percent", "half")), "a softmax that the graph shows is removed"
    assert custom.entry.ends_in_shares == (not custom.entry.ends_in_softmax)
    (tmp_path / "out").mkdir()
    pixels, labels = pictures(64)
    request = CustomRequest(tmp_path / "mine.onnx", prepared(tmp_path / "pixels", labels), custom.entry, custom.feeding)
    make_custom_trunk(request, tmp_path / "out", Quiet())
    theirs = open_file(tmp_path / "mine.onnx", custom.entry).answers(pixels, custom.feeding)
    ours = softmax(onnx_logits(tmp_path / "out/model.onnx", custom.feeding.normalization.feed(pixels)), axis=1)
    np.testing.assert_allclose(ours, theirs / theirs.sum(axis=1, keepdims=True), atol=1e-4)


def test_a_sigmoid_times_100_is_refused() -> None:
    model = classifier("half", sigmoid=True)
    model.graph.initializer.append(numpy_helper.from_array(np.float32(100), "all"))
    model.graph.node.append(helper.make_node("Mul", ["all", "share"], ["percent"], name="percent"))
    model.graph.output[0].name = "percent"
    with pytest.raises(CustomModelUnusable, match="times 100"):
        read_entry(model, Path("mine.onnx"))


def test_logits_and_a_last_softmax_are_left_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    plain, ends = found(classifier("half"), tmp_path).entry, found(classifier("half", softmax=True), tmp_path).entry
    assert (plain.ends_in_shares, plain.ends_in_softmax, ends.ends_in_shares, ends.ends_in_softmax) == (False, False, False, True)
    assert "ends_in_shares" not in plain.model_dump(), "nothing of it is in a key"


def greys(classes: int, folder: Path) -> onnx.ModelProto:
    """Photographs of as many greys, in a folder each, and a network whose softmax over them is rounded to the steps of a byte."""
    level = (np.arange(classes) + 0.5) / classes
    for number, grey in enumerate(level):
        (folder / f"grey {number:02}").mkdir(parents=True)
        for image in range(6):
            noise = np.random.default_rng(6 * number + image).normal(255 * grey, 2, (SIDE, SIDE))
            pixels = np.repeat(np.clip(noise, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
            Image.fromarray(pixels).save(folder / f"grey {number:02}" / f"{image}.png")
    model = classifier("half", softmax=True)
    steep = classes * classes / 20  # of a parabola about each level, in means of x = 2 p - 1 that the convolution shifts by 1
    held = {"fc.w": np.repeat(steep * level[:, None] / 3, 3, axis=1), "fc.b": -steep * level**2}
    held |= {"step": np.array(1 / 256), "zero": np.array(0)}
    kinds = {"zero": np.uint8}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in held]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for name, value in held.items():
        model.graph.initializer.append(numpy_helper.from_array(value.astype(kinds.get(name, np.float32)), name))
    model.graph.node.append(helper.make_node("QuantizeLinear", ["share", "step", "zero"], ["bytes"], name="to_bytes"))
    model.graph.node.append(helper.make_node("DequantizeLinear", ["bytes", "step", "zero"], ["rounded"], name="of_bytes"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("rounded", onnx.TensorProto.FLOAT, ["n", classes]))
    return model


@pytest.mark.parametrize("classes", [10, 20])
def test_shares_in_bytes_are_given_no_second_softmax(classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    path, photos = tmp_path / "mine.onnx", tmp_path / "photos"
    onnx.save(greys(classes, photos), path)
    custom = resolved(path, photos, "preprocessing.like=half").custom_model
    assert custom is not None and (custom.entry.quantized, custom.entry.ends_in_shares) == ("Q/DQ", True)
    assert custom.why.endswith("; its outputs are probabilities, which a kit divides by their sum")
    pixels = np.stack([np.full((SIDE, SIDE, 3), level, np.uint8) for level in range(4, 256, 8)])
    np.save(prepared(tmp_path / "pixels", pictures(32)[1]) / "validation.pixels.npy", pixels)
    (tmp_path / "out").mkdir()
    make_custom_trunk(CustomRequest(path, tmp_path / "pixels", custom.entry, custom.feeding), tmp_path / "out", Quiet())
    theirs = open_file(path, custom.entry).answers(pixels, custom.feeding)
    ours = softmax(onnx_logits(tmp_path / "out/model.onnx", custom.feeding.normalization.feed(pixels)), axis=1)
    np.testing.assert_allclose(ours, theirs / theirs.sum(axis=1, keepdims=True), atol=1e-4)
    assert classes == 10 or np.abs(theirs.sum(axis=1) - 1).max() > 0.01, "which the sum alone would not show"
