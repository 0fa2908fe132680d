"""A model of another format is recognised by its content and not by its name, and its line names the exporter."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import onnx
import pytest

from edgecnn.errors.custom_model import CustomModelUnusable, ForeignModel
from edgecnn.graph.custom.form import form_of
from edgecnn.models.foreign_files import foreign_form, refuse_foreign
from edgecnn.planning.custom_model import check_custom
from edgecnn.values.recipe import Recipe
from tests.graph.custom_files import classifier

SAFETENSORS = (64).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(64) + bytes(4)
TEXT = b"hello\n"
FILES = {
    b"\x1c\0\0\0TFL3" + bytes(200): ("a TensorFlow Lite model", "python -m tf2onnx.convert --tflite mine --output model.onnx"),
    b"\x1c\0\0\0ORTM" + bytes(200): ("an ONNX Runtime model in the ORT format", "give the ONNX file that it was made from"),
    b"\x89HDF\r\n\x1a\n" + bytes(99): ("an HDF5 file, as Keras writes", '.export("model.onnx", format="onnx")\' mine; then'),
    b"ftrt" + bytes(99): ("a TensorRT engine", "give the ONNX file"),
    b"\x08\x08\x12\x82\x01\x0a\x20\x0a\x05image\x1a": ("a Core ML model", "give the ONNX file"),
    b"\x08\x01\x12\xf1\x02\x0a\x9b\x01\x12\x99": ("the graph of a TensorFlow SavedModel", "--model names its folder"),
    b"\x0a\x8f\x03\x08\0\x10" + b"\xff" * 9 + b"\x01": (
        "a PaddlePaddle model",
        "--model_filename mine --params_filename mine.pdiparams",
    ),
    b'{"base_code":{"magic":"pir","trainable":false': ("a PaddlePaddle model", "paddle2onnx --model_dir . "),
    b"\x0a\x3c\x0a\x01x\x12\x0bPlaceholder": ("a frozen TensorFlow graph", "--graphdef mine --inputs INPUT:0"),
    b'<?xml version="1.0"?>\n<net name="x" version="11">': ("an OpenVINO model", "give the ONNX file"),
    b"7767517\n2 2\nInput in0 0 1 in0\n": ("an ncnn model", "give the ONNX file"),
    b'{"format": "graph-model", "generatedBy": "2.9"': ("a TensorFlow.js model", "give the ONNX file"),
    b'{\n  "nodes": [\n {"op": "null",': ("an MXNet model", "mxnet.onnx.export_model"),
    SAFETENSORS: ("a safetensors file: weights without a network", "--arch NAME --weights mine --keep-head"),
    b"<!DOCTYPE html>": ("a web page: a download that went wrong", "download it again"),
    b"\x1f\x8b\x08": ("a gzip archive", "unpack it first"),
}
FOLDERS = {
    ("saved_model.pb", "variables/"): ("a TensorFlow SavedModel", "--saved-model mine --output model.onnx"),
    ("Manifest.json", "Data/"): ("a Core ML package", "give the ONNX file"),
    ("inference.json", "inference.pdiparams"): (
        "a PaddlePaddle model",
        "--model_filename inference.json --params_filename inference.pdiparams",
    ),
    ("config.json", "model.safetensors"): (
        "a Hugging Face model",
        "optimum-cli export onnx --model mine --task image-classification",
    ),
    ("config.json", "pytorch_model.bin"): ("a Hugging Face model", "then --model exported/model.onnx"),
    ("net.xml", "net.bin"): ("an OpenVINO model", "give the ONNX file"),
    ("net.param", "net.bin"): ("an ncnn model", "give the ONNX file"),
    ("config.json", "onnx/model.onnx"): ("a folder", "--model names one file: mine/onnx/model.onnx"),
}


@pytest.fixture(autouse=True)
def at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    with pytest.raises(ForeignModel) as caught:
        refuse_foreign(Path("mine"))
    return caught.value.line()


@pytest.mark.parametrize(("content", "form"), FILES.items(), ids=[what for what, _ in FILES.values()])
def test_a_file_of_another_format_is_named_with_its_exporter(content: bytes, form: tuple[str, str]) -> None:
    Path("mine").write_bytes(content)
    line = refusal()
    assert line.startswith(f"mine is {form[0]}: edgecnn reads ONNX, torch.export (.pt2) and TorchScript files — ")
    assert form[1] in line


@pytest.mark.parametrize(("names", "form"), FOLDERS.items(), ids=[names[-1] for names in FOLDERS])
def test_a_folder_is_told_by_the_names_in_it(names: tuple[str, ...], form: tuple[str, str]) -> None:
    for name in names:
        place = Path("mine") / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir() if name.endswith("/") else place.write_text("{}")
    line = refusal()
    assert line.startswith(f"mine is {form[0]}: ") and form[1] in line


def test_a_folder_of_timms_names_the_architecture() -> None:
    Path("mine").mkdir()
    Path("mine/config.json").write_text(json.dumps({"architecture": "resnet18", "num_classes": 4}))
    Path("mine/model.safetensors").write_bytes(SAFETENSORS)
    assert "--arch timm:resnet18 --weights mine/model.safetensors --keep-head" in refusal()


def test_a_folder_with_a_model_of_another_format_is_told_by_it() -> None:
    Path("mine").mkdir()
    Path("mine/labels.txt").write_text("a\n")
    Path("mine/net.bin").write_bytes(b"\x1c\0\0\0TFL3" + bytes(200))
    assert "mine is a folder with a TensorFlow Lite model: " in (line := refusal()) and "--tflite mine/net.bin " in line


def test_a_folder_without_a_model_file_is_one() -> None:
    Path("mine").mkdir()
    assert refusal() == (
        "mine is a folder without a model file: edgecnn reads ONNX, torch.export (.pt2) and TorchScript files [foreign-model]"
    )


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("metadata.json", "config.json", "model.weights.h5"), "a Keras model"),
        (("x/saved_model.pb",), "a zipped TensorFlow SavedModel"),
        (("deep/model.onnx",), "a zip archive with an ONNX file in it"),
        (("a.npy",), "a NumPy .npz archive"),
    ],
)
def test_a_zip_archive_is_told_by_the_names_in_it(names: tuple[str, ...], what: str) -> None:
    with zipfile.ZipFile("mine", "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    assert refusal().startswith(f"mine is {what}: ")


def test_a_checkpoint_of_ultralytics_names_its_exporter_and_a_program_is_none() -> None:
    for is_program in (False, True):
        with zipfile.ZipFile("mine", "w") as archive:
            archive.writestr("best/data.pkl", b"\x80\x02cultralytics.nn.tasks\nClassificationModel\n")
            if is_program:
                archive.writestr("best/constants.pkl", b"")
        if is_program:
            assert foreign_form(Path("mine")) is None
        else:
            assert "mine is a checkpoint of Ultralytics: " in (line := refusal()) and "yolo export model=mine format=onnx" in line


def test_a_build_refuses_another_format_before_it_reads_images() -> None:
    Path("mine").write_bytes(b"\x1c\0\0\0TFL3" + bytes(200))
    recipe = Recipe.model_validate({"model": {"onnx": "mine"}, "data": {"path": "photos"}})
    with pytest.raises(ForeignModel):
        check_custom(recipe, "judge", Path("out/bundle"))
    Path("mine").unlink()
    check_custom(recipe, "judge", Path("out/bundle"))  # who reads it says that it is not there


def test_onnx_files_and_broken_ones_are_no_other_format() -> None:
    onnx.save(classifier(), "mine")
    assert foreign_form(Path("mine")) is None and form_of(Path("mine")) is None
    Path("mine").write_bytes(b"PK\x03\x04 cut off")
    assert foreign_form(Path("mine")) is None
    with pytest.raises(CustomModelUnusable, match="cut off or damaged"):
        form_of(Path("mine"))
    Path("mine").write_bytes(b"")
    with pytest.raises(CustomModelUnusable, match="it is empty — copy it again"):
        refuse_foreign(Path("mine"))
