"""A list gives an image any number of labels, by a column of names or one a label, and a faulty one is refused with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.data.formats.table import _labels_in_cell
from edgecnn.data.images import open_source
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import FOLDERS_OF_ONE_CLASS, TABLE_UNUSABLE, table_unusable
from edgecnn.errors.labels import UNKNOWN_LABEL, GroupOnTwoSides, LabelTooRare, MultiLabelNotFitting
from edgecnn.values.dataset import SPLIT_ROLES, UNLABELLED, DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw
from tests.data.label_lists import NAMES, drawn, listed, rows_by_column, rows_by_name

HINT = table_unusable(Path("x.csv"), None, "").hint


def summary_of(path: Path, **choice: object) -> DataSummary:
    return summarize(DataChoice.model_validate({"path": str(path), **choice}), path.parent / "store", Heard())


def manifest_of(summary: DataSummary) -> DataManifest:
    return DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())


def test_every_way_to_write_the_same_labels_gives_the_same_data(tmp_path: Path) -> None:
    shown = drawn(tmp_path)
    first = summary_of(listed(tmp_path, rows_by_name(shown)))
    assert first.multi_label and first.classes == NAMES
    header, *rows = rows_by_column(shown)
    truth = [header, *([row[0], *("true" if cell == "1" else "False" for cell in row[1:])] for row in rows)]
    json_lists = [["path", "labels"], *([path, str(list(names)).replace("'", '"')] for path, names in shown)]
    for way in (rows_by_name(shown, ";"), rows_by_column(shown), truth, json_lists):
        assert summary_of(listed(tmp_path, way)).content == first.content


def test_a_parquet_list_column_is_the_same_data(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "edgecnn[parquet]"')
    parquet = pytest.importorskip("pyarrow.parquet")
    shown = drawn(tmp_path)
    paths, labels = [path for path, _ in shown], [list(names) for _, names in shown]
    by_csv = summary_of(listed(tmp_path, rows_by_name(shown))).content
    truth = {name: [name in names for names in labels] for name in NAMES}
    for columns in ({"path": paths, "labels": labels}, {"Path": paths, "Labels ": labels}, {"path": paths, **truth}):
        parquet.write_table(pyarrow.table(columns), tmp_path / "list.parquet")
        assert summary_of(tmp_path / "list.parquet").content == by_csv


def test_each_label_is_near_its_share_in_every_role_and_images_without_labels_stay(tmp_path: Path) -> None:
    manifest = manifest_of(summary_of(listed(tmp_path, rows_by_name(drawn(tmp_path, 400)))))
    assert len(manifest.images) == 400 and {image.label for image in manifest.images} == {UNLABELLED}
    everywhere = np.mean([[label in (image.labels or ()) for label in range(3)] for image in manifest.images], axis=0)
    for role in SPLIT_ROLES:
        inside = [image for image in manifest.images if image.role == role]
        shares = np.mean([[label in (image.labels or ()) for label in range(3)] for image in inside], axis=0)
        assert np.abs(shares - everywhere).max() < 0.08, role
        assert any(not image.labels for image in inside), "images without a label are in every role, too"


def test_labels_are_prepared_as_zeros_and_ones(tmp_path: Path) -> None:
    shown = drawn(tmp_path)
    source = open_source(Path(summary_of(listed(tmp_path, rows_by_name(shown))).manifest_path))
    entries = source.entries("train")
    labels = source.labels(entries)
    assert (labels.dtype, labels.shape) == (np.uint8, (len(entries), 3))
    labels_of = dict(shown)
    assert [source.label_text(entry) for entry in entries] == [
        ", ".join(labels_of[entry.path]) or "no label" for entry in entries
    ]
    assert labels[0].tolist() == [int(name in labels_of[entries[0].path]) for name in NAMES]


def test_a_changed_label_is_seen_and_an_unchanged_list_is_not_read_again(tmp_path: Path) -> None:
    shown = drawn(tmp_path)
    path = listed(tmp_path, rows_by_name(shown))
    first, heard = summary_of(path), Heard()
    assert summarize(DataChoice(path=str(path)), tmp_path / "store", heard) == first
    assert heard.steps == []
    shown[0] = (shown[0][0], NAMES)
    shown[1] = (shown[1][0], ())
    assert summary_of(listed(tmp_path, rows_by_name(shown))).content != first.content


def test_the_same_picture_with_other_labels_is_left_out(tmp_path: Path) -> None:
    shown = drawn(tmp_path)
    draw(tmp_path / "photos/all/copy.png", 0)
    one = dict(shown)["photos/all/000.png"]
    other = NAMES if one != NAMES else ("bag",)
    copies = summary_of(listed(tmp_path, rows_by_name([*shown, ("photos/all/copy.png", other)]))).copies
    assert copies == (
        f"photos/all/000.png: the same bytes as photos/all/copy.png, which has other labels ({', '.join(other)})",
        f"photos/all/copy.png: the same bytes as photos/all/000.png, which has other labels ({', '.join(one) or 'none'})",
    )


def test_groups_stay_whole(tmp_path: Path) -> None:
    shown = drawn(tmp_path, 240)
    rows = rows_by_name(shown)
    rows[0].append("person")
    for number, row in enumerate(rows[1:]):
        row.append(f"p{number // 4}")
    summary = summary_of(listed(tmp_path, rows), group_by="person")
    sides: dict[str, set[str]] = {}
    for image in manifest_of(summary).images:
        side = "train" if image.role == "calibration" else image.role
        sides.setdefault(f"p{int(Path(image.path).stem) // 4}", set()).add(side)
    assert all(len(side) == 1 for side in sides.values())
    assert summary.grouping is not None and summary.grouping.groups == 60
    rows[0].append("split")
    for number, row in enumerate(rows[1:]):
        row.append(("train", "test")[number % 2])
    with pytest.raises(GroupOnTwoSides):
        summary_of(listed(tmp_path, rows), group_by="person")


def test_a_split_column_gives_roles(tmp_path: Path) -> None:
    counts = summary_of(listed(tmp_path, add_split_column(rows_by_column(drawn(tmp_path))))).counts
    assert (counts["validation"], counts["test"]) == (40, 40)


def test_a_label_on_too_few_images_is_named(tmp_path: Path) -> None:
    shown = drawn(tmp_path)
    rows = rows_by_column([(path, tuple(set(names) - {"dog"})) for path, names in shown])
    rows[1][-1] = "1"
    with pytest.raises(LabelTooRare) as caught:
        summary_of(listed(tmp_path, rows))
    assert caught.value.ref == "label-too-rare"


def add_split_column(rows: list[list[str]]) -> list[list[str]]:
    return [[*rows[0], "split"], *([*row, ("train", "val", "test")[number % 3]] for number, row in enumerate(rows[1:]))]


def without(rows: list[list[str]], label: str, split: str) -> list[list[str]]:
    """No image of the split has the label."""
    place = rows[0].index(label)
    return [[*row[:place], "0", *row[place + 1 :]] if row[-1] == split else row for row in rows]


def test_a_label_that_no_validation_image_of_the_list_s_own_has_is_named(tmp_path: Path) -> None:
    path = listed(tmp_path, without(add_split_column(rows_by_column(drawn(tmp_path))), "dog", "val"))
    with pytest.raises(LabelTooRare) as caught:
        summary_of(path)
    assert caught.value.ref == "label-too-rare"
    assert summary_of(path, train=False).counts["validation"] == 40, "a finished network is judged by the other labels"


def test_a_test_split_may_lack_a_label_which_the_report_says_but_not_every_label(tmp_path: Path) -> None:
    rows = add_split_column(rows_by_column(drawn(tmp_path)))
    some = without(rows, "dog", "test")
    assert summary_of(listed(tmp_path, some)).counts["test"] == 40
    with pytest.raises(LabelTooRare, match="has 0 usable images, but needs 1 for test: 'cat', 'dog' also have too few"):
        summary_of(listed(tmp_path, without(without(some, "cat", "test"), "bag", "test")), train=False)


def test_a_label_that_the_file_of_classes_does_not_know_is_refused(tmp_path: Path) -> None:
    path = listed(tmp_path, rows_by_name(drawn(tmp_path)))
    (tmp_path / "names.txt").write_text("dog\nbag\nowl\ncats\n")
    with pytest.raises(EdgecnnError, check=UNKNOWN_LABEL.made) as caught:
        summary_of(path, classes=str(tmp_path / "names.txt"))
    assert caught.value.ref == "unknown-label"
    (tmp_path / "names.txt").write_text("dog\nbag\ncat\n")
    summary = summary_of(path, classes=str(tmp_path / "names.txt"))
    by_default = {image.path: image for image in manifest_of(summary_of(path)).images}
    assert summary.classes == ("dog", "bag", "cat")
    for image in manifest_of(summary).images:
        assert image.labels == tuple(sorted((1, 2, 0)[label] for label in by_default[image.path].labels or ()))
    with pytest.raises(MultiLabelNotFitting):
        summary_of(path, classes="imagenet")


def test_two_labels_of_one_class_are_refused(tmp_path: Path) -> None:
    _, *rows = rows_by_column(drawn(tmp_path))
    path = listed(tmp_path, [["path", "t_shirt", "t-shirt", "dog"], *rows])
    (tmp_path / "names.txt").write_text("dog\nt shirt\n")
    with pytest.raises(
        EdgecnnError,
        match=f"'t-shirt' and 't_shirt' in {path} both match class 't shirt' of .*names.txt — ",
        check=FOLDERS_OF_ONE_CLASS.made,
    ):
        summary_of(path, classes=str(tmp_path / "names.txt"))


def test_names_that_were_meant_as_several_labels_are_told(tmp_path: Path) -> None:
    rows = rows_by_name(drawn(tmp_path))
    rows[0] = ["path", "label"]
    facts = inspect(DataChoice(path=str(listed(tmp_path, [row for row in rows if row[1]]))), tmp_path / "store", Heard()).facts
    sentences = [finding.sentence for finding in facts.findings if finding.kind == "names"]
    assert any(
        "looks like several labels; to give an image several labels, use a list with a column labels" in sentence
        for sentence in sentences
    )


@pytest.mark.parametrize("fewest", [0, 2], ids=["beside single labels", "in most labels"])
def test_labels_with_commas_between_are_told_with_what_is_read(tmp_path: Path, fewest: int) -> None:
    shown = [(path, names) for path, names in drawn(tmp_path) if len(names) >= fewest]
    path = listed(tmp_path, rows_by_name(shown, between=","))
    facts = inspect(DataChoice(path=str(path)), tmp_path / "store", Heard()).facts
    findings = [finding for finding in facts.findings if finding.kind == "names"]
    assert [finding.serious for finding in findings] == [True]
    assert findings[0].sentence == ("'bag,cat' counts as one label: a comma is part of a name, so separate labels with | or ;")


def test_a_comma_in_a_few_names_is_no_finding(tmp_path: Path) -> None:
    shown = [(path, tuple("cat, tabby" if name == "cat" else name for name in names)) for path, names in drawn(tmp_path)]
    facts = inspect(DataChoice(path=str(listed(tmp_path, rows_by_name(shown)))), tmp_path / "store", Heard()).facts
    assert [finding for finding in facts.findings if finding.kind == "names"] == []


def test_a_list_can_be_inspected(tmp_path: Path) -> None:
    shown = drawn(tmp_path)
    facts = inspect(DataChoice(path=str(listed(tmp_path, rows_by_name(shown)))), tmp_path / "store", Heard()).facts
    assert facts.images == 120
    assert {label.name: label.images for label in facts.classes} == {
        name: sum(name in names for _, names in shown) for name in NAMES
    }


ZERO_OR_ONE = "but a label column has 0 or 1; --label-column COLUMN names the class column"
FAULTS = {
    "path,bag,cat\na.png,1,2\n": ("line 2 of ", f"column 'cat' contains '2', {ZERO_OR_ONE}"),
    "path,bag,cat\na.png,1,\n": ("line 2 of ", f"column 'cat' contains '', {ZERO_OR_ONE}"),
    "path,labels\na.png,[cat\n": ("line 2 of ", "the labels '[cat' begin like a JSON list but are not one"),
    "path,labels\na.png,[[1]]\n": ("line 2 of ", "the labels '[[1]]' are not a list of names"),
    "path,labels\na.png,\nb.png,\n": ("", "no row has a label"),
    "path,labels\na.png,cat|\x1bdog\n": ("line 2 of ", r"the label '\x1bdog' contains a control character"),
    "path,labels\na.png,cat\na.png,cat|dog\n": ("", "'a.png' is listed twice, as cat and as cat, dog"),
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_faulty_list_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    place, because = FAULTS[text]
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(tmp_path / "list.csv")
    assert caught.value.line() == (f"{place}the list {tmp_path}/list.csv cannot be used: {because} — {HINT} [table-unusable]")


def test_labels_that_open_a_list_a_hundred_thousand_times_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="begin like a JSON list but are not one"):
        _labels_in_cell("[" * 100_000)
