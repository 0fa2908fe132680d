"""Folders that are known by the names in a file, whose order is that of a model's answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.class_names import stated_names
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import CLASS_NAMES_UNUSABLE, FOLDERS_OF_ONE_CLASS, NotInClassNames
from edgecnn.planning.recipe import load_recipe
from edgecnn.render.progress import Quiet
from edgecnn.values.dataset import DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice

FOLDERS = ("Sea_lion", "ant", "zebra")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, name in enumerate(FOLDERS):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for place in range(6):
            noise = np.random.default_rng(100 * number + place).integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / "photos" / name / f"{place}.png")
    return tmp_path / "photos"


def summed_up(photos: Path, names: Path) -> DataSummary:
    return summarize(DataChoice(path=str(photos), classes=str(names)), photos.parent / "store", Quiet())


def label_of(summary: DataSummary) -> dict[str, int]:
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_text("utf-8"))
    return {image.path.partition("/")[0]: image.label for image in manifest.images}


def test_a_folder_is_the_class_of_its_name_and_not_of_its_place(photos: Path) -> None:
    names = photos.parent / "names.txt"
    names.write_text("zebra\nbee\nsea lion\nant\n\n", "utf-8-sig")
    summary = summed_up(photos, names)
    assert summary.classes == ("zebra", "bee", "sea lion", "ant")
    assert label_of(summary) == {"zebra": 0, "Sea_lion": 2, "ant": 3}


def test_a_file_that_changed_is_read_again(photos: Path) -> None:
    names = photos.parent / "names.txt"
    names.write_text("zebra\nsea lion\nant\n")
    before = summed_up(photos, names)
    names.write_text("ant\nsea lion\nzebra\n")
    after = summed_up(photos, names)
    assert label_of(after) == {"ant": 0, "Sea_lion": 1, "zebra": 2}
    assert after.content != before.content


def test_sorted_is_the_order_of_characters_as_imagefolder_has_it(photos: Path) -> None:
    summary = summarize(DataChoice(path=str(photos), classes="sorted"), photos.parent / "cache", Quiet())
    assert summary.classes == ("Sea_lion", "ant", "zebra") and label_of(summary) == {"ant": 1, "Sea_lion": 0, "zebra": 2}


def test_names_that_differ_by_case_alone_are_told_apart(photos: Path) -> None:
    names = photos.parent / "names.txt"
    names.write_text("Ant\nant\nzebra\nSea_lion\n")
    assert label_of(summed_up(photos, names)) == {"ant": 1, "zebra": 2, "Sea_lion": 3}


def test_two_folders_that_are_called_after_one_name_are_refused(photos: Path) -> None:
    (photos / "zebra").rename(photos / "sea-lion")
    names = photos.parent / "names.txt"
    names.write_text("sea lion\nant\n")
    with pytest.raises(EdgecnnError, check=FOLDERS_OF_ONE_CLASS.made) as refusal:
        summed_up(photos, names)
    assert refusal.value.ref == "folders-of-one-class"
    names.write_text("ant\nSea_lion\nsea-lion\n")
    assert label_of(summed_up(photos, names)) == {"ant": 0, "Sea_lion": 1, "sea-lion": 2}


def test_a_folder_that_the_file_does_not_name_is_answered_with_the_nearest(photos: Path) -> None:
    names = photos.parent / "names.txt"
    names.write_text("zebras\nsea lion\nant\n")
    with pytest.raises(NotInClassNames) as refusal:
        summed_up(photos, names)
    assert refusal.value.ref == "not-in-class-names"


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (None, "it is neither a file nor one of folders, sorted, imagenet"),
        (b"", "line 1 is empty"),
        (b"ant\n\nzebra\n", "line 2 is empty"),
        (b"ant\nze\x1bbra\n", "line 2, 'ze\\x1bbra', contains a control character"),
        (b"ant\nzebra\nant\n", "lines 1 and 3 are both 'ant'"),
        (b"\xff\xfe", "it is UTF-16; save it as UTF-8"),
        (b"ant\n" * 2_000_000, "it is larger than 4 MiB"),
    ],
)
def test_a_file_without_an_order_is_one_line(tmp_path: Path, content: bytes | None, because: str) -> None:
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(EdgecnnError, check=CLASS_NAMES_UNUSABLE.made) as refusal:
        stated_names(str(file), FOLDERS)
    assert refusal.value.line() == (
        f"{file} cannot be used as a list of class names: {because} — "
        "write one class name on each line, in the order of the labels [class-names-unusable]"
    )


def test_words_are_no_files_and_a_recipe_s_path_counts_from_the_recipe(tmp_path: Path) -> None:
    assert [stated_names(word, ("2", "10")) for word in (None, "folders", "imagenet")] == [None, None, None]
    recipe = tmp_path / "mine.toml"
    recipe.write_text('schema = "edgecnn.recipe/2"\n[data]\nclasses = "names.txt"\n')
    assert load_recipe(recipe).data.classes == str(tmp_path / "names.txt")
    recipe.write_text('schema = "edgecnn.recipe/2"\n[data]\nclasses = "imagenet"\n')
    assert load_recipe(recipe).data.classes == "imagenet"
