"""Images listed in a Parquet file are those of the CSV list, and a faulty file is refused with its row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecnn.data.formats import csv_cells
from edgecnn.data.formats.archive import FILES_MAX
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import ONE_CLASS, TABLE_UNUSABLE, table_unusable
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, fill
from tests.data.formats.test_table import listed, table

pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "edgecnn[parquet]"')
parquet = pytest.importorskip("pyarrow.parquet")

HINT = table_unusable(Path("x.parquet"), None, "").hint


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 12, "dog": 12})


def written(folder: Path, columns: dict[str, Any], name: str = "list.parquet") -> Path:
    parquet.write_table(pyarrow.table(columns), folder / name)
    return folder / name


def columns_of(rows: list[list[str]]) -> dict[str, list[str]]:
    return {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}


def summary_of(path: Path, heard: Heard | None = None) -> DataSummary:
    return summarize(DataChoice(path=str(path)), path.parent / "store", heard or Heard())


@pytest.mark.parametrize("split", [False, True])
def test_it_is_the_csv_list_of_the_same_rows(photos: Path, split: bool) -> None:
    rows = listed(photos, split)
    by_csv, by_parquet = summary_of(table(photos, rows)), summary_of(written(photos.parent, columns_of(rows)))
    assert (by_parquet.content, by_parquet.counts, by_parquet.splits_from) == (by_csv.content, by_csv.counts, by_csv.splits_from)
    heard = Heard()
    assert summary_of(photos.parent / "list.parquet", heard) == by_parquet
    assert {step[0] for step in heard.steps} <= {"listing files"}, "an unchanged list is answered without reading images"


def test_order_of_columns_and_how_text_is_stored_do_not_matter(photos: Path) -> None:
    rows = listed(photos)
    columns = columns_of(rows)
    labels, paths = (pyarrow.array(columns[name]) for name in ("label", "path"))
    coded = {"label": labels.dictionary_encode(), "path": paths.cast(pyarrow.large_string())}
    assert summary_of(written(photos.parent, coded)).content == summary_of(table(photos, rows)).content
    numbered = {"path": columns["path"], "label": [int(label == "dog") for label in columns["label"]]}
    assert summary_of(written(photos.parent, numbered, "numbers.PARQUET")).classes == ("0", "1")


def test_its_columns_may_be_written_as_those_of_a_csv_list(photos: Path) -> None:
    columns = columns_of(listed(photos))
    called = written(photos.parent, {"Path": columns["path"], " LABEL": columns["label"]})
    assert summary_of(called).content == summary_of(table(photos, listed(photos))).content


def test_a_column_of_groups_is_that_of_the_csv_list_in_any_place_and_type(photos: Path) -> None:
    rows = listed(photos)
    scenes = [number // 3 for number in range(len(rows) - 1)]
    by_csv = table(photos, [[*rows[0], "Scene"], *([*row, str(scene)] for row, scene in zip(rows[1:], scenes, strict=True))])
    by_parquet = written(photos.parent, {"Scene": [None, *scenes[1:]], **columns_of(rows)})
    cache, choice = photos.parent / "store", DataChoice(path=str(by_csv), group_by="scene")
    ours, theirs = (summarize(choice.model_copy(update={"path": str(p)}), cache, Heard()) for p in (by_csv, by_parquet))
    assert ours.grouping is not None and theirs.grouping is not None
    assert (ours.grouping.groups, ours.grouping.alone, theirs.grouping.groups, theirs.grouping.alone) == (8, 0, 8, 1)
    with pytest.raises(
        EdgecnnError, match="its columns are Scene, path, label, and none is data.group_by 'scene2' — ", check=TABLE_UNUSABLE.made
    ):
        summarize(DataChoice(path=str(by_parquet), group_by="scene2"), cache, Heard())


def line_of(path: Path) -> str:
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(path)
    return caught.value.line()


def test_a_faulty_file_is_refused_with_its_row(tmp_path: Path) -> None:
    start, end = f"the list {tmp_path}/list.parquet", f" — {HINT} [table-unusable]"
    faulty = "cannot be used:"
    nothing = pyarrow.array([], "string")
    faults: tuple[tuple[dict[str, Any], str], ...] = (
        (
            {"path": nothing, "label": nothing},
            f"{start} {faulty} it has no row",
        ),
        ({"path": ["a.png", None], "label": ["cat", "dog"]}, f"row 2 of {start} {faulty} no path"),
        ({"path": ["a.png"], "label": [None]}, f"row 1 of {start} {faulty} no label"),
    )
    for columns, fault in faults:
        assert line_of(written(tmp_path, columns)) == f"{fault}{end}"
    with pytest.raises(EdgecnnError, check=ONE_CLASS.made):
        summary_of(written(tmp_path, {"path": ["a.png"], "label": ["cat"]}))
    fix = "pass --path-column COLUMN with the paths of the images"
    unclear = f"{start} {faulty} its columns are picture, species, note — {fix} [table-unusable]"
    assert line_of(written(tmp_path, {"picture": ["a.png"], "species": ["cat"], "note": [""]})) == unclear


def test_a_column_of_images_is_refused_and_columns_that_are_not_named_are_not_read(photos: Path) -> None:
    paths = [str(path.relative_to(photos.parent)) for path in sorted(photos.rglob("*.png"))]
    held = [{"bytes": b"x" * 100_000, "path": path} for path in paths]
    columns = {"image": held, "label": [Path(path).parent.name for path in paths], "place": paths}
    place = written(photos.parent, columns)
    assert line_of(place).endswith(
        "its columns are image, label, place — pass --label-column COLUMN; columns that are not named"
        " are then ignored [table-unusable]"
    )
    choice = DataChoice(path=str(place), label_column="label")
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summarize(choice, photos.parent / "store", Heard())
    assert caught.value.because == "its column 'image' contains images, not their paths"
    summary = summarize(choice.model_copy(update={"path_column": "place"}), photos.parent / "store", Heard())
    assert sum(summary.counts.values()) == len(paths)


def test_a_column_of_no_text_and_damaged_bytes_are_refused_in_words(photos: Path) -> None:
    folder = photos.parent
    nested = written(folder, {"path": [["a.png"]], "label": ["cat"]})
    assert "is a list" in line_of(nested)
    whole = written(folder, columns_of(listed(photos))).read_bytes()
    damaged = {"text": b"path,label\n", "empty": b"", "cut": whole[: len(whole) // 2]}
    for name, data in damaged.items():
        (folder / f"{name}.parquet").write_bytes(data)
        assert line_of(folder / f"{name}.parquet").endswith(f" — {HINT} [table-unusable]"), name


def test_without_pyarrow_it_is_said_what_brings_it(photos: Path) -> None:
    place = written(photos.parent, columns_of(listed(photos)))
    program = "import sys; sys.modules['pyarrow'] = None; import importlib.metadata as m; real = m.version\n"
    program += "def version(name):\n    if name == 'pyarrow': raise m.PackageNotFoundError(name)\n    return real(name)\n"
    program += f"m.version = version; sys.argv = ['edgecnn', 'data', 'inspect', {str(place)!r}]\n"
    program += "from edgecnn.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == (
        "edgecnn: error: reading list.parquet needs the package pyarrow, which is not installed"
        ' — pip install "edgecnn[parquet]" [missing-package]\n'
    )


LONG = "a" * (30 << 20)
HUGE: dict[str, tuple[Any, str]] = {
    "a path of 30 MiB": ({"path": ["a.png", LONG], "label": ["cat", "dog"]}, "path"),
    "a label of 30 MiB in a thousand rows": (
        {
            "path": [f"{row}.png" for row in range(1000)],
            "label": pyarrow.DictionaryArray.from_arrays(pyarrow.array([0, 1] * 500), pyarrow.array([LONG, "dog"])),
        },
        "label",
    ),
    "labels of 30 MiB": ({"path": ["a.png", "b.png"], "labels": [["cat"], [LONG]]}, "labels"),
    "a million labels of one image": ({"path": ["a.png", "b.png"], "labels": [["cat"], ["dog"] * 1_000_000]}, "labels"),
    "a path of 5,000 bytes": ({"path": ["a.png", "é" * 2500], "label": ["cat", "dog"]}, "path"),
    "a label of 2,000 signs": ({"path": ["a.png", "b.png"], "label": ["cat", "d" * 2000]}, "label"),
}


@pytest.mark.parametrize("columns", HUGE)
def test_a_cell_that_no_list_has_is_refused_in_one_short_line_and_never_decoded(photos: Path, columns: str) -> None:
    with pytest.raises(EdgecnnError, match=HUGE[columns][1], check=TABLE_UNUSABLE.made) as caught:
        summary_of(written(photos, HUGE[columns][0]))
    assert len(caught.value.line()) < 1000


def test_cells_that_are_too_large_by_the_footer_are_refused_before_any_row_group_is_read(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_here(function: str, arguments: dict[str, Any], _: object) -> object:
        return getattr(csv_cells, function)(**arguments)

    monkeypatch.setattr(csv_cells, "_call_about_parquet", read_here)  # another process has other limits
    monkeypatch.setattr(csv_cells, "_require_small_cells", lambda *_: pytest.fail("a row group is read"))
    for columns in ("a path of 30 MiB", "a label of 30 MiB in a thousand rows", "labels of 30 MiB"):
        with pytest.raises(
            EdgecnnError,
            match=rf"column '{HUGE[columns][1]}.*' has cells of [\d,]+ bytes on average",
            check=TABLE_UNUSABLE.made,
        ):
            summary_of(written(photos, HUGE[columns][0]))

    def read_here(function: str, arguments: dict[str, Any], _: object) -> object:
        return getattr(csv_cells, function)(**arguments)

    monkeypatch.setattr(csv_cells, "_call_about_parquet", read_here)  # another process has other limits
    monkeypatch.setattr(csv_cells, "_CHUNK_BYTES_MAX", 1000)
    rows = {"path": [f"{row}.png" for row in range(1000)], "label": ["cat", "dog"] * 500}
    with pytest.raises(
        EdgecnnError, match=r"column 'path' takes [\d,]+ bytes in one row group, more than 1,000", check=TABLE_UNUSABLE.made
    ):
        summary_of(written(photos, rows))


def test_a_list_that_claims_more_rows_than_any_data_set_is_refused_unread(photos: Path) -> None:
    cells = pyarrow.array([0], pyarrow.int8()).take(pyarrow.array([0] * (FILES_MAX + 1), pyarrow.int32()))
    with pytest.raises(EdgecnnError, match=f"more than {FILES_MAX:,} rows", check=TABLE_UNUSABLE.made):
        summary_of(written(photos, {"path": cells, "label": cells}))


def test_fixed_cells_that_no_list_has_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    import pyarrow as arrow

    cells = arrow.array([b"x" * 20_000] * 2, arrow.binary(20_000))
    with pytest.raises(EdgecnnError, match="cells of 20,000 bytes", check=TABLE_UNUSABLE.made):
        summary_of(written(tmp_path, {"path": cells, "label": ["a", "b"]}))


def test_a_list_of_what_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made):
        summary_of(written(tmp_path, {"path": ["a.png", "b.png"], "labels": [[b"cat"], [b"\xff"]]}))
