"""Names of classes in an ONNX file's metadata, as exporters write them, read without ONNX's library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from edgecnn.data.class_names import names_in, order_in_model
from edgecnn.data.formats.onnx_names import names_in_metadata
from edgecnn.errors.data.formats import ClassNamesUnusable
from tests.graph.custom_files import CLASSES, classifier


def written(folder: Path, **said: str) -> Path:
    model = classifier()
    onnx.helper.set_model_props(model, {"author": "somebody", **said})
    path = folder / "mine.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    "said",
    [
        {"names": "{0: 'dog', 1: 'cat', 2: 'sea lion'}"},  # Ultralytics
        {"character": "dog\ncat\nsea lion"},  # PaddleX, RapidOCR
        {"class_names": '["dog", "cat", "sea lion"]'},
        {"classes": '{"0": "dog", "2": "sea lion", "1": "cat"}'},
    ],
)
def test_each_form_is_read(said: dict[str, str], tmp_path: Path) -> None:
    assert names_in_metadata(written(tmp_path, **said)) == names_in(tmp_path / "mine.onnx") == ("dog", "cat", "sea lion")


@pytest.mark.parametrize(
    "text", ["", "dog", "{0: 'dog', 2: 'cat'}", "['dog', 'dog']", "[1, 2]", "dog\n\ncat", "['dog', 'c\\x1bat']", "(" * 9000]
)
def test_what_names_no_classes_is_left_alone(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, names=text)
    assert names_in_metadata(path) is None
    assert order_in_model(path, ("cat", "dog")) is None


def test_as_the_file_that_data_classes_states_it_has_to_name_some(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(ClassNamesUnusable) as refused:
        names_in(path)
    assert refused.value.line() == (
        f"{path}: cannot be used as the names of the classes: its metadata has no names in names, character, class_names, "
        "classes, labels, so that a text file is needed — its first line should name label 0, its second label 1, and so on "
        "[class-names-unusable]"
    )


def test_an_order_is_that_of_the_file_where_every_folder_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, names=str(dict(enumerate(CLASSES[::-1]))))
    assert order_in_model(path, CLASSES) == CLASSES[::-1]
    spelled = tuple(name.replace(" ", "_") for name in CLASSES)
    assert order_in_model(path, spelled) == spelled[::-1]
    assert order_in_model(path, CLASSES[1:]) == CLASSES[::-1], "some of the folders"
    assert order_in_model(path, (*CLASSES[1:], "grey")) is None
    assert order_in_model(path, (*CLASSES, "dark_red")) is None
    assert order_in_model(tmp_path / "none.onnx", CLASSES) is None


@pytest.mark.parametrize("length", [1, 2, 40, 300])
def test_a_file_that_ends_early_names_none(length: int, tmp_path: Path) -> None:
    path = written(tmp_path, names="['dog', 'cat']")
    path.write_bytes(path.read_bytes()[:length])
    assert names_in_metadata(path) is None


def test_nothing_heavy_is_imported() -> None:
    done = "import sys, edgecnn.data.class_names; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", done], check=False).returncode == 0
