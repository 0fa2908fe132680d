"""A list of images in a CSV or Parquet file: ``path,label`` or ``path,label,split``, paths as seen from its folder.

One more column may stand anywhere: the one that ``data.group_by`` names.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    group: str | None = None
    """Its cell in the column of groups; None where there is no such column."""


def read_table(file: Path, seen: ListingProgress, group_by: str | None = None) -> tuple[Layout, list[list[str]]]:
    """The layout that a table means, and for each of its classes and splits the sorted stamps of its files.

    A row given twice counts once. Files are not opened; one that is not there is found out when it is read. ``group_by``: the
    name of a column of groups, where it is one.

    Raises:
        TableUnusable: not UTF-8, other columns, a row without a path or a label, a label with control characters, a split of
            another name, no row, a file of two groups.
        OneClass: a single label.
        TrainFolderMissing: splits, but none to train on.
        MissingPackage: a Parquet file, and nothing that reads it.
    """
    read = _rows_of_parquet if file.suffix.lower() == PARQUET else _rows
    return laid_out(file.parent, file, read(file, group_by), seen)


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
    layout = Layout(folder, classes, parts if len(parts) > 1 else {}, folders, (), _groups(file, rows))
    return layout, [sorted(inside) for inside in stamps.values()]


def _groups(file: Path, rows: Sequence[Row]) -> Mapping[str, str] | None:
    groups: dict[str, str] = {}
    for row in rows:
        if row.group is not None and groups.setdefault(row.path, row.group) != row.group:
            because = f"{row.path!r} is of two groups, {groups[row.path][:100]!r} and {row.group[:100]!r}"
            raise TableUnusable(file=file, line=None, because=because)
    return groups or None


class _Columns(NamedTuple):
    """The columns of a row, and which of them holds its group."""

    names: Sequence[str]
    group: str | None

    @classmethod
    def of(cls, file: Path, header: Sequence[str], group_by: str | None) -> _Columns:
        """Those of a header; only in a text does their order count. Raises TableUnusable: others than a list has."""
        wish, is_text = (group_by or "").strip().lower(), file.suffix.lower() == SUFFIX
        group = next((name for name in header if name.lower() == wish), None)
        images = list(header)
        if group is not None and group not in _COLUMNS[-1]:
            images.remove(group)
        if (images if is_text else sorted(images)) not in [names if is_text else sorted(names) for names in _COLUMNS]:
            also = "" if group_by is None or group is not None else f", and none is data.group_by '{group_by}'"
            because = f"its columns are {', '.join(header)[:100] or 'none'}{also}"
            raise TableUnusable(file=file, line=1 if is_text else None, because=because)
        return cls(header, group)


def _rows(file: Path, group_by: str | None) -> Iterator[Row]:
    line = 0
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            columns = _Columns.of(file, [name.strip().lower() for name in next(reader, [])], group_by)
            for cells in reader:
                line = reader.line_num
                if cells:
                    yield _row(file, line, cells, columns)
    except UnicodeDecodeError as error:
        raise TableUnusable(file=file, line=None, because="it is not UTF-8") from error
    except csv.Error as error:
        raise TableUnusable(file=file, line=line + 1, because=str(error)) from error
    except OSError as error:
        raise TableUnusable(file=file, line=None, because=system_reason(error)) from error


def _rows_of_parquet(file: Path, group_by: str | None) -> Iterator[Row]:
    columns = _Columns.of(file, parquet_columns(file), group_by)
    for number, cells in enumerate(parquet_rows(file, columns.names), start=1):
        yield _row(file, number, cells, columns)


def _row(file: Path, line: int, cells: Sequence[str], columns: _Columns) -> Row:
    if len(cells) != len(columns.names):
        raise TableUnusable(file=file, line=line, because=f"{len(cells)} cells under {len(columns.names)} columns")
    cell = dict(zip(columns.names, cells, strict=True))
    path, label, split = cell["path"], cell["label"], cell.get("split", "train")
    if not path or "\0" in path:
        raise TableUnusable(file=file, line=line, because="no path" if not path else "its path holds a NUL character")
    if not label.strip():
        raise TableUnusable(file=file, line=line, because="no label")
    if any(unicodedata.category(sign) in _STEERING for sign in label):
        raise TableUnusable(file=file, line=line, because=f"the label {ascii(label[:100])} holds a control character")
    part = PART_NAMES.get(split.strip().lower())
    if part is None:
        raise TableUnusable(file=file, line=line, because=f"the split {split[:100]!r} is none of {', '.join(PART_NAMES)}")
    return Row(path, label, part, None if columns.group is None else cell[columns.group].strip())


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
