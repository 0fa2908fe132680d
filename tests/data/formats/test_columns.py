"""A list's columns are found by their names or by options, and a refusal names the option that settles it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from edgecnn.data.formats.table import columns_of
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import TABLE_UNUSABLE
from edgecnn.errors.labels import LABELS_LOOK_JOINED
from edgecnn.values.dataset import DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, fill
from tests.data.label_lists import listed

LABELS = ("cat", "dog")


def rows(folder: Path, header: list[str], *cells: Any) -> list[list[str]]:
    """A list of 24 images: ``cells`` gives each further cell by number and class."""
    fill(folder / "photos", dict.fromkeys(LABELS, 12))
    shown = [(f"photos/{name}/{number:03d}.png", name) for name in LABELS for number in range(12)]
    return [header, *([str(cell(place, *image)) for cell in cells] for place, image in enumerate(shown))]


def path_cell(_: int, path: str, __: str) -> str:
    return path


def label_cell(_: int, __: str, label: str) -> str:
    return label


def summary_of(path: Path, heard: Heard | None = None, **choice: Any) -> DataSummary:
    return summarize(DataChoice(path=str(path), **choice), path.parent / "store", heard or Heard())


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_the_index_that_pandas_writes_is_ignored(tmp_path: Path, name: str) -> None:
    table = rows(tmp_path, [name, "path", "label"], lambda place, *_: place, path_cell, label_cell)
    assert summary_of(listed(tmp_path, table)).classes == LABELS
    columns = columns_of(tmp_path / "list.csv", table[0], DataChoice())
    assert (columns.path, columns.label, columns.group) == (1, 2, None), "no column is the group where none is asked for"


def test_columns_that_options_name_count_and_others_do_not(tmp_path: Path) -> None:
    table = rows(tmp_path, ["weather", "species", "picture"], lambda *_: "rain", label_cell, path_cell)
    heard, path = Heard(), listed(tmp_path, table)
    assert summary_of(path, heard, path_column="picture", label_column="species").classes == LABELS
    assert heard.notes == [f"{path}: reads the columns picture and species"]


def test_usual_names_of_columns_are_read_and_said(tmp_path: Path) -> None:
    heard, path = Heard(), listed(tmp_path, rows(tmp_path, ["file_name", "category"], path_cell, label_cell))
    assert summary_of(path, heard).classes == LABELS
    assert heard.notes == [f"{path}: reads the columns file_name and category"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_read(tmp_path: Path, separator: str) -> None:
    table = rows(tmp_path, ["path", "label"], path_cell, label_cell)
    (tmp_path / "list.csv").write_text("\n".join(separator.join(row) for row in table), encoding="utf-8")
    assert summary_of(tmp_path / "list.csv").classes == LABELS


def test_json_lines_are_a_list(tmp_path: Path) -> None:
    header, *table = rows(tmp_path, ["file_name", "label"], path_cell, label_cell)
    lines = [json.dumps(dict(zip(header, row, strict=True))) for row in table]
    (tmp_path / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert summary_of(tmp_path / "list.jsonl").classes == LABELS
    (tmp_path / "list.jsonl").write_text("\n".join([*lines, "[1]"]), encoding="utf-8")
    with pytest.raises(
        EdgecnnError,
        match="line 25 of the list .*list.jsonl cannot be used: it is not a JSON object",
        check=TABLE_UNUSABLE.made,
    ):
        summary_of(tmp_path / "list.jsonl")


def test_columns_of_which_every_row_has_one_are_classes(tmp_path: Path) -> None:
    table = rows(tmp_path, ["path", *LABELS], path_cell, *(lambda _, __, label, name=name: int(label == name) for name in LABELS))
    summary = summary_of(listed(tmp_path, table))
    assert (summary.classes, summary.multi_label) == (LABELS, False)
    table[1][1:] = ["1", "1"]
    assert summary_of(listed(tmp_path, table)).multi_label


def test_labels_with_blanks_that_look_like_several_are_asked_about(tmp_path: Path) -> None:
    table = rows(tmp_path, ["path", "label"], path_cell, lambda place, _, label: "cat dog" if place % 3 == 0 else label)
    path = listed(tmp_path, table)
    with pytest.raises(EdgecnnError, check=LABELS_LOOK_JOINED.made) as caught:
        summary_of(path)
    assert caught.value.ref == "labels-look-joined"
    assert summary_of(path, label_separator="none").classes == ("cat", "cat dog", "dog")
    several = summary_of(path, label_separator="blank")
    assert (several.classes, several.multi_label) == (LABELS, True)


def test_names_of_two_words_are_no_joined_labels(tmp_path: Path) -> None:
    table = rows(tmp_path, ["path", "label"], path_cell, lambda _, __, label: f"{label} retriever")
    assert summary_of(listed(tmp_path, table)).classes == ("cat retriever", "dog retriever")


def test_commas_separate_labels_where_an_option_says_so(tmp_path: Path) -> None:
    table = rows(tmp_path, ["path", "labels"], path_cell, lambda place, _, label: "cat, dog" if place % 3 == 0 else label)
    assert summary_of(listed(tmp_path, table), label_separator="comma").classes == LABELS


def test_a_row_labelled_twice_shows_both_classes(tmp_path: Path) -> None:
    table = rows(tmp_path, ["path", "label"], path_cell, label_cell)
    path = listed(tmp_path, [*table, [table[1][0], "dog"]])
    assert summary_of(path).copies == (
        "photos/cat/000.png: listed as cat and as dog",
        "photos/cat/000.png: listed as dog and as cat",
    )
    facts = inspect(DataChoice(path=str(path)), tmp_path / "store", Heard()).facts
    (sentence,) = (finding.sentence for finding in facts.findings if finding.kind == "contradiction")
    assert sentence.endswith("a build skips every copy (photos/cat/000.png as cat and dog)")


def test_one_class_in_two_forms_of_unicode_is_one_class(tmp_path: Path) -> None:
    forms = ("caf\u00e9", "cafe\u0301")
    table = rows(tmp_path, ["path", "label"], path_cell, lambda place, _, label: forms[place % 2] if label == "cat" else label)
    path = listed(tmp_path, table)
    assert summary_of(path).classes == (forms[0], "dog")
    (tmp_path / "names.txt").write_text(f"dog\n{forms[1]}\n", encoding="utf-8")
    named = summary_of(path, classes=str(tmp_path / "names.txt"))
    assert named.classes == ("dog", forms[0])
    images = DataManifest.model_validate_json(Path(named.manifest_path).read_bytes()).images
    assert {image.path.split("/")[1]: image.label for image in images} == {"cat": 1, "dog": 0}


SEPARATE = "separate columns by commas, semicolons or tabs, and begin with a header such as path,label"
FAULTS = {
    "": ("line 1 of ", "its columns are none", SEPARATE),
    "path\na.png\n": ("line 1 of ", "its columns are path", SEPARATE),
    "picture,species,note\na,b,c\n": (
        "line 1 of ", "its columns are picture, species, note", "pass --path-column COLUMN with the paths of the images",
    ),
    "path,label,note\na.png,cat,\n": (
        "line 1 of ", "its columns are path, label, note",
        "pass --label-column COLUMN; columns that are not named are then ignored",
    ),
    "path,labels,note\na.png,cat,\n": (
        "line 1 of ", "its columns are path, labels, note", "pass --label-column COLUMN with the class of each image",
    ),
    "path,bag,cat,bag\na.png,1,1,1\n": (
        "line 1 of ", "its columns are path, bag, cat, bag: two have the name 'bag'", "give each column a different name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", FAULTS)
def test_columns_that_say_nothing_are_refused_with_the_option_that_settles_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(tmp_path / "list.csv")
    where, because, fix = FAULTS[text]
    assert caught.value.line() == (f"{where}the list {tmp_path}/list.csv cannot be used: {because} — {fix} [table-unusable]")


@pytest.mark.parametrize("name", ["path", "label"])
def test_an_option_that_names_no_column_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "list.csv").write_text("path,label\na.png,cat\n", encoding="utf-8")
    choice: dict[str, Any] = {f"{name}_column": "kind"}
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(tmp_path / "list.csv", **choice)
    assert caught.value.because == "it has no column 'kind': its columns are path, label"
    assert caught.value.hint == f"pass one of these names with --{name}-column"


def test_a_wide_header_is_understood_in_one_pass(tmp_path: Path) -> None:
    """Each of 60,000 names was counted in all of them, which took a minute."""
    began = time.process_time()
    columns = columns_of(tmp_path / "list.csv", ["path", *map(str, range(60_000))], DataChoice(path="list.csv"))
    assert time.process_time() - began < 5
    assert columns.labels is not None and columns.labels.names is not None and len(columns.labels.names) == 60_000
