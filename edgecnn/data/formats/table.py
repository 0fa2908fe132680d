"""A list of images in a CSV or Parquet file: ``path,label`` or ``path,label,split``, paths as seen from its folder."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgecnn.backends.installed import require_packages
from edgecnn.data.layout import PART_NAMES, ClassFolder, Layout, Part, natural_order
from edgecnn.data.listing import ListingProgress, stamp_of
from edgecnn.errors.base import system_reason
from edgecnn.errors.data import OneClass, TrainFolderMissing
from edgecnn.errors.data_formats import TableUnusable

SUFFIX: Final = ".csv"
_COLUMNS: Final = (["path", "label"], ["path", "label", "split"])
_STEERING: Final = ("Cc", "Zl", "Zp")
"""Unicode's general categories of control characters and of line and paragraph separators (UAX #44): no part of a name."""


def is_table(path: Path) -> bool:
    """Whether a data path names a table and no folder."""
    return path.suffix.lower() in (SUFFIX, PARQUET) and path.is_file()


class Row(NamedTuple):
    """An image, as seen from its folder, what it shows and its split."""

    path: str
    label: str
    part: Part


def read_table(file: Path, seen: ListingProgress) -> tuple[Layout, list[list[str]]]:
    """The layout that a table means, and for each of its classes and splits the sorted stamps of its files.

    A row given twice counts once. Files are not opened; one that is not there is found out when it is read.

    Raises:
        TableUnusable: not UTF-8, other columns, a row without a path or a label, a label with control characters, a split of
            another name, no row.
        OneClass: a single label.
        TrainFolderMissing: splits, but none to train on.
        MissingPackage: a Parquet file, and nothing that reads it.
    """
    return laid_out(file.parent, file, _rows_of_parquet(file) if file.suffix.lower() == PARQUET else _rows(file), seen)


def laid_out(folder: Path, file: Path, told: Iterable[Row], seen: ListingProgress) -> tuple[Layout, list[list[str]]]:
    """The same of rows that were read already.

    ``folder``: from which paths count. ``file``: that told them. Raises TableUnusable, OneClass, TrainFolderMissing: as
    ``read_table``.
    """
    rows = sorted(set(told))
    if not rows:
        raise TableUnusable(file=file, line=None, because="it has no row")
    classes = natural_order(list({row.label for row in rows}))
    parts: dict[Part, str] = {part: part for part in ("train", "validation", "test") if any(row.part == part for row in rows)}
    if len(classes) == 1:
        raise OneClass(folder=file, name=classes[0])
    if "train" not in parts:
        raise TrainFolderMissing(folder=file, found=list(parts.values()))
    stamps: dict[tuple[Part, str], list[str]] = {}
    for row in rows:
        seen.one()
        stamps.setdefault((row.part, row.label), []).append(_stamp(folder, row.path))
    folders = tuple(ClassFolder(part, classes.index(label), "") for part, label in stamps)
    layout = Layout(folder, classes, parts if len(parts) > 1 else {}, folders, ())
    return layout, [sorted(inside) for inside in stamps.values()]


def _rows(file: Path) -> Iterator[Row]:
    line = 0
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            if header not in _COLUMNS:
                raise TableUnusable(file=file, line=1, because=f"its columns are {', '.join(header)[:100] or 'none'}")
            for cells in reader:
                line = reader.line_num
                if cells:
                    yield _row(file, line, cells, len(header))
    except UnicodeDecodeError as error:
        raise TableUnusable(file=file, line=None, because="it is not UTF-8") from error
    except csv.Error as error:
        raise TableUnusable(file=file, line=line + 1, because=str(error)) from error
    except OSError as error:
        raise TableUnusable(file=file, line=None, because=system_reason(error)) from error


def _rows_of_parquet(file: Path) -> Iterator[Row]:
    names = parquet_columns(file)
    header = next((columns for columns in _COLUMNS if sorted(columns) == sorted(names)), None)
    if header is None:
        raise TableUnusable(file=file, line=None, because=f"its columns are {', '.join(names)[:100] or 'none'}")
    for number, cells in enumerate(parquet_rows(file, header), start=1):
        yield _row(file, number, cells, len(header))


def _row(file: Path, line: int, cells: list[str], columns: int) -> Row:
    if len(cells) != columns:
        raise TableUnusable(file=file, line=line, because=f"{len(cells)} cells under {columns} columns")
    path, label, split = (*cells, "train")[:3]
    if not path or "\0" in path:
        raise TableUnusable(file=file, line=line, because="no path" if not path else "its path holds a NUL character")
    if not label.strip():
        raise TableUnusable(file=file, line=line, because="no label")
    if any(unicodedata.category(sign) in _STEERING for sign in label):
        raise TableUnusable(file=file, line=line, because=f"the label {ascii(label[:100])} holds a control character")
    part = PART_NAMES.get(split.strip().lower())
    if part is None:
        raise TableUnusable(file=file, line=line, because=f"the split {split[:100]!r} is none of {', '.join(PART_NAMES)}")
    return Row(path, label, part)


def _stamp(folder: Path, path: str) -> str:
    try:
        return stamp_of(path, (folder / path).stat())
    except OSError:
        return f"{path}/-1/0/0"


PARQUET: Final = ".parquet"
_BATCH: Final = 65_536


def parquet_columns(file: Path) -> list[str]:
    """Their names, in the file's order.

    Raises MissingPackage: pyarrow is not installed. TableUnusable: no Parquet file, or a damaged one.
    """
    require_packages(("pyarrow",), extra="parquet", needed_for=f"reading {file.name}")
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        return [str(name) for name in parquet.read_schema(file).names]
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise TableUnusable(file=file, line=None, because=_first_line(error)) from error


def parquet_rows(file: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """A row's cells as text, in the order of ``columns``; a cell without a value is empty.

    Raises TableUnusable: a damaged file, or a column that is no text, number or truth value.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as source:
            for batch in source.iter_batches(batch_size=_BATCH, columns=list(columns)):
                cells = [_texts(batch.column(name).cast(arrow.string())) for name in columns]
                yield from map(list, zip(*cells, strict=True))
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise TableUnusable(file=file, line=None, because=_first_line(error)) from error


def _texts(column: Any) -> list[str]:
    return [text or "" for text in column.to_pylist()]


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300].rstrip(".") if text else type(error).__name__
