from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgecnn.data.files import ListingProgress
from edgecnn.data.layout import Layout, find_layout, natural_order, root_of
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import (
    DATA_PATH_UNUSABLE,
    NAME_NOT_UNICODE,
    ONE_CLASS,
    SPLIT_NAMED_TWICE,
    SPLITS_DIFFER,
    TRAIN_FOLDER_MISSING,
    DataFolderMissing,
    DataNotAFolder,
    NoClassFolders,
)
from edgecnn.errors.usage import PATH_TOO_LONG
from tests.data.folders import Heard

SHAPE = "make one sub-folder of images for each class, or train/, val/ and test/ with such sub-folders"


def layout_of(root: Path) -> Layout:
    return find_layout(root, ListingProgress(Heard()))


def made(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return root


def test_sub_folders_are_classes_in_natural_order(tmp_path: Path) -> None:
    layout = layout_of(made(tmp_path, "step10", "Step2", "apple", ".git", "__MACOSX"))
    assert (layout.classes, dict(layout.parts)) == (("apple", "Step2", "step10"), {})
    assert [(folder.label, folder.path) for folder in layout.folders] == [(0, "apple"), (1, "Step2"), (2, "step10")]


def test_numbers_are_in_order_however_long_they_are() -> None:
    names = ["9" * 5000, "10", "9", "a010", "a9", "1" + "0" * 5000]
    assert natural_order(names) == ("9", "10", "9" * 5000, "1" + "0" * 5000, "a9", "a010")


def test_natural_order_does_not_depend_on_the_order_of_the_question() -> None:
    names = ["a1", "A1", "a01", "a10", "a2", "1", "b"]
    assert natural_order(names) == natural_order(names[::-1]) == ("1", "A1", "a01", "a1", "a2", "a10", "b")


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Validation"])
def test_train_beside_a_validation_or_test_folder_makes_splits(tmp_path: Path, validation: str) -> None:
    layout = layout_of(made(tmp_path, "train/a", "train/b", f"{validation}/a", f"{validation}/b", "test/a", "test/b"))
    assert dict(layout.parts) == {"train": "train", "validation": validation, "test": "test"}
    assert [folder.path for folder in layout.folders if folder.part == "validation"] == [f"{validation}/a", f"{validation}/b"]


def test_a_lone_train_folder_of_folders_is_a_split(tmp_path: Path) -> None:
    assert layout_of(made(tmp_path, "train/a", "train/b")).classes == ("a", "b")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert layout_of(made(tmp_path, "train", "bus", "car")).classes == ("bus", "car", "train")


def test_folders_beside_the_splits_are_named_as_unused(tmp_path: Path) -> None:
    assert layout_of(made(tmp_path, "train/a", "train/b", "val/a", "val/b", "annotations")).ignored == ("annotations",)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataFolderMissing) as caught:
        layout_of(tmp_path / "photos")
    assert caught.value.line() == (
        f"the folder {tmp_path}/photos does not exist"
        " — pass a folder of images, a list FILE.csv or FILE.parquet, or a zip of a folder [data-folder-missing]"
    )


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(DataNotAFolder) as caught:
        layout_of(tmp_path / "photo.jpg")
    assert caught.value.line() == f"{tmp_path}/photo.jpg is not a folder — {SHAPE} [data-not-a-folder]"


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(NoClassFolders) as caught:
        layout_of(tmp_path)
    assert caught.value.line() == f"{tmp_path} has no class folders: the folder is empty — {SHAPE} [no-class-folders]"


def test_images_without_sub_folders(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(NoClassFolders) as caught:
        layout_of(tmp_path)
    assert (
        caught.value.line() == f"{tmp_path} has no class folders: it has 2 files but no sub-folder — {SHAPE} [no-class-folders]"
    )


def test_one_class(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=ONE_CLASS.made) as caught:
        layout_of(made(tmp_path, "cats"))
    assert caught.value.fields == {"folder": tmp_path, "name": "cats"}


def test_splits_with_other_classes_suggest_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=SPLITS_DIFFER.made) as caught:
        layout_of(made(tmp_path, "train/hat", "train/t-shirt", "val/hat", "val/tshirt"))
    assert caught.value.ref == "splits-differ"


def test_a_split_without_a_class_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=SPLITS_DIFFER.made) as caught:
        layout_of(made(tmp_path, "train/hat", "train/shoe", "test/hat"))
    assert caught.value.ref == "splits-differ"


def test_two_names_of_one_split(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=SPLIT_NAMED_TWICE.made) as caught:
        layout_of(made(tmp_path, "train/a", "train/b", "val/a", "validation/a"))
    assert caught.value.line() == f"val/ and validation/ in {tmp_path} mean the same split — keep one of them [split-named-twice]"


def test_splits_without_train(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=TRAIN_FOLDER_MISSING.made) as caught:
        layout_of(made(tmp_path, "test/a", "test/b", "val/a", "val/b"))
    assert caught.value.line() == (
        f"{tmp_path} has test/ and val/ but no train/ — rename the folder of training images to {tmp_path}/train,"
        f" or pass a single split, such as {tmp_path}/test [train-folder-missing]"
    )


def test_one_split_alone_is_what_there_is_where_nothing_is_trained(tmp_path: Path) -> None:
    layout = layout_of(made(tmp_path, "val/a", "val/b"))
    assert (layout.classes, dict(layout.parts)) == (("a", "b"), {"train": "val"})
    assert [(folder.part, folder.path) for folder in layout.folders] == [("train", "val/a"), ("train", "val/b")]
    layout.require_trainable(tmp_path, is_training=False)
    with pytest.raises(EdgecnnError, check=TRAIN_FOLDER_MISSING.made) as caught:
        layout.require_trainable(tmp_path, is_training=True)
    assert caught.value.line() == (
        f"{tmp_path} has val/ but no train/ — rename the folder of training images to {tmp_path}/train,"
        f" or pass a single split, such as {tmp_path}/val [train-folder-missing]"
    )


def test_a_lone_folder_of_images_that_is_called_as_a_split_is_none(tmp_path: Path) -> None:
    made(tmp_path, "val")
    with pytest.raises(EdgecnnError, check=TRAIN_FOLDER_MISSING.made):
        layout_of(tmp_path)


def test_a_name_that_is_no_utf_8_is_refused_and_not_a_crash(tmp_path: Path) -> None:
    for name in (b"cat", b"\xff\xfe"):
        (tmp_path / os.fsdecode(name)).mkdir()
    with pytest.raises(EdgecnnError, check=NAME_NOT_UNICODE.made) as raised:
        layout_of(tmp_path)
    assert raised.value.ref == "name-not-unicode"


def test_a_file_whose_name_is_no_utf_8_becomes_no_class_and_is_let_be(tmp_path: Path) -> None:
    made(tmp_path, "cat", "dog")
    (tmp_path / os.fsdecode(b"notes\xff")).touch()
    assert layout_of(tmp_path).classes == ("cat", "dog")


def test_a_link_that_leads_to_itself_is_no_folder(tmp_path: Path) -> None:
    made(tmp_path, "cat", "dog")
    (tmp_path / "self").symlink_to("self")
    assert layout_of(tmp_path).classes == ("cat", "dog")


def test_a_data_path_counts_from_the_current_folder_and_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert (root_of("photos"), root_of("~/photos")) == (tmp_path / "photos", Path("/home/me/photos"))


@pytest.mark.parametrize("text", ["x" * 5000, "x" * 300 + ".csv", "a/" * 3000 + "photos"])
def test_a_path_that_the_file_system_does_not_take_is_refused_before_any_look(text: str) -> None:
    with pytest.raises(EdgecnnError, check=PATH_TOO_LONG.made):
        root_of(text)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("a\0b", "it contains a NUL character"),
        ("~nobody-of-this-name/photos", "there is no user of that name"),
        ("/caf\udce9", "'/caf\\udce9' is not valid UTF-8"),
    ],
)
def test_a_text_that_can_name_no_folder(text: str, because: str) -> None:
    with pytest.raises(EdgecnnError, check=DATA_PATH_UNUSABLE.made) as caught:
        root_of(text)
    assert caught.value.line() == (
        f"the data path {ascii(text)} cannot be used: {because} — choose another path [data-path-unusable]"
    )


def test_a_class_in_two_forms_of_unicode_is_the_same_in_both_splits(tmp_path: Path) -> None:
    layout = layout_of(made(tmp_path, "train/caf\u00e9", "train/dog", "test/cafe\u0301", "test/dog"))
    assert layout.classes == ("caf\u00e9", "dog")
    assert [folder.path for folder in layout.folders] == ["train/caf\u00e9", "train/dog", "test/cafe\u0301", "test/dog"]
