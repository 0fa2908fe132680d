"""A list next to folders: split folders and class folders win, and a list that is not used is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import SPLIT_NAMED_TWICE
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, fill
from tests.data.label_lists import listed

CLASSES = ("cat", "dog")


def summary_of(folder: Path, heard: Heard | None = None) -> DataSummary:
    return summarize(DataChoice(path=str(folder)), folder.parent / "store", heard or Heard())


def class_folders(folder: Path, *prefixes: str) -> list[str]:
    """The paths of 12 images in each class folder below each prefix."""
    names = [f"{prefix}{name}" for prefix in prefixes or ("",) for name in CLASSES]
    fill(folder, dict.fromkeys(names, 12))
    return [f"{name}/{number:03d}.png" for name in names for number in range(12)]


def label(path: str) -> str:
    return path.split("/")[-2]


def not_used(file: Path) -> str:
    return f"{file} is not used: sub-folders are the classes; --data {file} uses the list instead"


def test_class_folders_in_split_folders_win_over_a_list(tmp_path: Path) -> None:
    photos, heard = tmp_path / "photos", Heard()
    paths = class_folders(photos, "train/", "test/")
    file = listed(photos, [["file_name", "label"], *([path, label(path)] for path in paths)], "metadata.csv")
    assert summary_of(photos, heard).counts["test"] == 24
    assert heard.notes[-1] == not_used(file)


def test_a_list_of_another_name_in_split_folders_is_not_used(tmp_path: Path) -> None:
    photos, heard = tmp_path / "photos", Heard()
    class_folders(photos, "train/", "test/")
    file = listed(photos, [["file", "label"], ["train/cat/001.png", "cat"], ["train/dog/001.png", "dog"]], "submission.csv")
    assert summary_of(photos, heard).counts["test"] == 24
    assert heard.notes == [not_used(file)]


@pytest.mark.parametrize("wrapper", ["", "pets/"])
def test_a_list_next_to_flat_split_folders_takes_the_split_from_the_path(tmp_path: Path, wrapper: str) -> None:
    photos = tmp_path / "photos"
    fill(photos, {f"{wrapper}train": 24, f"{wrapper}test": 12})
    paths = [f"{wrapper}{part}/{number:03d}.png" for part, count in (("train", 24), ("test", 12)) for number in range(count)]
    listed(photos, [["file_name", "label"], *([path, CLASSES[number % 2]] for number, path in enumerate(paths))], "metadata.csv")
    summary = summary_of(photos)
    assert (summary.classes, summary.counts["test"], sum(summary.counts.values())) == (CLASSES, 12, 36)


@pytest.mark.parametrize("name", ["predictions.csv", "labels.csv"])
def test_class_folders_win_over_a_list_that_disagrees(tmp_path: Path, name: str) -> None:
    photos, heard = tmp_path / "photos", Heard()
    paths = class_folders(photos)
    rows = [[path, "dog" if path == "cat/003.png" else label(path)] for path in paths]
    file = listed(photos, [["path", "label"], *rows], name)
    assert sum(summary_of(photos, heard).counts.values()) == 24
    assert heard.notes == [not_used(file)]


def test_class_folders_win_over_a_list_of_other_images(tmp_path: Path) -> None:
    photos, heard = tmp_path / "photos", Heard()
    class_folders(photos)
    draw(photos / "logo.png", 99)
    files = [listed(photos, [["file", "class"], ["logo.png", "x"]], name) for name in ("contents.csv", "readme.csv")]
    assert summary_of(photos, heard).classes == CLASSES
    assert heard.notes == [
        f"{files[0]}; {files[1]} are not used: sub-folders are the classes; --data {files[0]} uses the list instead"
    ]


def test_a_list_with_a_split_column_next_to_class_folders_is_named(tmp_path: Path) -> None:
    photos, heard = tmp_path / "photos", Heard()
    rows = [[path, label(path), "test" if "01" in path else "train"] for path in class_folders(photos)]
    file = listed(photos, [["path", "label", "split"], *rows], "labels.csv")
    summary_of(photos, heard)
    assert heard.notes == [not_used(file)]


def test_folders_that_are_not_classes_leave_the_list_in_charge(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"00": 12, "01": 12})
    rows = [[f"{folder}/{number:03d}.png", CLASSES[number % 2]] for folder in ("00", "01") for number in range(12)]
    listed(photos, [["path", "label"], *rows], "labels.csv")
    assert summary_of(photos).classes == CLASSES


def test_a_list_next_to_the_single_folder_of_its_images_is_read(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"images/00": 12, "images/01": 12})
    rows = [[f"images/{folder}/{number:03d}.png", CLASSES[number % 2]] for folder in ("00", "01") for number in range(12)]
    listed(photos, [["path", "label"], *rows], "labels.csv")
    assert summary_of(photos).classes == CLASSES


def test_a_list_of_something_else_does_not_hide_the_one_inside(tmp_path: Path) -> None:
    photos, heard = fill(tmp_path / "photos", {"pets": 24}), Heard()
    listed(photos, [["number", "name", "count"], ["1", "cat", "12"]], "contents.csv")
    rows = [[f"{number:03d}.png", CLASSES[number % 2]] for number in range(24)]
    listed(photos / "pets", [["path", "label"], *rows], "labels.csv")
    assert summary_of(photos, heard).classes == CLASSES
    assert heard.notes[1] == f"{photos}/pets: reads labels.csv"


def test_two_split_folders_with_lists_that_mean_one_split_are_refused(tmp_path: Path) -> None:
    for seed, name in enumerate(("train", "val", "valid")):
        fill(tmp_path / "photos", {name: 4}, start=10 * seed)
        rows = [[f"{number:03d}.png", CLASSES[number % 2]] for number in range(4)]
        listed(tmp_path / "photos" / name, [["file_name", "label"], *rows], "metadata.csv")
    with pytest.raises(EdgecnnError, check=SPLIT_NAMED_TWICE.made):
        summary_of(tmp_path / "photos")


def test_images_that_no_list_names_are_counted(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"train": 24, "valid": 3})
    rows = [[f"{number:03d}.png", CLASSES[number % 2]] for number in range(20)]
    listed(photos / "train", [["file_name", "label"], *rows], "metadata.csv")
    unlisted = "train/ (4 images, not in the list); valid/ (3 images, not in the list)"
    assert summary_of(photos).splits_from.endswith(f"; not used: {unlisted}")
    findings = inspect(DataChoice(path=str(photos)), tmp_path / "store", Heard()).facts.findings
    warnings = [finding.sentence for finding in findings if finding.serious]
    assert warnings == [f"a build skips {unlisted}: list them if they belong to the data"]
