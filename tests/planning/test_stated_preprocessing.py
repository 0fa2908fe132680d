"""What a model file and the files next to it state of its images is read; the user wins, and a contradiction is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from edgecnn.data.class_names import names_in, names_in_model
from edgecnn.planning.stated_preprocessing import Stated, stated_for
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.preprocessing import PreprocessingChoice
from tests.graph.custom_files import CLASSES, SIDE, classifier, photo_folder
from tests.planning.test_own_order import resolved

IMAGENET: dict[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF: dict[str, Any] = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
SQUARE = {"height": 224, "width": 224}
SIDE_224 = ImageSize.square(224)
UNIT = {"Image.NominalPixelRange": "Normalized_0_1", "Image.BitmapPixelFormat": "Rgb8"}
PROCESSORS: dict[str, tuple[dict[str, Any], dict[str, Any], int | None]] = {
    "ViT": (
        {
            **HALF,
            "do_normalize": True,
            "do_resize": True,
            "resample": 2,
            "size": SQUARE,
            "image_processor_type": "ViTImageProcessor",
        },
        {"like": "half", "resize": "stretch", "interpolation": "bilinear"},
        224,
    ),
    "an old ViT": ({**HALF, "do_resize": True, "size": 224, "resample": 2}, {"like": "half", "resize": "stretch"}, 224),
    "DeiT": (
        {**IMAGENET, "size": 256, "crop_size": 224, "do_center_crop": True, "resample": 3},
        {"like": "imagenet", "resize": "crop", "resize_px": 256, "interpolation": "bicubic"},
        224,
    ),
    "ConvNeXt and ResNet": (
        {**IMAGENET, "size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3},
        {"like": "imagenet", "resize": "crop", "resize_px": 256},
        224,
    ),
    "ConvNeXt of 384": ({**IMAGENET, "size": {"shortest_edge": 384}, "crop_pct": 0.875}, {"resize": "stretch"}, 384),
    "MobileNetV2": (
        {**HALF, "size": {"shortest_edge": 256}, "crop_size": SQUARE, "do_center_crop": True},
        {"like": "half", "resize": "crop", "resize_px": 256},
        224,
    ),
    "MobileViT": (
        {
            "do_rescale": True,
            "do_flip_channel_order": True,
            "size": {"shortest_edge": 288},
            "crop_size": 256,
            "do_center_crop": True,
        },
        {"like": "unit-bgr", "resize": "crop", "resize_px": 288},
        256,
    ),
    "EfficientNet": (
        {
            **IMAGENET,
            "image_std": [0.47853944, 0.4732864, 0.47434163],
            "size": SQUARE,
            "image_processor_type": "EfficientNetImageProcessor",
        },
        {"like": "imagenet", "resize": "stretch"},
        224,
    ),
    "bytes": ({"do_rescale": False, "do_normalize": False, "do_resize": False}, {"like": "bytes", "resize": None}, None),
    "from -1": ({"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_resize": False}, {"like": "half"}, None),
}


def written(folder: Path, name: str, content: object, **properties: str) -> Path:
    folder.mkdir(exist_ok=True)
    model = classifier()
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, folder / "model.onnx")
    if name:
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "model.onnx"


def statement(path: Path) -> Stated:
    stated = stated_for(path)
    assert stated is not None
    return stated


@pytest.mark.parametrize("kind", PROCESSORS)
def test_a_preprocessor_of_hugging_face_is_read(kind: str, tmp_path: Path) -> None:
    config, wanted, side = PROCESSORS[kind]
    stated = statement(written(tmp_path, "preprocessor_config.json", config))
    said = stated.choice.model_dump()
    assert {name: said[name] for name in wanted} == wanted
    assert stated.size_px == (None if side is None else ImageSize.square(side)) and stated.source == "preprocessor_config.json"
    assert stated.notes == ()


def test_the_folder_above_onnx_is_looked_at_too(tmp_path: Path) -> None:
    path = written(tmp_path / "onnx", "", None)
    assert stated_for(path) is None
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(HALF))
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"1": "b", "0": "a"}}))
    assert statement(path).choice.like == "half"
    named = names_in_model(path)
    assert named is not None and named == (("a", "b"), tmp_path / "config.json") and names_in(named.file) == ("a", "b")


def test_a_config_of_timm_is_read(tmp_path: Path) -> None:
    own = {"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [3, 240, 240], "crop_pct": 0.9, "interpolation": "bicubic"}
    stated = statement(written(tmp_path, "config.json", {"architecture": "x", "pretrained_cfg": own, "label_names": ["a", "b"]}))
    assert stated.choice.model_dump(exclude_none=True) == {
        "like": "half", "resize": "crop", "resize_px": 266, "interpolation": "bicubic", "grey_window": (0, 65535),
    }  # fmt: skip
    assert stated.size_px == ImageSize.square(240) and names_in(tmp_path / "config.json") == ("a", "b")


@pytest.mark.parametrize(
    ("properties", "wanted", "side"),
    [
        (UNIT, {"like": "unit"}, None),
        ({"Image.NominalPixelRange": "NominalRange_0_255", "Image.BitmapPixelFormat": "Bgr8"}, {"like": "bytes-bgr"}, None),
        ({"Image.NominalPixelRange": "Normalized_1_1", "Image.BitmapPixelFormat": "Bgr8"}, {"like": "half-bgr"}, None),
        ({"task": "classify", "imgsz": "[224, 224]"}, {"like": "unit", "resize": "crop", "resize_px": 224}, 224),
        ({"task": "detect", "imgsz": "[64, 64]"}, {"like": None}, 64),
        (
            {"mean": "[123.675, 116.28, 103.53]", "std": "[58.395, 57.12, 57.375]", "Image.BitmapPixelFormat": "Rgb8"},
            {"like": "imagenet"},
            None,
        ),
        ({"mean": "[103.939, 116.779, 123.68]", "std": "[1, 1, 1]"}, {"like": "caffe"}, None),
        (
            {"mean": "[0.4, 0.5, 0.6]", "std": "[0.25]"},
            {"like": None, "mean": [0.4, 0.5, 0.6], "std": [0.25] * 3, "channels": None},
            None,
        ),
        (
            {"Image.NominalPixelRange": "Normalized_0_1"},
            {"like": None, "mean": [0, 0, 0], "std": [1, 1, 1], "channels": None},
            None,
        ),
        ({"input_size": "(3, 48, 192)"}, {"like": None}, (48, 192)),
    ],
)
def test_metadata_of_an_onnx_file_is_read(properties: dict[str, str], wanted: dict[str, Any], side: Any, tmp_path: Path) -> None:
    stated = statement(written(tmp_path, "", None, **properties))
    said = stated.choice.model_dump(mode="json")
    assert {name: said[name] for name in wanted} == wanted and stated.source == "its metadata"
    assert stated.size_px == (ImageSize.square(side) if isinstance(side, int) else side)


def test_metadata_of_a_torchscript_file_of_ultralytics_is_read(tmp_path: Path) -> None:
    path, said = tmp_path / "best.torchscript", {"task": "classify", "imgsz": [64, 64], "names": {"0": "a", "1": "b"}}
    module = torch.jit.script(torch.nn.Identity())
    module.save(str(path), _extra_files={"config.txt": json.dumps(said)})
    assert statement(path).choice.like == "unit" and statement(path).size_px == ImageSize.square(64)
    assert names_in_model(path) == (("a", "b"), path) and names_in(path) == ("a", "b")
    for broken in ("{", "[1]", '{"imgsz": "x"}'):
        module.save(str(path), _extra_files={"config.txt": broken})
        stated = stated_for(path)
        assert stated is None or stated.notes == ("its malformed preprocessing metadata is ignored",)
        assert names_in_model(path) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"image_mean": "x", "image_std": 1}',
        '{"image_mean": 0.5, "image_std": [1, 0, 1]}',
        '{"image_mean": 0.5, "image_std": 1e-320}',
        '{"rescale_factor": 1e999}',
        '{"size": {"shortest_edge": -1}}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_a_malformed_file_next_to_the_model_is_said_and_ignored(content: str, tmp_path: Path) -> None:
    stated = statement(written(tmp_path, "preprocessor_config.json", content))
    assert stated.notes == ("preprocessor_config.json is malformed and ignored",)
    assert stated.choice == PreprocessingChoice() and stated.size_px is None


@pytest.mark.parametrize("std", ["[0, 0, 0]", "-1", "1e-320", "1e999"])
def test_a_scale_in_metadata_that_nothing_can_be_divided_by_is_said_and_ignored(std: str, tmp_path: Path) -> None:
    stated = statement(written(tmp_path, "", None, mean="[0.5, 0.5, 0.5]", std=std))
    assert stated.notes == ("its malformed preprocessing metadata is ignored",)
    assert stated.choice == PreprocessingChoice()


def test_a_preprocessor_that_says_nothing_of_colours_leaves_them_open(tmp_path: Path) -> None:
    silent = {"image_processor_type": "TimmWrapperImageProcessor", "data_config": {"mean": [0.5] * 3}}
    assert stated_for(written(tmp_path, "preprocessor_config.json", silent)) is None
    shape = statement(written(tmp_path, "preprocessor_config.json", {"size": SQUARE, "resample": 3}))
    assert shape.choice == PreprocessingChoice(resize="stretch", interpolation="bicubic")
    unnamed = statement(written(tmp_path, "preprocessor_config.json", {"do_normalize": True, "size": SQUARE}))
    assert unnamed.choice == PreprocessingChoice(resize="stretch")
    assert unnamed.notes == ("preprocessor_config.json states do_normalize without image_mean",)


@pytest.mark.parametrize("size", [{"longest_edge": 224}, {"max_height": 224, "max_width": 224}, {"height": 224}, {}])
def test_a_size_of_another_form_leaves_only_the_shape_open(size: dict[str, int], tmp_path: Path) -> None:
    stated = statement(written(tmp_path, "preprocessor_config.json", {**HALF, "rescale_factor": None, "size": size}))
    assert stated.choice == PreprocessingChoice(like="half") and stated.size_px is None
    note = "preprocessor_config.json states a size in a form that edgecnn does not read (height and width, or shortest_edge)"
    assert stated.notes == (note,)


@pytest.mark.parametrize("kind", ["DeiTFeatureExtractor", "CLIPFeatureExtractor"])
def test_one_number_is_a_square_to_some_image_processors_and_the_short_side_to_others(kind: str, tmp_path: Path) -> None:
    config = {**HALF, "size": 256, "crop_size": 224, "do_center_crop": True, "feature_extractor_type": kind}
    stated = statement(written(tmp_path, "preprocessor_config.json", config))
    assert stated.choice == PreprocessingChoice(like="half", resize="crop", resize_px=ImageSize.square(256))
    note = "preprocessor_config.json stretches images to 256 before a crop; edgecnn crops without stretching"
    assert stated.notes == ((note,) if kind.startswith("DeiT") else ())


def test_what_the_metadata_leaves_open_is_taken_from_the_file_next_to_it(tmp_path: Path) -> None:
    path = written(tmp_path, "preprocessor_config.json", {**HALF, "size": SQUARE}, input_size="224")
    assert statement(path) == Stated(PreprocessingChoice(like="half", resize="stretch"), "preprocessor_config.json", SIDE_224)
    path = written(tmp_path, "preprocessor_config.json", {**HALF, "size": SQUARE}, mean="0.5", std="0.5")
    wanted = PreprocessingChoice(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), channels="rgb", resize="stretch")
    assert statement(path) == Stated(wanted, "its metadata", SIDE_224)


def test_the_file_itself_wins_over_one_next_to_it_and_the_difference_is_said(tmp_path: Path) -> None:
    stated = statement(written(tmp_path, "preprocessor_config.json", HALF, **UNIT))
    assert stated.choice.like == "unit"
    assert stated.notes == ("preprocessor_config.json contradicts its metadata, which is used",)


def test_names_that_are_numbers_or_not_whole_are_none(tmp_path: Path) -> None:
    for table in ({"0": "LABEL_0", "1": "LABEL_1"}, {"0": "a", "2": "b"}, {"0": "a", "1": "a"}, {"0": "a"}, ["a", "b"], 7):
        path = written(tmp_path, "config.json", {"id2label": table})
        assert names_in_model(path) is None
    (tmp_path / "config.json").write_text("{")
    assert names_in_model(path) is None


def test_a_plan_takes_size_names_and_preprocessing_from_the_files_next_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    model = classifier("half")
    for dim, name in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], "hw", strict=True):
        dim.dim_param = name
    onnx.save(model, tmp_path / "model.onnx")
    side = {"height": SIDE, "width": SIDE}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**HALF, "size": side}))
    (tmp_path / "config.json").write_text(json.dumps({"id2label": dict(enumerate(CLASSES))}))
    found = resolved(tmp_path / "model.onnx", photo_folder(tmp_path / "photos"))
    custom = found.custom_model
    assert custom is not None and custom.entry.resolution_px == ImageSize.square(SIDE)
    assert (custom.stated_by, custom.source, custom.feeding.name) == ("file", "preprocessor_config.json", "half")
    assert custom.trials[0].right == custom.trials[0].images and custom.at_chance is None
    assert "as preprocessor_config.json states: right on" in custom.why
    assert found.weights.why.endswith("; classes have the order and the names in config.json")
