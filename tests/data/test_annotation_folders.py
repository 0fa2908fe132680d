"""Folders of tools for detection and segmentation are not classes, and a file of labels next to a model is read or named."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from edgecnn.data.class_names import label_files_next_to, names_in, names_in_model
from edgecnn.data.manifest import list_files
from edgecnn.errors.base import EdgecnnError
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, write


@pytest.mark.parametrize(
    "folders",
    [
        ("images", "labels"),  # Label Studio, YOLO
        ("images/train", "images/val", "labels/train", "labels/val"),  # YOLO
        ("train/images", "train/labels", "valid/images", "valid/labels"),  # Roboflow
        ("VOC2012/JPEGImages", "VOC2012/Annotations", "VOC2012/ImageSets", "VOC2012/SegmentationClass"),
        ("images", "annotations"),
        ("ds/img", "ds/ann"),  # Supervisely
        ("images", "masks"),
    ],
)
def test_folders_of_an_annotation_tool_are_asked_about(tmp_path: Path, folders: tuple[str, ...]) -> None:
    root = tmp_path / "photos"
    for folder in folders:
        for number in range(4):
            if folder.rpartition("/")[0] == "labels" or folder.endswith(("labels", "nnotations", "ann")):
                write(root / folder / f"{number}.txt", b"0 0.5 0.5 0.1 0.1")
            else:
                draw(root / folder / f"{number}.png", number)
    with pytest.raises(EdgecnnError) as refusal:
        list_files(DataChoice(path=str(root)), tmp_path / "store", Heard())
    assert (refusal.value.ref, refusal.value.fields["doubt"].are_annotations) == ("split-folders", True)
    list_files(DataChoice(path=str(root), folders="classes"), tmp_path / "store", Heard())


def test_ordinary_classes_are_not_asked_about(tmp_path: Path) -> None:
    for name in ("masks", "gloves", "labels"):
        draw(tmp_path / "photos" / name / "1.png", len(name))
    files = list_files(DataChoice(path=str(tmp_path / "photos")), tmp_path / "store", Heard())
    assert files.layout.classes == ("gloves", "labels", "masks")


def model_in(folder: Path) -> Path:
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "cat\ndog\n"),
        ("classes.txt", "cat\ndog\n"),
        ("model_labels.txt", "cat\ndog\n"),
        ("coco.names", "cat\ndog\n"),
        ("labels.json", json.dumps(["cat", "dog"])),
        ("index_to_name.json", json.dumps({"0": "cat", "1": "dog"})),
        ("class_indices.json", json.dumps({"dog": 1, "cat": 0})),
        ("imagenet_class_index.json", json.dumps({"0": ["n01", "cat"], "1": ["n02", "dog"]})),
    ],
)
def test_a_file_of_labels_next_to_a_model_is_read(tmp_path: Path, name: str, text: str) -> None:
    model = model_in(tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    named = names_in_model(model)
    assert named is not None and (named.names, named.file) == (("cat", "dog"), tmp_path / name)
    assert names_in(tmp_path / name) == ("cat", "dog")


@pytest.mark.parametrize(
    "files",
    [
        {"data.yaml": "names: [cat, dog]"},
        {"labelmap.pbtxt": "item {}"},
        {"labels.json": "{"},
        {"labels.csv": "id,name\n0,cat"},
        {"labels.txt": "cat\ndog", "classes.txt": "dog\ncat"},
    ],
)
def test_a_file_of_labels_that_is_not_read_is_found_by_its_name(tmp_path: Path, files: dict[str, str]) -> None:
    model = model_in(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert names_in_model(model) is None
    assert {path.name for path in label_files_next_to(model)} == set(files)


def test_other_files_are_not_taken_for_labels(tmp_path: Path) -> None:
    for name in ("README.txt", "requirements.txt", "names.txt", "train.csv", "config.json", "model.onnx.data"):
        (tmp_path / name).touch()
    assert label_files_next_to(tmp_path / "model.onnx") == []
