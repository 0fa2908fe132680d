"""Images listed in a CSV file are those of the folder, and a faulty list is refused with its line."""

from __future__ import annotations

import csv
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.data.images import open_source
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.data.split_names import PART_NAMES
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import ONE_CLASS, TABLE_UNUSABLE, TRAIN_FOLDER_MISSING, table_unusable
from edgecnn.values.dataset import SPLIT_ROLES, DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, fill

HINT = table_unusable(Path("x.csv"), None, "").hint


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 12, "dog": 12})


def listed(photos: Path, split: bool = False) -> list[list[str]]:
    rows = [["path", "label", "split"][: 2 + split]]
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        rows.append([f"photos/{path.relative_to(photos)}", path.parent.name, ("train", "VAL", "test")[number % 3]][: 2 + split])
    return rows


def table(photos: Path, rows: list[list[str]], name: str = "list.csv") -> Path:
    path = photos.parent / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def summary_of(path: Path, heard: Heard | None = None) -> DataSummary:
    return summarize(DataChoice(path=str(path)), path.parent / "store", heard or Heard())


def roles_of(summary: DataSummary) -> dict[str, tuple[int, str]]:
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    return {image.sha256: (image.label, image.role) for image in manifest.images}


def test_a_list_of_a_folder_s_images_gives_the_same_classes_and_roles(photos: Path) -> None:
    by_list, by_folder = summary_of(table(photos, listed(photos))), summary_of(photos)
    assert (by_list.classes, by_list.counts, by_list.splits_from) == (by_folder.classes, by_folder.counts, by_folder.splits_from)
    assert roles_of(by_list) == roles_of(by_folder)


def test_listed_images_can_be_read_from_wherever_they_lie(photos: Path, tmp_path: Path) -> None:
    rows = listed(photos)
    (tmp_path / "lists").mkdir()
    moved = [[f"../{path}" if n % 2 else str(tmp_path / path), label] for n, (path, label) in enumerate(rows[1:])]
    source = open_source(Path(summary_of(table(photos, [rows[0], *moved], "lists/all.CSV")).manifest_path))
    assert sum(len([source.read(entry) for entry in source.entries(role)]) for role in SPLIT_ROLES) == 24


def test_a_split_column_gives_roles(photos: Path) -> None:
    summary = summary_of(table(photos, listed(photos, split=True)))
    assert (summary.counts["validation"], summary.counts["test"]) == (8, 8)
    assert summary.splits_from.startswith("test/ (8); validation/ (8); out of train/ by content:")


def test_an_unchanged_list_is_answered_without_reading_and_a_changed_label_is_seen(photos: Path) -> None:
    rows = listed(photos)
    place = table(photos, rows)
    first, heard = summary_of(place), Heard()
    assert summary_of(place, heard) == first
    assert heard.steps == []
    rows[1][1] = "dog"
    assert summary_of(table(photos, rows)).content != first.content


def test_a_row_twice_counts_once_and_a_file_under_two_labels_is_left_out(photos: Path) -> None:
    rows = listed(photos)
    summary = summary_of(table(photos, [*rows, rows[1], [rows[2][0], "dog"]]))
    assert sum(summary.counts.values()) == 23
    assert summary.copies == (
        "photos/cat/001.png: listed as cat and as dog",
        "photos/cat/001.png: listed as dog and as cat",
    )


def test_rows_without_a_usable_file_are_named(photos: Path) -> None:
    summary = summary_of(table(photos, [*listed(photos), ["gone.png", "cat"], ["photos", "dog"]]))
    assert summary.skipped == ("gone.png: no such file or directory", "photos: a folder")


def test_a_list_can_be_inspected(photos: Path) -> None:
    facts = inspect(DataChoice(path=str(table(photos, listed(photos)))), photos.parent / "store", Heard()).facts
    assert (facts.images, [label.name for label in facts.classes], facts.findings) == (24, ["cat", "dog"], ())


FAULTS = {
    "path,label\n": ("", "it has no row"),
    "path,label\na.png,cat\nb.png\n": ("line 3 of ", "1 cells for 2 columns"),
    "path,label\n,cat\n": ("line 2 of ", "no path"),
    "path,label\na.png, \n": ("line 2 of ", "no label"),
    "path,label\na.png,\x1b[31mred\n": ("line 2 of ", r"the label '\x1b[31mred' contains a control character"),
    'path,label\na.png,"two\nlines"\n': ("line 3 of ", r"the label 'two\nlines' contains a control character"),
    "path,label\na\0.png,cat\n": ("line 2 of ", "its path contains a NUL character"),
    "path,label,split\na.png,cat,holdout\n": ("line 2 of ", f"the split 'holdout' is not one of {', '.join(PART_NAMES)}"),
}


def test_a_split_column_knows_the_usual_names_as_folders_do(photos: Path) -> None:
    rows = listed(photos, split=True)
    names = {"train": "seg_train", "VAL": "dev", "test": "Test set"}
    usual = [rows[0], *([path, label, names[split]] for path, label, split in rows[1:])]
    assert summary_of(table(photos, usual, "usual.csv")).content == summary_of(table(photos, rows)).content


@pytest.mark.parametrize("text", FAULTS)
def test_a_faulty_list_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(tmp_path / "list.csv")
    where, because = FAULTS[text]
    assert caught.value.line() == (f"{where}the list {tmp_path}/list.csv cannot be used: {because} — {HINT} [table-unusable]")


def test_a_list_that_is_no_text_or_has_one_label_or_nothing_to_train_on(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"path,label\n\xff\xfe,cat\n")
    with pytest.raises(EdgecnnError, match="it is in another encoding than UTF-8", check=TABLE_UNUSABLE.made):
        summary_of(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("path,label\na.png,cat\n")
    with pytest.raises(EdgecnnError, match="only one class, 'cat'", check=ONE_CLASS.made):
        summary_of(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("path,label,split\na.png,cat,val\nb.png,dog,test\n")
    with pytest.raises(EdgecnnError, check=TRAIN_FOLDER_MISSING.made) as caught:
        summary_of(tmp_path / "list.csv")
    assert caught.value.ref == "train-folder-missing"


def test_a_list_of_one_split_is_what_there_is_where_nothing_is_trained(photos: Path) -> None:
    rows = listed(photos)
    held_out = table(photos, [[*rows[0], "split"], *([*row, "val"] for row in rows[1:])], "val.csv")
    choice = DataChoice(path=str(held_out), train=False, calibration_images=2)
    without = choice.model_copy(update={"path": str(table(photos, rows))})
    from_validation, plain = (summarize(data, photos.parent / "store", Heard()) for data in (choice, without))
    assert (from_validation.content, from_validation.counts, from_validation.splits_from) == (
        plain.content,
        plain.counts,
        plain.splits_from,
    )
    for refused in (summary_of, lambda path: inspect(DataChoice(path=str(path)), photos.parent / "store", Heard())):
        with pytest.raises(EdgecnnError, check=TRAIN_FOLDER_MISSING.made):
            refused(held_out)


def test_blanks_around_a_cell_are_no_part_of_a_label(photos: Path) -> None:
    plain = listed(photos)
    spaced = [plain[0], *([path, f" {label} " if number % 2 else label] for number, (path, label) in enumerate(plain[1:]))]
    assert summary_of(table(photos, spaced)).classes == ("cat", "dog")


def test_a_mark_of_byte_order_and_windows_line_ends_do_no_harm(photos: Path) -> None:
    rows = listed(photos)
    place = photos.parent / "list.csv"
    place.write_bytes(b"\xef\xbb\xbf" + "".join(f"{','.join(row)}\r\n" for row in rows).encode())
    assert sum(summary_of(place).counts.values()) == 24


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: b"path,label\n" + text.encode("utf-8", "replace"))
)
def test_whatever_a_file_holds_ends_in_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    place = tmp_path_factory.mktemp("fuzz") / "list.csv"
    place.write_bytes(content)
    with pytest.raises(EdgecnnError):
        summary_of(place)
    os.unlink(place)  # noqa: PTH108 - one of many


def test_a_row_without_an_end_is_refused_before_it_is_held(tmp_path: Path) -> None:
    """A sparse file of 400 MiB is one line of NUL characters; and a quoted cell may go on over any number of lines."""
    with (tmp_path / "sparse.csv").open("wb") as file:
        file.truncate(400 << 20)
    (tmp_path / "quoted.csv").write_text("path,label\n" + '"\n",' * 600_000, encoding="utf-8")
    for name, line in (("sparse.csv", 1), ("quoted.csv", 2)):
        tracemalloc.start()
        with pytest.raises(
            EdgecnnError, match=f"line {line} of the list .*: a row has more than 1,048,576 characters", check=TABLE_UNUSABLE.made
        ):
            summary_of(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20, name
        tracemalloc.stop()


def test_every_row_has_the_whole_bound(photos: Path) -> None:
    rows = [[*cells, f"{number}{'x' * 100_000}"] for number, cells in enumerate(listed(photos))]
    rows[0][2] = "lot"
    summary = summarize(DataChoice(path=str(table(photos, rows)), group_by="lot"), photos.parent / "store", Heard())
    assert sum(summary.counts.values()) == 24


@pytest.mark.parametrize("key", ["path", "label", "person", "la\\ud800"])
def test_half_of_a_character_in_json_lines_is_refused_with_its_line(tmp_path: Path, key: str) -> None:
    row = {"path": "a.png", "label": "cat", "person": "p"}
    text = json.dumps(row) + "\n" + json.dumps({**row, key: "x"}).replace("\\\\", "\\").replace('"x"', '"\\ud800"')
    (tmp_path / "list.jsonl").write_text(text)
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summarize(DataChoice(path=str(tmp_path / "list.jsonl"), group_by="person"), tmp_path / "store", Heard())
    assert caught.value.what == f"line 2 of the list {tmp_path}/list.jsonl cannot be used"
    assert caught.value.because == "it contains half of a character, a lone surrogate such as \\ud800"


def test_half_of_a_character_in_a_list_of_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text('path,labels\na.png,"[""cat"", ""c\\ud800""]"\n')
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(tmp_path / "list.csv")
    assert caught.value.because == r"the label 'c\ud800' contains half of a character"
