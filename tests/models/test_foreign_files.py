"""A model of another format is recognised by its content and not by its name, and its line names the exporter."""

from __future__ import annotations

import errno
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any, cast

import onnx
import pytest

from edgecnn.data.class_names import names_in_model, stated_names
from edgecnn.data.layout import root_of
from edgecnn.data.model_metadata import metadata_of
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CUSTOM_FILE_MISSING, FOREIGN_MODEL, CustomModelUnusable
from edgecnn.errors.data import CLASS_NAMES_UNUSABLE, DATA_PATH_UNUSABLE
from edgecnn.errors.store import StoreUnusable
from edgecnn.errors.weights import WEIGHTS_UNREADABLE
from edgecnn.graph.custom.form import entries_of, form_of
from edgecnn.models import foreign_files
from edgecnn.models.foreign_files import foreign_form, refuse_foreign
from edgecnn.models.weights_file import format_of
from edgecnn.planning.custom_model import check_custom, custom_model
from edgecnn.runner.files import open_regular
from edgecnn.store.store import Store
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
def run_at_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    with pytest.raises(EdgecnnError, check=FOREIGN_MODEL.made) as caught:
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
    assert "[foreign-model]" in refusal()


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


def test_a_zip_entry_with_damaged_lzma_is_no_other_format_and_names_no_classes() -> None:
    for name, compression in (("best/data.pkl", zipfile.ZIP_LZMA), ("best/data.pkl", zipfile.ZIP_BZIP2)):
        with zipfile.ZipFile("mine", "w", compression) as archive:
            archive.writestr(name, b"ultralytics" * 300)
            archive.writestr("best/extra/config.txt", json.dumps({"names": "{0: 'a', 1: 'b'}"}))
        content = bytearray(Path("mine").read_bytes())
        for at in (30 + len(name), content.rindex(b"best/extra/config.txt", 0, content.index(b"PK\x01\x02")) + 21):
            content[at + 9 : at + 30] = b"\xff" * 21
        Path("mine").write_bytes(content)
        assert foreign_form(Path("mine")) is None
        assert metadata_of(Path("mine")) == {}
        with pytest.raises(
            EdgecnnError, match="it is damaged: a zip archive with an invalid table of contents", check=WEIGHTS_UNREADABLE.made
        ):
            format_of(Path("mine"))
        with pytest.raises(CustomModelUnusable, match="it is damaged, or was not written by torch"):
            entries_of(Path("mine"))


def test_a_pipe_is_named_as_one() -> None:
    os.mkfifo("mine")
    recipe = Recipe.model_validate({"model": {"onnx": "mine"}, "data": {"path": "photos"}})
    with pytest.raises(
        EdgecnnError, match="it is a pipe, a socket or a device, not a regular file", check=CUSTOM_FILE_MISSING.made
    ):
        check_custom(recipe, "judge", Path("out/bundle"))


def test_an_unreadable_file_hides_no_other_file_of_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine").mkdir()
    Path("mine/a.bin").write_bytes(b"x")
    Path("mine/net.bin").write_bytes(b"\x1c\0\0\0TFL3" + bytes(200))

    def guarded(path: Path) -> io.BufferedReader:
        if path.name == "a.bin":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_regular(path)

    monkeypatch.setattr(foreign_files, "open_regular", guarded)
    assert "mine is a folder with a TensorFlow Lite model: " in refusal()


def test_a_home_folder_that_no_user_has_is_no_file_and_no_crash(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"model": {"onnx": "~nosuchuser/m.onnx"}, "data": {"path": "photos"}})
    check_custom(recipe, "judge", Path("out/bundle"))
    with pytest.raises(EdgecnnError, match="~nosuchuser/m.onnx", check=CUSTOM_FILE_MISSING.made):
        custom_model(recipe, cast(Any, None), tmp_path, cast(Any, None))
    with pytest.raises(EdgecnnError, match="it is neither a file nor one of", check=CLASS_NAMES_UNUSABLE.made):
        stated_names("~nosuchuser/names.txt", ("a", "b"))
    assert names_in_model(Path("~nosuchuser/m.onnx")) is None
    with pytest.raises(StoreUnusable, match="the home folder is unknown"):
        Store.open(Path("~nosuchuser/store"))
    with pytest.raises(EdgecnnError, match="there is no user of that name", check=DATA_PATH_UNUSABLE.made):
        root_of("~nosuchuser/photos")


def test_a_build_refuses_another_format_before_it_reads_images() -> None:
    Path("mine").write_bytes(b"\x1c\0\0\0TFL3" + bytes(200))
    recipe = Recipe.model_validate({"model": {"onnx": "mine"}, "data": {"path": "photos"}})
    with pytest.raises(EdgecnnError, check=FOREIGN_MODEL.made):
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
