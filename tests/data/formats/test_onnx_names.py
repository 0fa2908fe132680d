"""Names of classes in an ONNX file's metadata, as exporters write them, read without ONNX's library."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import onnx
import pytest

from edgecnn.data.class_names import names_in, names_in_model, order_by_names
from edgecnn.data.model_metadata import names_in_metadata
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import CLASS_NAMES_UNUSABLE, NotInClassNames
from tests.graph.custom_files import CLASSES, classifier


def written(folder: Path, **text: str) -> Path:
    model = classifier()
    onnx.helper.set_model_props(model, {"author": "somebody", **text})
    path = folder / "mine.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    "metadata",
    [
        {"names": "{0: 'dog', 1: 'cat', 2: 'sea lion'}"},  # Ultralytics
        {"character": "dog\ncat\nsea lion"},  # PaddleX, RapidOCR
        {"class_names": '["dog", "cat", "sea lion"]'},
        {"classes": '{"0": "dog", "2": "sea lion", "1": "cat"}'},
    ],
)
def test_each_form_is_read(metadata: dict[str, str], tmp_path: Path) -> None:
    assert names_in_metadata(written(tmp_path, **metadata)) == names_in(tmp_path / "mine.onnx") == ("dog", "cat", "sea lion")


@pytest.mark.parametrize(
    "text", ["", "dog", "{0: 'dog', 2: 'cat'}", "['dog', 'dog']", "[1, 2]", "dog\n\ncat", "['dog', 'c\\x1bat']", "(" * 9000]
)
def test_what_names_no_classes_is_left_alone(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, names=text)
    assert names_in_metadata(path) is None
    assert names_in_model(path) is None


def test_as_the_file_that_data_classes_states_it_has_to_name_some(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(EdgecnnError, check=CLASS_NAMES_UNUSABLE.made) as refused:
        names_in(path)
    assert refused.value.line() == (
        f"{path} cannot be used as a list of class names: its metadata has no names in names, character, class_names, "
        "classes, labels, id2label, idx_to_class, categories; use a text file instead — write one "
        "class name on each line, in the order of the labels "
        "[class-names-unusable]"
    )


def test_an_order_is_that_of_the_file_where_every_folder_is_named(tmp_path: Path) -> None:
    named = names_in_model(written(tmp_path, names=str(dict(enumerate(CLASSES[::-1])))))
    assert named is not None and named.names == CLASSES[::-1]
    names = named.names
    spelled = tuple(name.replace(" ", "_") for name in CLASSES)
    photos = tmp_path / "photos"
    assert order_by_names(names, CLASSES, photos, "mine.onnx") == CLASSES[::-1]
    assert order_by_names(names, spelled, photos, "mine.onnx") == spelled[::-1]
    assert order_by_names(names, CLASSES[1:], photos, "mine.onnx") == CLASSES[::-1], "some of the folders"
    assert order_by_names(names, (*CLASSES, "dark_red"), photos, "mine.onnx") is None
    assert order_by_names(names, ("eins", "zwei", "drei", "vier"), photos, "mine.onnx") is None
    assert names_in_model(tmp_path / "none.onnx") is None


@pytest.mark.parametrize("others", [CLASSES[:1], CLASSES[:3]])
def test_one_folder_that_the_file_does_not_name_is_no_reason_to_go_by_the_folders(
    others: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(NotInClassNames) as refused:
        order_by_names(CLASSES[::-1], (*others, "dark reds"), tmp_path, "mine.onnx")
    assert refused.value.ref == "not-in-class-names"


@pytest.mark.parametrize("length", [1, 2, 40, 300])
def test_a_file_that_ends_early_names_none(length: int, tmp_path: Path) -> None:
    path = written(tmp_path, names="['dog', 'cat']")
    path.write_bytes(path.read_bytes()[:length])
    assert names_in_metadata(path) is None


def test_nothing_heavy_is_imported() -> None:
    done = "import sys, edgecnn.data.class_names; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", done], check=False).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "{[1]:'a'}",  # a list cannot be a key
        "{{1}: 'a', 2: 'b'}",
        "{0: 'a', [1]: 'b'}",
        "{1: ['a'], 2: {}}",
        "{'a', ['b']}",
        "1 + 1j",
        "{**{}, 0: 'a'}",
        "9" * 5000,
        "-" * 50_000 + "1",
        "(" * 10_000,
        "'\\ud800', 'b'",
        "'a\0', 'b'",
    ],
)
def test_malformed_metadata_is_no_names_and_no_failure(text: str, tmp_path: Path) -> None:
    assert names_in_model(written(tmp_path, names=text)) is None


def test_metadata_without_names_is_not_kept_in_memory(tmp_path: Path) -> None:
    entries = {f"weights{number}": "0" * 1_000_000 for number in range(64)}
    path = written(tmp_path, **entries, names="{0: 'dog', 1: 'cat'}")
    tracemalloc.start()
    try:
        names = names_in_model(path)
        assert names is not None and names.names == ("dog", "cat")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
