"""Files as people have them, against the trunk that is made of them: the same answers to the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime.quantization import quantize_dynamic
from PIL import Image
from torch import nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.errors.graph import EXTERNAL_DATA_MISSING, EXTERNAL_DATA_OUTSIDE, OPSET_UNREACHABLE
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.feeding import CustomSession
from edgecnn.graph.custom.file import shapes_by_running
from edgecnn.graph.custom.onnx_entry import digest_of_model, parameters_of, read_entry, read_model
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk, describe_changes
from edgecnn.graph.macs import mac_table
from edgecnn.graph.node_folding import fold_batch_norms
from edgecnn.graph.onnx_file import save_model
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import to_feed
from tests.graph.custom_files import CLASSES, SIDE, classifier, feeding_named, grey_model, pictures, quantized

FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "channels last": {"layout": "NHWC", "like": "half"},
    "bytes, channels last": {"layout": "NHWC", "dtype": "uint8", "like": "bytes"},
    "half precision": {"dtype": "float16", "like": "imagenet"},
    "blue first": {"like": "caffe"},
    "a softmax": {"softmax": True},
    "one image a call": {"batch": 1},
    "four images a call, old opset": {"batch": 4, "opset": 11},
    "opset 23": {"opset": 23},
    "batch norms": {"batch_norm": True},
    "a rectangle": {"size": (48, 192)},
    "a rectangle, channels last": {"size": (20, 12), "layout": "NHWC", "like": "half"},
}


def written(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "mine.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_the_trunk_answers_as_the_file_does(form: str, tmp_path: Path) -> None:
    how = FORMS[form]
    path = written(classifier(**how), tmp_path)
    pixels, labels = pictures(10)
    size = how.get("size", (SIDE, SIDE))
    pixels = np.stack([np.asarray(Image.fromarray(image).resize(size[::-1])) for image in pixels])
    entry = read_entry(read_model(path), path)
    assert entry.resolution_px == size
    feeding = feeding_named(how.get("like", "imagenet"))
    theirs = CustomSession(path, entry).answers(pixels, feeding)
    assert (theirs.argmax(axis=1) == labels).all()

    made = convert_to_trunk(read_model(path), entry, feeding.channels, path)
    fold_batch_norms(made.graph)
    save_model(made, tmp_path / "trunk.onnx")
    norm = feeding.normalization
    ours = onnx_logits(tmp_path / "trunk.onnx", to_feed(pixels, "float32", "NCHW", norm.mean, norm.std))
    if how.get("softmax"):
        ours = np.exp(ours) / np.exp(ours).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs, atol=0.02 if how.get("dtype") == "float16" else 2e-3)

    trunk = onnx.load(tmp_path / "trunk.onnx")
    assert trunk.opset_import[0].version == 20 and [value.name for value in trunk.graph.input] == ["image"]
    assert [value.name for value in trunk.graph.output] == ["logits"]
    held = [*trunk.graph.initializer, *(attribute.t for node in trunk.graph.node for attribute in node.attribute)]
    assert not any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in held)  # the trunk is what it is called: fp32
    assert not {"BatchNormalization", "Softmax"} & {node.op_type for node in trunk.graph.node}
    assert mac_table(trunk).total == 9 * size[0] * size[1] + 12


def test_what_a_file_says_of_itself_is_read(tmp_path: Path) -> None:
    path = written(classifier("bytes", layout="NHWC", dtype="uint8", softmax=True, batch=1, opset=13), tmp_path)
    model = read_model(path)
    entry = read_entry(model, path)
    assert entry.model_dump() == {
        "input": "pixels", "layout": "NHWC", "dtype": "uint8", "resolution_px": SIDE, "batch": 1, "output": "share",
        "classes": len(CLASSES), "ends_in_softmax": True, "opset": 13,
    }  # fmt: skip
    assert parameters_of(model) == 9 + 3 + 12 + 4
    text = "with opset 13 to 20, channels put first, bytes inside, its last softmax removed, its batch of 1 freed"
    assert describe_changes(entry, "rgb", 20) == text


def test_weights_beside_the_file_are_part_of_what_names_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    onnx.save(classifier(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    before = digest_of_model(path)
    assert read_entry(read_model(path), path).classes == 4
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    assert digest_of_model(path) != before
    weights.unlink()
    for reads in (read_model, digest_of_model):
        with pytest.raises(EdgecnnError, check=EXTERNAL_DATA_MISSING.made) as missing:
            reads(path)
        assert missing.value.ref == "external-data-missing"


def test_weights_outside_the_files_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "mine.onnx"
    onnx.save(classifier(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "inner" / "weights.bin").rename(tmp_path / "weights.bin")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = "../weights.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EdgecnnError, check=EXTERNAL_DATA_OUTSIDE.made):
        digest_of_model(path)


def test_what_is_no_classifier_of_photographs_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"

    def refused(model: onnx.ModelProto, resolution_px: int | None = None) -> str:
        with pytest.raises(CustomModelUnusable) as caught:
            read_entry(model, path, None if resolution_px is None else ImageSize.square(resolution_px))
        return str(caught.value.because)

    two_colours = classifier()
    two_colours.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    assert refused(two_colours) == "its input planes is n×2×32×32, which has no axis of 3 colours or of 1"
    two = classifier()
    two.graph.output.append(onnx.helper.make_tensor_value_info("flat", onnx.TensorProto.FLOAT, ["n", 3]))
    assert refused(two) == "a classifier has one output, but this file has 2: scores, flat"
    assert read_entry(classifier(size=(48, 192)), path).resolution_px == ImageSize(48, 192)
    lying = classifier(size=(48, 192), layout="NHWC")
    assert read_entry(lying, path, ImageSize(48, 192)).resolution_px == ImageSize(48, 192)
    open_ = classifier()
    for number in (2, 3):
        open_.graph.input[0].type.tensor_type.shape.dim[number].dim_param = "side"
    assert refused(open_) == "its input planes leaves height and width open"
    assert read_entry(open_, path, ImageSize.square(48)).resolution_px == ImageSize.square(48)
    assert refused(classifier(), 48) == "its input planes is 32×32 pixels, and model.resolution_px is 48"
    foreign = classifier()
    foreign.graph.node[0].domain = "com.microsoft"
    assert refused(foreign) == "its operator Conv is of the domain com.microsoft, which other runtimes do not have"


def test_weights_that_nodes_give_are_weights(tmp_path: Path) -> None:
    """As PaddlePaddle's exporter writes them; batch norms are then folded, and layers keep the names that are counted."""
    model = classifier(batch_norm=True)
    nodes = [onnx.helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in model.graph.initializer]
    kept = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend([*nodes, *kept])
    path = written(model, tmp_path)
    trunk = convert_to_trunk(read_model(path), read_entry(read_model(path), path), "rgb", path)
    assert fold_batch_norms(trunk.graph) == 1
    assert {node.op_type for node in trunk.graph.node} == {"Conv", "Relu", "GlobalAveragePool", "Reshape", "Gemm"}
    onnx.checker.check_model(trunk, full_check=True)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_network_of_one_channel_sees_grey(dtype: str, tmp_path: Path) -> None:
    path = written(grey_model(dtype, size=(24, 40)), tmp_path)
    entry = read_entry(read_model(path), path)
    assert (entry.colours, entry.resolution_px, entry.classes) == (1, ImageSize(24, 40), 2)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 24, 40, 3), np.uint8)
    feeding = feeding_named("bytes").model_copy(update={"channels": "grey"})
    theirs = CustomSession(path, entry).answers(pixels, feeding)
    grey = np.stack([np.asarray(Image.fromarray(image).convert("L"), np.float64) for image in pixels]).mean(axis=(1, 2))
    np.testing.assert_allclose(theirs[:, 1], grey - 51, atol=0.1)  # Pillow's levels are whole
    save_model(convert_to_trunk(read_model(path), entry, "grey", path), tmp_path / "trunk.onnx")
    norm = feeding.normalization
    ours = onnx_logits(tmp_path / "trunk.onnx", to_feed(pixels, "float32", "NCHW", norm.mean, norm.std))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("form", ["Q/DQ", "QOperator"])
def test_a_file_that_came_quantized_stays_as_it_is(form: str, tmp_path: Path) -> None:
    path = quantized(tmp_path, form)
    pixels, labels = pictures(10)
    entry, feeding = read_entry(read_model(path), path), feeding_named("half")
    assert (entry.quantized, entry.opset, parameters_of(read_model(path)) >= 9 + 12) == (form, 13, True)
    theirs = CustomSession(path, entry).answers(pixels, feeding)
    assert (theirs.argmax(axis=1) == labels).all()
    made = convert_to_trunk(read_model(path), entry, feeding.channels, path)
    save_model(made, tmp_path / "trunk.onnx")
    norm = feeding.normalization
    ours = onnx_logits(tmp_path / "trunk.onnx", to_feed(pixels, "float32", "NCHW", norm.mean, norm.std))
    np.testing.assert_array_equal(ours, theirs)
    trunk = onnx.load(tmp_path / "trunk.onnx")
    assert next(opset.version for opset in trunk.opset_import if not opset.domain) == 13
    assert mac_table(trunk, shapes_by_running(tmp_path / "trunk.onnx", ImageSize.square(SIDE))).total == 9 * SIDE * SIDE + 12


def test_ranges_found_anew_in_each_call_are_refused(tmp_path: Path) -> None:
    onnx.save(classifier("half", opset=13), tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "mine.onnx")
    with pytest.raises(CustomModelUnusable, match="its output for an image depends on the other images in the batch"):
        read_entry(read_model(tmp_path / "mine.onnx"), tmp_path / "mine.onnx")


def test_an_opset_that_cannot_be_had_names_why(tmp_path: Path) -> None:
    model = classifier(opset=23)
    model.graph.node.append(onnx.helper.make_node("RMSNormalization", ["relu", "conv.b"], ["r"], name="r"))
    entry = read_entry(model, tmp_path / "mine.onnx")
    with pytest.raises(EdgecnnError, match="RMSNormalization", check=OPSET_UNREACHABLE.made):
        convert_to_trunk(model, entry, "rgb", tmp_path / "mine.onnx")


class Flattened(nn.Module):
    """What torch's exporter writes a Reshape with ``allowzero`` for."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.conv, self.pool, self.fc = nn.Conv2d(3, 8, 3, stride=2), pool, nn.Linear(8, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.flatten(self.pool(self.conv(image)), 1))


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)], ids=["gathered", "plain"])
def test_one_image_a_call_as_torch_exports_it_today_becomes_any_number(pool: nn.Module, tmp_path: Path) -> None:
    network, path = Flattened(pool).eval(), tmp_path / "mine.onnx"
    torch.onnx.export(network, (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=True, verbose=False)
    assert any(
        attribute.name == "allowzero" and attribute.i for node in onnx.load(path).graph.node for attribute in node.attribute
    )
    model = read_model(path)
    made = convert_to_trunk(model, read_entry(model, path), "rgb", path)
    save_model(made, tmp_path / "trunk.onnx")
    images = torch.rand(5, 3, SIDE, SIDE)
    ours = onnx_logits(tmp_path / "trunk.onnx", images.numpy())
    np.testing.assert_allclose(ours, network(images).detach().numpy(), atol=1e-5)
