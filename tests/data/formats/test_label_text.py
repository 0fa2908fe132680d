"""A label and a missing value are the same in every format of a list."""

from __future__ import annotations

import csv
import json
import math
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgecnn.data.manifest import summarize
from edgecnn.data.split_names import is_missing_label
from edgecnn.errors.base import EdgecnnError
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, fill

pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "edgecnn[parquet]"')
parquet = pytest.importorskip("pyarrow.parquet")

Values = Sequence[Any]
NAN = math.nan


def written_csv(folder: Path, column: str, labels: Values, paths: Sequence[str]) -> Path:
    file = folder / "list.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", column), *zip(paths, labels, strict=True)])
    return file


def written_json_lines(folder: Path, column: str, labels: Values, paths: Sequence[str]) -> Path:
    file = folder / "list.jsonl"
    rows = [json.dumps({"path": path, column: label}) for path, label in zip(paths, labels, strict=True)]
    file.write_text("\n".join(rows), encoding="utf-8")
    return file


def written_parquet(folder: Path, column: str, labels: Values, paths: Sequence[str]) -> Path:
    file = folder / "list.parquet"
    parquet.write_table(pyarrow.table({"path": list(paths), column: list(labels)}), file)
    return file


Writer = Callable[[Path, str, Values, Sequence[str]], Path]
FORMATS: dict[str, Writer] = {"csv": written_csv, "jsonl": written_json_lines, "parquet": written_parquet}
every_format = pytest.mark.parametrize("form", FORMATS)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    fill(tmp_path / "photos", {"cat": 12, "dog": 12, "other": 12})
    return sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "photos").rglob("*.png"))[:24]


def summary_of(file: Path, **choice: Any) -> DataSummary:
    return summarize(DataChoice(path=str(file), **choice), file.parent / "store", Heard())


def refusal_of(file: Path, **choice: Any) -> EdgecnnError:
    with pytest.raises(EdgecnnError) as refusal:
        summary_of(file, **choice)
    return refusal.value


@every_format
@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ((True, False), ("false", "true")),
        ((0, 1), ("0", "1")),
        ((0.0, 1.0), ("0", "1")),
        ((1.5, -2.0), ("-2", "1.5")),
        (("True", "FALSE"), ("false", "true")),
        (("007", "7.0"), ("007", "7")),
        (("v1.0", " red "), ("red", "v1.0")),
    ],
)
def test_the_same_values_give_the_same_classes(
    tmp_path: Path, paths: list[str], form: str, values: Values, classes: Sequence[str]
) -> None:
    file = FORMATS[form](tmp_path, "label", [values[0]] * 12 + [values[1]] * 12, paths)
    assert set(summary_of(file).classes) == set(classes)


@every_format
@pytest.mark.parametrize("column", ["label", "labels"])
def test_a_missing_value_is_missing(tmp_path: Path, paths: list[str], form: str, column: str) -> None:
    missing: Values = {"csv": ("",), "jsonl": (None, NAN), "parquet": (None,)}[form]
    for value in missing:
        labels = ["cat"] * 10 + ["dog"] * 10 + ["cat", "dog", "cat", value]
        if column == "labels":
            assert summary_of(FORMATS[form](tmp_path, column, labels, paths)).classes == ("cat", "dog")
        else:
            refusal = refusal_of(FORMATS[form](tmp_path, column, labels, paths))
            assert (refusal.ref, refusal.because) == ("table-unusable", "no label")


def test_a_column_of_numbers_with_a_missing_one_is_refused(tmp_path: Path, paths: list[str]) -> None:
    assert refusal_of(written_parquet(tmp_path, "label", [0.0] * 12 + [1.0] * 11 + [NAN], paths)).because == "no label"


@every_format
@pytest.mark.parametrize("column", ["label", "labels"])
@pytest.mark.parametrize("word", ["N/A", "unlabeled"])
def test_a_word_for_a_missing_label_is_asked_about(tmp_path: Path, paths: list[str], form: str, column: str, word: str) -> None:
    every = [*paths, *(f"photos/other/{number:03d}.png" for number in range(12))]
    file = FORMATS[form](tmp_path, column, ["cat"] * 12 + ["dog"] * 12 + [word] * 12, every)
    refusal = refusal_of(file)
    assert (refusal.ref, refusal.fields["names"], refusal.fields["images"]) == ("labels-look-missing", (word,), 12)
    assert word in summary_of(file, folders="classes").classes
    kept = summary_of(file, folders="labelled")
    assert (kept.classes, sum(kept.counts.values())) == (("cat", "dog"), 24)
    assert "12 images, without a label" in kept.splits_from


def test_words_for_a_missing_label() -> None:
    missing = ["nan", "NaN", "N/A", "None", "null", "-", "?", "<NA>", "unlabeled", "no label", "inf", "Not labelled"]
    names = ["-1", "nano", "unknown", "other", "n", "nana", "background", "0"]
    assert list(filter(is_missing_label, [*missing, *names])) == missing


def test_minus_one_and_ordinary_words_are_classes(tmp_path: Path, paths: list[str]) -> None:
    for words in (("-1", "1"), ("unknown", "other"), ("na-na", "nano")):
        file = written_csv(tmp_path, "label", [words[0]] * 12 + [words[1]] * 12, paths)
        assert set(summary_of(file).classes) == set(words)


@every_format
@pytest.mark.parametrize("value", [["red"], ["red", "blue"], [], {"name": "red"}])
def test_a_list_or_an_object_is_not_a_class(tmp_path: Path, paths: list[str], form: str, value: Any) -> None:
    if form == "csv":
        written = (json.dumps(value), repr(value))
        refusals = [refusal_of(written_csv(tmp_path, "label", ["cat"] * 12 + [text] * 12, paths)) for text in written]
    elif form == "jsonl":
        refusals = [refusal_of(FORMATS[form](tmp_path, "label", ["cat"] * 12 + [value] * 12, paths))]
    else:
        refusals = [refusal_of(FORMATS[form](tmp_path, "label", [value] * 24, paths))]
    assert {refusal.ref for refusal in refusals} == {"table-unusable"}


def test_brackets_that_are_no_list_are_a_name(tmp_path: Path, paths: list[str]) -> None:
    file = written_csv(tmp_path, "label", ["[OK]"] * 12 + ["{x"] * 12, paths)
    assert summary_of(file).classes == ("[OK]", "{x")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_numbers_in_a_list_of_labels_are_names(tmp_path: Path, paths: list[str], form: str) -> None:
    file = FORMATS[form](tmp_path, "labels", [[1], [2, 1], [2]] * 8, paths)
    assert summary_of(file).classes == ("1", "2")


def test_other_label_files_follow_the_same_rule(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    names = [draw(photos / f"{number:03d}.png", number).name for number in range(24)]
    labels: list[Any] = [None, math.nan, *["nan"] * 2, *[1.0] * 10, *["2"] * 10]
    for first, ref in ((0, "label-file-unusable"), (1, "label-file-unusable"), (2, "labels-look-missing")):
        shown = list(zip(names, labels, strict=True))[first:]
        by_file = {
            "_annotations.coco.json": {
                "images": [{"id": number, "file_name": f" {name} "} for number, (name, _) in enumerate(shown)],
                "categories": [{"id": number, "name": label} for number, (_, label) in enumerate(shown)],
                "annotations": [{"image_id": number, "category_id": number} for number in range(len(shown))],
            },
            "info.labels": {
                "files": [
                    {"path": name, "category": "training", "label": {"type": "label", "label": label}} for name, label in shown
                ]
            },
        }
        for file, content in by_file.items():
            (photos / file).write_text(json.dumps(content), encoding="utf-8")
            assert refusal_of(photos).ref == ref
            if first == 2:
                kept = summary_of(photos, folders="labelled")
                assert (kept.classes, sum(kept.counts.values())) == (("1", "2"), 20)
            (photos / file).unlink()


@pytest.mark.parametrize("label", [True, 1.0, "None"])
def test_samples_of_a_tar_follow_the_same_rule(tmp_path: Path, label: Any) -> None:
    for number in range(24):
        draw(tmp_path / "samples" / f"{number:03d}.png", number)
        text = json.dumps({"label": label if number % 2 else "cat"})
        (tmp_path / "samples" / f"{number:03d}.json").write_text(text, encoding="utf-8")
    with tarfile.open(tmp_path / "samples.tar", "w") as archive:
        for path in sorted((tmp_path / "samples").iterdir()):
            archive.add(path, path.name)
    if label == "None":
        assert refusal_of(tmp_path / "samples.tar").ref == "labels-look-missing"
        assert summary_of(tmp_path / "samples.tar", folders="classes").classes == ("cat", "None")
    else:
        assert set(summary_of(tmp_path / "samples.tar").classes) == {"cat", "true" if label is True else "1"}


@every_format
def test_blanks_around_a_path_and_both_slashes_in_one_list(tmp_path: Path, paths: list[str], form: str) -> None:
    spelt = [
        f" {path} " if number % 3 == 0 else path.replace("/", "\\") if number % 3 == 1 else path
        for number, path in enumerate(paths)
    ]
    file = FORMATS[form](tmp_path, "label", ["cat"] * 12 + ["dog"] * 12, spelt)
    assert sum(summary_of(file).counts.values()) == 24


@every_format
def test_a_url_in_a_list_is_refused_by_name(tmp_path: Path, paths: list[str], form: str) -> None:
    urls = [f"https://example.org/{path}" for path in paths]
    refusal = refusal_of(FORMATS[form](tmp_path, "label", ["cat"] * 12 + ["dog"] * 12, urls))
    assert (refusal.ref, "is a URL" in (refusal.because or "")) == ("table-unusable", True)
