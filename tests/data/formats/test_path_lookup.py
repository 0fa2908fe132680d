"""Paths of a list that lead nowhere are looked for below its folder, with a suffix and with slashes, and else refused once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from edgecnn.data.files import ListingProgress
from edgecnn.data.formats.rows import PathLookup, Row
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.labels import LISTED_FILE_TWICE, LISTED_FILES_MISSING
from edgecnn.values.dataset import DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw
from tests.data.label_lists import listed


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(24):
        draw(tmp_path / "data" / "images" / f"{number:03d}.png", number)
    return tmp_path


def summary_of(path: Path, heard: Heard | None = None, **choice: Any) -> DataSummary:
    return summarize(DataChoice(path=str(path), **choice), path.parent / "store", heard or Heard())


def paths_in(summary: DataSummary) -> set[str]:
    return {image.path for image in DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes()).images}


def table(folder: Path, spelling: str) -> Path:
    rows = [[spelling.format(number), ("cat", "dog")[number % 2]] for number in range(24)]
    return listed(folder, [["path", "label"], *rows])


@pytest.mark.parametrize(
    "spelling", ["{:03d}", "{:03d}.png", "images/{:03d}", "images\\{:03d}.png", "./images\\{:03d}", "Images/{:03d}.PNG"]
)
def test_paths_without_suffix_folder_or_slashes_are_found_and_said(images: Path, spelling: str) -> None:
    heard, path = Heard(), table(images, spelling)
    assert paths_in(summary_of(path, heard)) == {f"data/images/{number:03d}.png" for number in range(24)}
    example = f"{spelling.format(0)} as data/images/000.png"
    assert heard.notes == [f"{path}: reads 24 paths of 24 as other paths, such as {example}"]


def test_options_name_the_folder_and_the_suffix(images: Path) -> None:
    heard, path = Heard(), table(images, "{:03d}")
    root = images / "data" / "images"
    assert paths_in(summary_of(path, heard, image_root=str(root), path_suffix=".png")) == {f"{n:03d}.png" for n in range(24)}
    assert heard.notes == []


def test_a_path_that_fits_two_files_is_refused(images: Path) -> None:
    draw(images / "other" / "007.png", 99)
    path = table(images, "{:03d}")
    with pytest.raises(EdgecnnError, check=LISTED_FILE_TWICE.made) as caught:
        summary_of(path)
    assert caught.value.ref == "listed-file-twice"
    assert len(paths_in(summary_of(path, image_root=str(images / "data")))) == 24


@pytest.mark.parametrize(
    ("spelling", "fix"),
    [
        (
            "img/{:03d}.bmp",
            "pass --image-root with the base folder of the paths; if they lack a suffix, pass --path-suffix, such as .jpg",
        ),
        ("/gone/{:03d}.png", "write the paths relative to a folder of this computer, and pass that folder with --image-root"),
        ("C:\\gone\\{:03d}.bmp", "write the paths relative to a folder of this computer, and pass that folder with --image-root"),
    ],
)
def test_a_list_of_which_no_file_exists_is_refused_once(images: Path, spelling: str, fix: str) -> None:
    path = table(images, spelling)
    with pytest.raises(EdgecnnError, check=LISTED_FILES_MISSING.made) as caught:
        summary_of(path)
    assert caught.value.fields["hint"] == fix


def test_where_some_files_exist_the_others_are_named(images: Path) -> None:
    rows = [[f"data/images/{number:03d}.png", ("cat", "dog")[number % 2]] for number in range(24)]
    summary = summary_of(listed(images, [["path", "label"], *rows, ["000", "cat"]]))
    assert summary.skipped == ("000: no such file or directory",)


def test_a_file_under_the_path_itself_is_meant_before_others(images: Path) -> None:
    for number in range(24):
        draw(images / f"{number:03d}.png", 100 + number)
    gone = [[f"gone/{number}.png", "cat"] for number in range(120)]
    rows = [[f"{number:03d}.png", ("cat", "dog")[number % 2]] for number in range(24)]
    summary = summary_of(listed(images, [["path", "label"], *gone, *rows]), path_suffix=".png")
    assert paths_in(summary) == {f"{number:03d}.png" for number in range(24)}


def test_a_path_in_its_own_case_is_meant_before_others(images: Path) -> None:
    for number in range(24):
        draw(images / "data" / "IMAGES" / f"{number:03d}.png", 100 + number)
    assert paths_in(summary_of(table(images, "images/{:03d}.png"))) == {f"data/images/{number:03d}.png" for number in range(24)}
    with pytest.raises(EdgecnnError, check=LISTED_FILE_TWICE.made):
        summary_of(table(images, "Images/{:03d}.png"))


def test_an_image_root_that_is_no_folder_is_named(images: Path) -> None:
    path = table(images, "{:03d}.png")
    with pytest.raises(EdgecnnError, check=LISTED_FILES_MISSING.made) as caught:
        summary_of(path, image_root=str(images / "none"))
    assert caught.value.fields["hint"] == "pass --image-root with a folder that exists"


def test_files_of_one_name_are_looked_up_by_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is compared with its own path, and not with every path of its name: 4,000 took minutes."""
    folders = [f"{number:04d}" for number in range(4000)]
    monkeypatch.setattr(PathLookup, "_image_paths", lambda _: (f"data/{folder}/0.png" for folder in folders))
    rows = [Row(f"{folder}/0", "cat", "train") for folder in folders]
    began = time.process_time()
    places = PathLookup(tmp_path / "list.csv", tmp_path, ListingProgress(Heard()), Heard()).locate(rows)
    assert time.process_time() - began < 2
    assert places == {f"{folder}/0": f"data/{folder}/0.png" for folder in folders}
