"""Files whose ends leave something unsaid: open sizes, labels beside the scores, and scikit-learn's own operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.special import expit, softmax

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.feeding import CustomSession
from edgecnn.graph.custom.onnx_entry import final_activation, read_entry, read_model
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk, describe_changes
from edgecnn.graph.onnx_file import save_model
from edgecnn.runner.pixel_recipe import ImageSize
from tests.graph.custom_files import CLASSES, SIDE, classifier, feeding_named, grey_model, pictures, quantized
from tests.graph.custom_trunks import trunk_of

PATH = Path("mine.onnx")


def opened(model: onnx.ModelProto) -> onnx.ModelProto:
    """All four sizes of the input left open, as Hugging Face's exporter leaves them."""
    for axis, name in enumerate(("batch_size", "num_channels", "height", "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    return model


def test_an_open_number_of_colours_is_what_the_first_convolution_has_weights_for(tmp_path: Path) -> None:
    entry = read_entry(opened(classifier()), PATH, ImageSize.square(48))
    assert (entry.colours, entry.layout, entry.batch, entry.resolution_px) == (3, "NCHW", None, ImageSize.square(48))
    for form in ("Q/DQ", "QOperator"):
        model = opened(read_model(quantized(tmp_path, form)))
        assert read_entry(model, PATH, ImageSize.square(48)).colours == 3


def test_an_open_number_of_colours_that_no_weights_tell_is_refused() -> None:
    with pytest.raises(CustomModelUnusable) as refused:
        read_entry(opened(grey_model()), PATH, ImageSize.square(48))
    assert refused.value.line() == (
        "edgecnn cannot build from mine.onnx: its input grey is batch_size×num_channels×height×width, which has no axis of 3 "
        "colours or of 1 — export it with an input of images×3×height×width, or ×1; put flattening and reshaping "
        "inside the graph [custom-model-unusable]"
    )


def test_a_label_beside_the_scores_is_left_out(tmp_path: Path) -> None:
    model = classifier("half", softmax=True)
    model.graph.node.append(helper.make_node("ArgMax", ["share"], ["winner"], axis=1, keepdims=0))
    model.graph.node.append(helper.make_node("ArrayFeatureExtractor", ["names", "winner"], ["label"], domain="ai.onnx.ml"))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    model.graph.initializer.append(numpy_helper.from_array(np.arange(len(CLASSES)).reshape(1, -1), "names"))
    model.graph.output.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, [None, None]))
    onnx.save(model, tmp_path / "mine.onnx")
    entry = read_entry(model, PATH)
    assert (entry.output, entry.classes, entry.ends_in_softmax) == ("share", len(CLASSES), True)
    trunk = trunk_of(tmp_path / "mine.onnx")
    assert not {"ArgMax", "ArrayFeatureExtractor"} & {node.op_type for node in trunk.graph.node}
    assert "names" not in {tensor.name for tensor in trunk.graph.initializer}
    assert {opset.domain for opset in trunk.opset_import} == {""}


def test_probabilities_as_dictionaries_name_the_option_that_gives_an_array() -> None:
    model = classifier()
    pairs = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    model.graph.output.append(helper.make_value_info("output_probability", helper.make_sequence_type_proto(pairs)))
    with pytest.raises(CustomModelUnusable) as refused:
        read_entry(model, PATH)
    assert refused.value.line() == (
        "edgecnn cannot build from mine.onnx: its output output_probability is a list of dictionaries — "
        "skl2onnx.to_onnx(..., options={'zipmap': False}) gives an array [custom-model-unusable]"
    )


def classical(*steps: tuple[str, dict[str, Any]]) -> onnx.ModelProto:
    """A picture, flat, through operators of scikit-learn's converter; a linear classifier gives its label first."""
    nodes, before, outputs = [helper.make_node("Flatten", ["image"], ["flat"])], "flat", []
    for number, (op, attributes) in enumerate(steps):
        after, labels = f"after{number}", ["label"] if op == "LinearClassifier" else []
        nodes.append(helper.make_node(op, [before], [*labels, after], domain="ai.onnx.ml", **attributes))
        outputs += [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])] if labels else []
        before = after
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    outputs.append(helper.make_tensor_value_info(before, TensorProto.FLOAT, ["n", len(CLASSES)]))
    opsets = [helper.make_opsetid(domain, version) for domain, version in (("", 17), ("ai.onnx.ml", 3), ("", 17))]
    return helper.make_model(helper.make_graph(nodes, "classical", [image], outputs), opset_imports=opsets, ir_version=8)


def linear(post_transform: str) -> dict[str, Any]:
    """Of weights drawn at random."""
    draw, features = np.random.default_rng(0), 3 * SIDE * SIDE
    weights = draw.normal(0, 0.02, len(CLASSES) * features)
    return {
        "classlabels_ints": list(range(len(CLASSES))),
        "coefficients": weights.tolist(),
        "intercepts": draw.normal(0, 1, len(CLASSES)).tolist(),
        "post_transform": post_transform,
    }


SCALER = ("Scaler", {"offset": np.linspace(-1, 1, 3 * SIDE * SIDE).tolist(), "scale": [1.5] * (3 * SIDE * SIDE)})


@pytest.mark.parametrize("post_transform", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("norm", [None, "L1", "L2"])
def test_operators_of_scikit_learn_become_those_of_onnx(post_transform: str, norm: str | None, tmp_path: Path) -> None:
    after = [] if norm is None else [("Normalizer", {"norm": norm})]
    onnx.save(classical(SCALER, ("LinearClassifier", linear(post_transform)), *after), tmp_path / "mine.onnx")
    trunk = trunk_of(tmp_path / "mine.onnx")
    assert {node.domain for node in trunk.graph.node} == {""}
    assert [(opset.domain, opset.version) for opset in trunk.opset_import] == [
        ("", 20)
    ]  # named twice in the file, as compose does


@pytest.mark.parametrize(("op", "attributes"), [("Normalizer", {}), ("Binarizer", {"threshold": 0.5})])
def test_other_operators_of_that_domain_are_refused_by_name(op: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(CustomModelUnusable, match=f"its operator {op} is of the domain ai.onnx.ml"):
        read_entry(classical((op, attributes), ("LinearClassifier", linear("NONE"))), PATH)


@pytest.mark.parametrize("way", ["Flatten", "Reshape", "Squeeze"])
def test_a_softmax_before_what_only_reshapes_its_shares_is_left_out(way: str, tmp_path: Path) -> None:
    model = classifier("half", softmax=True)
    held = {"four": [-1, len(CLASSES), 1, 1], "two": [-1, len(CLASSES)], "axes": [2, 3]}
    model.graph.initializer.extend(numpy_helper.from_array(np.array(value, np.int64), name) for name, value in held.items())
    more = {"Flatten": [], "Reshape": ["two"], "Squeeze": ["axes"]}[way]
    model.graph.node.append(helper.make_node(way, ["apart", *more], ["share"], name="last"))
    model.graph.node.insert(len(model.graph.node) - 2, helper.make_node("Reshape", ["scores", "four"], ["tall"], name="tall"))
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.input[0], softmax.output[0] = "tall", "apart"
    onnx.save(model, tmp_path / "mine.onnx")
    assert read_entry(model, PATH).ends_in_softmax
    assert not {"Softmax", "Log"} & {node.op_type for node in trunk_of(tmp_path / "mine.onnx").graph.node}


def test_shares_that_scikit_learn_normalizes_once_more_are_those_of_their_softmax(tmp_path: Path) -> None:
    onnx.save(classical(SCALER, ("LinearClassifier", linear("SOFTMAX")), ("Normalizer", {"norm": "L1"})), tmp_path / "mine.onnx")
    trunk = trunk_of(tmp_path / "mine.onnx")
    assert not {"Softmax", "LpNormalization"} & {node.op_type for node in trunk.graph.node}
    for post, norm, end in (
        ("SOFTMAX", "L2", None),
        ("LOGISTIC", "L1", None),
        ("LOGISTIC", None, "sigmoid"),
        ("NONE", "L1", None),
    ):
        after = [] if norm is None else [("Normalizer", {"norm": norm})]
        assert final_activation(classical(("LinearClassifier", linear(post)), *after).graph, f"after{len(after)}") == end


@pytest.mark.parametrize("form", ["Q/DQ", "QOperator"])
@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
def test_probabilities_that_were_rounded_to_bytes_are_known_for_such_and_stay(form: str, end: str, tmp_path: Path) -> None:
    path = quantized(tmp_path, form, **{end: True})
    entry, feeding, (pixels, _) = read_entry(read_model(path), path), feeding_named("half"), pictures(64)
    assert (entry.ends_in_shares, entry.ends_in_softmax, entry.ends_in_sigmoid) == (True, False, end == "sigmoid")
    taken = "odds" if end == "sigmoid" else "shares"
    assert describe_changes(entry, "rgb", 13) == f"with the logarithm of its {taken} taken"
    theirs = CustomSession(path, entry).answers(pixels, feeding)
    save_model(convert_to_trunk(read_model(path), entry, "rgb", path), tmp_path / "trunk.onnx")
    ours = onnx_logits(tmp_path / "trunk.onnx", feeding.normalization.feed(pixels))
    ours = expit(ours) if end == "sigmoid" else softmax(ours, axis=1) * theirs.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert theirs.max() > 0.9
