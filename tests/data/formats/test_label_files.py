"""Flat images with a label file next to them, as data sets are exported, are read; class folders stay class folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.data.formats.csv_cells import cells_of
from edgecnn.data.manifest import list_files, summarize
from edgecnn.data.role_folders import write_role_folders
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import TABLE_NOT_DIVIDED, TABLE_UNUSABLE
from edgecnn.errors.labels import LABEL_FILE_UNUSABLE, LABEL_FILES_UNCLEAR
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, fill
from tests.data.label_lists import listed

CLASSES = ("cat", "dog")
LABELS = [CLASSES[number % 2] for number in range(24)]
NAMES = [f"{number:03d}.png" for number in range(24)]


def flat(folder: Path, seed: int = 0) -> Path:
    for number, name in enumerate(NAMES):
        draw(folder / name, seed + number)
    return folder


def summary_of(path: Path, heard: Heard | None = None, **choice: Any) -> DataSummary:
    return summarize(DataChoice(path=str(path), **choice), path.parent / "store", heard or Heard())


def metadata(folder: Path) -> None:
    listed(folder, [["file_name", "label", "text"], *([name, label, "a pet"] for name, label in zip(NAMES, LABELS, strict=True))],
           "metadata.csv")  # fmt: skip


def json_lines(folder: Path) -> None:
    rows = ({"file_name": name, "label": label} for name, label in zip(NAMES, LABELS, strict=True))
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def one_hot(folder: Path) -> None:
    rows = ([name, *(str(int(label == other)) for other in CLASSES)] for name, label in zip(NAMES, LABELS, strict=True))
    listed(folder, [["filename", " cat", " dog"], *rows], "_classes.csv")


def coco(folder: Path) -> None:
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(NAMES)],
        "categories": [{"id": place, "name": name} for place, name in enumerate(CLASSES)],
        "annotations": [{"image_id": number, "category_id": CLASSES.index(label)} for number, label in enumerate(LABELS)],
    }
    (folder / "_annotations.coco.json").write_text(json.dumps(content), encoding="utf-8")


FORMS = {form.__name__: form for form in (metadata, json_lines, one_hot, coco)}


@pytest.mark.parametrize("form", FORMS)
def test_a_label_file_next_to_flat_images_says_their_classes(tmp_path: Path, form: str) -> None:
    photos, heard = flat(tmp_path / "photos"), Heard()
    FORMS[form](photos)
    summary = summary_of(photos, heard)
    assert (summary.classes, summary.multi_label, sum(summary.counts.values())) == (CLASSES, False, 24)
    assert heard.notes[0].startswith(f"{photos}: reads ")


@pytest.mark.parametrize("form", FORMS)
def test_each_split_folder_has_its_own(tmp_path: Path, form: str) -> None:
    for seed, split in enumerate(("train", "valid", "test")):
        FORMS[form](flat(tmp_path / "photos" / split, 100 * seed))
    summary = summary_of(tmp_path / "photos")
    assert (summary.classes, summary.counts["validation"], summary.counts["test"]) == (CLASSES, 24, 24)
    made = write_role_folders(DataChoice(path=str(tmp_path / "photos")), tmp_path / "out", tmp_path / "store", Heard())
    assert (made.images["test"], len(list((tmp_path / "out/test/cat").rglob("*.png")))) == (24, 12)


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_around_them_is_entered(tmp_path: Path, form: str) -> None:
    FORMS[form](flat(tmp_path / "photos" / "pets"))
    assert summary_of(tmp_path / "photos").classes == CLASSES


def test_edge_impulse_names_classes_and_splits(tmp_path: Path) -> None:
    photos, files = tmp_path / "photos", []
    for seed, split in enumerate(("training", "testing")):
        flat(photos / split, 100 * seed)
        for name, label in zip(NAMES, LABELS, strict=True):
            files.append({"path": f"{split}/{name}", "category": split, "label": {"type": "label", "label": label}})
    (photos / "info.labels").write_text(json.dumps({"version": 1, "files": files}), encoding="utf-8")
    summary = summary_of(photos)
    assert (summary.classes, summary.counts["test"]) == (CLASSES, 24)


def test_kaggle_s_list_next_to_its_folders_of_images(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    flat(photos / "train_images")
    draw(photos / "test_images" / "900.png", 900)
    names = [Path(name).stem for name in NAMES]
    listed(photos, [["id_code", "diagnosis"], *map(list, zip(names, LABELS, strict=True))], "train.csv")
    listed(photos, [["id_code", "diagnosis"], ["900", "cat"]], "sample_submission.csv")
    for path in (photos, photos / "train.csv"):
        summary = summary_of(path)
        assert (summary.classes, sum(summary.counts.values())) == (CLASSES, 24)


def test_class_folders_stay_the_classes_and_an_unused_list_is_named(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 12, "dog": 12})
    rows = [[f"{name}/{number:03d}.png", name] for name in CLASSES for number in range(12)]
    listed(photos, [["path", "label"], *rows], "labels.csv")
    assert summary_of(photos).root == str(photos)
    listed(photos, [["number", "name", "count"], ["1", "cat", "12"]], "labels.csv")
    heard = Heard()
    assert summary_of(photos, heard).classes == CLASSES
    assert heard.notes == [f"{photos}/labels.csv is not used: its columns are number, name, count; sub-folders are the classes"]


def test_several_lists_next_to_flat_images_are_asked_about(tmp_path: Path) -> None:
    photos = flat(tmp_path / "photos")
    for name in ("a.csv", "b.csv"):
        listed(photos, [["path", "label"], *map(list, zip(NAMES, LABELS, strict=True))], name)
    with pytest.raises(EdgecnnError, check=LABEL_FILES_UNCLEAR.made) as caught:
        summary_of(photos)
    assert caught.value.line() == (
        f"several files in {photos} could give the classes of its images: a.csv; b.csv"
        f" — choose one of them, such as --data {photos}/a.csv"
        " [label-files-unclear]"
    )


def test_images_of_several_labels_are_not_divided_into_folders(tmp_path: Path) -> None:
    photos = flat(tmp_path / "photos")
    rows = ([name, *(str(int(number % 3 > 0)), str(int(number % 3 < 2)))] for number, name in enumerate(NAMES))
    listed(photos, [["filename", *CLASSES], *rows], "_classes.csv")
    assert summary_of(photos, calibration_images=2).multi_label
    with pytest.raises(EdgecnnError, check=TABLE_NOT_DIVIDED.made):
        write_role_folders(DataChoice(path=str(photos)), tmp_path / "out", tmp_path / "store", Heard())


@pytest.mark.parametrize("path", ["../other/000.png", "/etc/000.png", "a\\..\\..\\000.png", "C:/000.png"])
def test_a_label_file_names_images_below_its_folder_alone(tmp_path: Path, path: str) -> None:
    photos = flat(tmp_path / "photos")
    listed(photos, [["file_name", "label"], [path, "cat"], ["001.png", "dog"]], "metadata.csv")
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(photos)
    assert (caught.value.because, caught.value.hint) == (
        f"its path {path!r} leads outside the folder", f"pass the file itself: --data {photos}/metadata.csv",
    )  # fmt: skip


def one_image(path: str, category: str) -> str:
    images, categories = f'[{{"id": 1, "file_name": "{path}"}}]', f'[{{"id": 1, "name": "{category}"}}]'
    return f'{{"images": {images}, "categories": {categories}, "annotations": [{{"image_id": 1, "category_id": 1}}]}}'


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (
            "_classes.csv",
            [["filename", "cat", "dog", "zebra"], *([name, "1", str(place % 2), "0"] for place, name in enumerate(NAMES))],
        ),
        ("metadata.csv", [["file_name", "labels"], *map(list, zip(NAMES, LABELS, strict=True))]),
        (
            "_classes.csv",
            [["filename", "red cat", "red", "cat"], *([name, str(place % 2), "0", "1"] for place, name in enumerate(NAMES))],
        ),
    ],
)
def test_a_folder_and_its_list_give_the_same(tmp_path: Path, name: str, rows: list[list[str]]) -> None:
    photos = flat(tmp_path / "photos")
    layouts = [
        list_files(DataChoice(path=str(path)), tmp_path / "store", Heard()).layout
        for path in (listed(photos, rows, name), photos)
    ]
    assert layouts[0] == layouts[1]
    assert layouts[0].labels is not None


def test_a_key_that_the_first_row_lacks_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.jsonl"
    file.write_text('{"path": "1.png", "label": "cat"}\n{"path": "2.png"}\n{"path": "3.png", "split": "test"}', encoding="utf-8")
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        list(cells_of(file, ()))
    assert caught.value.line() == (
        f"line 3 of the list {file} cannot be used: its first row has no key 'split'"
        " — give the first row every key [table-unusable]"
    )


FAULTS = {
    "{": "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    "[1]": "it has another format (list indices must be integers or slices, not str)",
    '{"categories": []}': "it has another format ('images')",
    '{"images": [{"id": 1, "file_name": "1.png"}], "categories": [], "annotations": []}': "its image '1.png' has no category",
    "[" * 100_000: "it is nested too deeply",
    one_image("\\ud800.png", "cat"): r"of an image, its path '\ud800.png' contains half of a character",
    one_image("", "cat"): "an image has no path",
    one_image("1.png", " "): "its image '1.png' has a class without a name",
}


@pytest.mark.parametrize("text", FAULTS, ids=range(len(FAULTS)))
def test_a_faulty_coco_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EdgecnnError, check=LABEL_FILE_UNUSABLE.made) as caught:
        summary_of(path)
    assert (caught.value.ref, caught.value.fields["because"]) == ("label-file-unusable", f"{FAULTS[text]}")


def test_an_image_of_two_categories_is_refused(tmp_path: Path) -> None:
    photos = flat(tmp_path / "photos")
    coco(photos)
    file = photos / "_annotations.coco.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["annotations"].append({"image_id": 0, "category_id": 1})
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(EdgecnnError, match="its image '000.png' has the categories 'cat' and 'dog'"):
        summary_of(photos)


def test_a_category_of_half_a_character_is_refused(tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(one_image("1.png", "c\\ud800"), encoding="utf-8")
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(tmp_path / "boxes.json")
    assert caught.value.because == r"the label 'c\ud800' contains half of a character"


def test_a_split_of_classes_and_one_of_a_column_a_label_are_one_data_set(tmp_path: Path) -> None:
    metadata(flat(tmp_path / "photos" / "train"))
    one_hot(flat(tmp_path / "photos" / "valid", 100))
    summary = summary_of(tmp_path / "photos")
    assert (summary.classes, summary.multi_label, sum(summary.counts.values())) == (CLASSES, False, 48)


def test_a_split_of_classes_and_one_of_several_labels_are_refused(tmp_path: Path) -> None:
    metadata(flat(tmp_path / "photos" / "train"))
    rows = [[name, "1", "1"] for name in NAMES]
    listed(flat(tmp_path / "photos" / "valid", 100), [["filename", *CLASSES], *rows], "_classes.csv")
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(tmp_path / "photos")
    assert caught.value.line() == (
        f"the list {tmp_path}/photos cannot be used: some of its images have one class each, and others any number"
        " of labels — give every image one class, or every image labels [table-unusable]"
    )
