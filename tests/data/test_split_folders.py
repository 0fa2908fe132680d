"""Folders as people have them: splits by their usual names, wrapped folders, and what has two readings is asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.data.files import ListingProgress
from edgecnn.data.layout import Layout, find_layout
from edgecnn.data.manifest import summarize
from edgecnn.data.role_folders import write_role_folders
from edgecnn.data.split_names import is_unlabelled, split_name
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import SPLIT_NAMED_TWICE, NoClassFolders, SplitFolders
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import DataChoice, FolderReading
from tests.data.folders import Heard, draw, fill


def layout_of(root: Path, reading: FolderReading | None = None) -> Layout:
    return find_layout(root, ListingProgress(Heard()), reading)


def made(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return root


def add_images(root: Path, *folders: str) -> Path:
    for folder in made(root, *folders).rglob("*"):
        if folder.relative_to(root).as_posix() in folders:
            (folder / "1.jpg").touch()
    return root


def summary_of(root: Path, reading: FolderReading | None = None, heard: Heard | None = None) -> DataSummary:
    return summarize(DataChoice(path=str(root), folders=reading), root.parent / "store", heard or Heard())


def refusal_line(root: Path) -> str:
    with pytest.raises(SplitFolders) as caught:
        layout_of(root)
    return caught.value.line()


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (("train", "Training", "training_set", "seg_train", "train_images", "TrainSet", "trainset", "train2017", "trn"), "train"),
        (("val", "VALID", "validation", "dev", "eval", "dev-set", "valid_images", "val2017", "imgs_val"), "validation"),
        (("test", "testing", "test_set", "seg_test", "testset", "TestImages", "test data", "tst"), "test"),
    ],
)
def test_usual_names_mean_a_split_with_prefixes_and_suffixes_too(names: tuple[str, ...], part: str) -> None:
    assert {name: named.part if (named := split_name(name)) else None for name in names} == dict.fromkeys(names, part)


@pytest.mark.parametrize(
    "name", ["strain", "contest", "devil", "invalid", "train_test_split", "pretrained", "", "__", "猫", "latest"]
)
def test_other_names_mean_none(name: str) -> None:
    assert split_name(name) is None


def test_the_splits_of_one_data_set_share_their_other_words() -> None:
    names = ("train", "train_images", "seg_train", "seg_test", "train_station", "val2017")
    assert [named.division for name in names if (named := split_name(name))] == ["", "", "seg", "seg", "station", "2017"]


def test_a_bucket_of_images_without_a_label_is_known_by_its_name() -> None:
    buckets = ["no_label", "unlabeled", "Unlabelled images", "not labeled", "NoLabel", "unsorted", "unannotated"]
    assert [name for name in [*buckets, "label", "unknown", "other", "none"] if is_unlabelled(name)] == buckets


@pytest.mark.parametrize(
    "names",
    [
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train2017", "test2017"),
        ("TrainImages", "TestImages"),
        ("trainset", "testing"),
    ],
)
def test_split_folders_by_their_usual_names_are_splits(tmp_path: Path, names: tuple[str, str]) -> None:
    layout = layout_of(add_images(tmp_path, *(f"{name}/{label}" for name in names for label in ("cat", "dog"))))
    assert (layout.classes, layout.parts) == (("cat", "dog"), dict(zip(("train", "test"), names, strict=True)))


def test_dev_and_eval_mean_validation(tmp_path: Path) -> None:
    for number, name in enumerate(("dev", "eval", "Eval")):
        root = add_images(tmp_path / str(number), *(f"{part}/{label}" for part in ("train", name) for label in ("cat", "dog")))
        assert layout_of(root).parts == {"train": "train", "validation": name}


def test_folders_of_other_data_next_to_the_splits_are_not_splits(tmp_path: Path) -> None:
    names = [f"{part}/{label}" for part in ("train", "test", "train_masks", "test_masks") for label in ("cat", "dog")]
    layout = layout_of(add_images(tmp_path, *names))
    assert (layout.parts, layout.ignored) == ({"train": "train", "test": "test"}, ("test_masks", "train_masks"))


def test_classes_whose_names_hold_a_split_word_stay_classes(tmp_path: Path) -> None:
    names = ("dev board", "test tube", "train station", "valid")
    assert layout_of(add_images(tmp_path, *names)).classes == names


def test_two_folders_that_mean_one_split_are_refused_and_plain_names_win(tmp_path: Path) -> None:
    names = [f"{part}/{label}" for part in ("train", "test_set", "test_images") for label in ("cat", "dog")]
    with pytest.raises(EdgecnnError, check=SPLIT_NAMED_TWICE.made):
        layout_of(add_images(tmp_path / "twice", *names))
    names = [f"{part}/{label}" for part in ("train", "test", "test_images") for label in ("cat", "dog")]
    assert layout_of(add_images(tmp_path / "plain", *names)).parts == {"train": "train", "test": "test"}


def test_a_split_folder_inside_one_of_its_own_name_is_entered(tmp_path: Path) -> None:
    folders = [f"{part}/{part}/{label}" for part in ("seg_train", "seg_test") for label in ("forest", "street")]
    layout = layout_of(add_images(tmp_path, *folders, "seg_pred/seg_pred"))
    assert (layout.classes, layout.ignored) == (("forest", "street"), ("seg_pred",))
    assert [folder.path for folder in layout.folders] == sorted(folders, key=lambda path: ("test" in path, path))


@pytest.mark.parametrize("wrap", ["images", "dataset/dataset", "test_data"])
def test_a_single_wrapping_folder_is_entered(tmp_path: Path, wrap: str) -> None:
    root = add_images(tmp_path, *(f"{wrap}/{part}/{label}" for part in ("train", "val") for label in ("cat", "dog")))
    (tmp_path / "README.md").touch()
    layout = layout_of(root)
    assert (layout.root, layout.classes, len(layout.parts)) == (tmp_path / wrap, ("cat", "dog"), 2)


@pytest.mark.parametrize("test", ["test", "test/unknown", "test/test"])
def test_a_test_folder_without_the_classes_is_named_and_not_used(tmp_path: Path, test: str) -> None:
    fill(tmp_path / "photos", {"train/cat": 8, "train/dog": 8})
    draw(tmp_path / "photos" / test / "1.png", 99)
    summary = summary_of(tmp_path / "photos")
    assert (summary.classes, sum(summary.counts.values())) == (("cat", "dog"), 16)
    assert summary.splits_from.endswith(": test/")


def test_folders_that_are_alike_inside_are_asked_about(tmp_path: Path) -> None:
    assert "[split-folders]" in refusal_line(add_images(tmp_path, "site1/cat", "site1/dog", "site2/cat", "site2/dog"))


@pytest.mark.parametrize("names", [("train_80", "test_20"), ("train_val", "test")])
def test_split_folders_by_unusual_names_are_asked_about(tmp_path: Path, names: tuple[str, ...]) -> None:
    train, test = names
    root = add_images(tmp_path, f"{train}/cat", f"{train}/cow", f"{train}/dog", f"{test}/cat", f"{test}/dog")
    assert f"{test}/ and {train}/ contain no images, only the sub-folders cat/, cow/ and dog/" in refusal_line(root)
    assert (layout_of(root, "nested").classes, len(layout_of(root, "classes").classes)) == (("cat", "cow", "dog"), 2)


def test_names_in_both_forms_of_unicode_are_one_class(tmp_path: Path) -> None:
    root = add_images(tmp_path, "s1/caf\u00e9", "s1/dog", "s2/cafe\u0301", "s2/dog")
    assert "s1/ and s2/ contain no images" in refusal_line(root)
    layout = layout_of(root, "nested")
    assert (len(layout.classes), [folder.label for folder in layout.folders]) == (2, [0, 1, 0, 1])


def test_both_answers_about_folders_that_are_alike_inside_work(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {f"site{site}/{label}": 6 for site in (1, 2) for label in ("cat", "dog")})
    nested, classes = summary_of(photos, "nested"), summary_of(photos, "classes")
    assert (nested.classes, classes.classes) == (("cat", "dog"), ("site1", "site2"))
    assert (sum(nested.counts.values()), sum(classes.counts.values())) == (24, 24)


def test_nested_takes_every_class_wherever_it_is_and_refuses_folders_of_images(tmp_path: Path) -> None:
    root = add_images(tmp_path / "a", "site1/cat", "site1/dog", "site2/cat", "site2/no_label", "notes")
    layout = layout_of(root, "nested")
    assert (layout.classes, layout.ignored) == (("cat", "dog"), ("notes", "site2/no_label"))
    assert [folder.path for folder in layout.folders] == ["site1/cat", "site1/dog", "site2/cat"]
    with pytest.raises(NoClassFolders):
        layout_of(add_images(tmp_path / "b", "cat", "dog"), "nested")


def test_images_of_nested_classes_are_divided_by_class(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {f"site{site}/{label}": 6 for site in (1, 2) for label in ("cat", "dog")})
    choice = DataChoice(path=str(photos), folders="nested")
    write_role_folders(choice, tmp_path / "divided", tmp_path / "store", Heard())
    again = summary_of(tmp_path / "divided")
    assert (again.classes, sum(again.counts.values())) == (("cat", "dog"), 24)
    assert {path.name for path in (tmp_path / "divided/train/cat").iterdir()} == {"site1", "site2"}


def test_flat_split_folders_are_asked_about_and_the_list_next_to_them_is_named(tmp_path: Path) -> None:
    root = add_images(tmp_path, "train_images", "test_images")
    (root / "train.csv").write_text("path,label\n")
    assert "[split-folders]" in refusal_line(root)
    assert layout_of(root, "classes").classes == ("test_images", "train_images")


def test_flat_split_folders_without_a_list_need_a_sub_folder_per_class(tmp_path: Path) -> None:
    assert "[split-folders]" in refusal_line(add_images(tmp_path, "train", "test"))


def test_a_bucket_of_images_without_a_label_is_asked_about_and_both_answers_work(tmp_path: Path) -> None:
    root = add_images(tmp_path, "cat", "dog", "no_label")
    assert "[split-folders]" in refusal_line(root)
    skipped, kept = layout_of(root, "labelled"), layout_of(root, "classes")
    assert (skipped.classes, skipped.ignored, kept.classes) == (("cat", "dog"), ("no_label",), ("cat", "dog", "no_label"))


def test_buckets_inside_split_folders_are_asked_about_too(tmp_path: Path) -> None:
    root = add_images(tmp_path, *(f"{part}/{label}" for part in ("train", "test") for label in ("cat", "dog", "unlabeled")))
    assert "train can be read in two ways: unlabeled/ is next to class folders" in refusal_line(root)
    layout = layout_of(root, "labelled")
    assert (layout.classes, layout.ignored) == (("cat", "dog"), ("train/unlabeled", "test/unlabeled"))
    assert layout_of(root, "classes").classes == ("cat", "dog", "unlabeled")


def test_an_unlabeled_folder_next_to_splits_is_not_a_class_and_needs_no_answer(tmp_path: Path) -> None:
    layout = layout_of(add_images(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog", "unlabeled"))
    assert (layout.classes, layout.ignored) == (("cat", "dog"), ("unlabeled",))


def test_an_answer_is_not_kept_for_another_one(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 6, "dog": 6, "no_label": 6})
    last = [summary_of(photos, reading).classes[-1] for reading in ("labelled", "classes", "labelled")]
    assert last == ["dog", "no_label", "dog"]


def test_every_class_is_named_or_counted(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {f"c{number}": 4 for number in range(12)})
    assert summary_of(photos).class_names == "12 classes (c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2 more)"
