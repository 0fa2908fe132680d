"""A list of images in a CSV or Parquet file: ``path,label`` or ``path,label,split``, paths as seen from its folder.

In place of ``label`` a column ``labels``, or one a label, gives an image any number of them (``label_columns``). One more column
may stand anywhere: the one that ``data.group_by`` names.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.formats.label_columns import NAMES, LabelColumns, label_columns
from edgecnn.data.formats.parquet_file import PARQUET, ROWS_MAX, TOO_MANY_ROWS, parquet_columns, parquet_rows
from edgecnn.data.layout import PART_NAMES, ClassFolder, Layout, Part, natural_order
from edgecnn.data.listing import ListingProgress, stamp_of
from edgecnn.errors.base import system_reason
from edgecnn.errors.data.folder import OneClass, TrainFolderMissing
from edgecnn.errors.data.formats import TableUnusable
from edgecnn.errors.wording import shortened
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import refuse_known_cause
from edgecnn.values.data.dataset import UNLABELLED

SUFFIX: Final = ".csv"
_COLUMNS: Final = (["path", "label"], ["path", "label", "split"])
_BYTES_MAX: Final = 4 << 30
"""The largest list in text that is read, a line at a time."""
_ROW_CHARACTERS_MAX: Final = 1 << 20
_PATH_BYTES_MAX: Final = 4096
"""Linux opens no longer path."""
_LABEL_SIGNS_MAX: Final = 1000
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
    labels: tuple[str, ...] | None = None
    """Of a multi-label list, in place of ``label``, which is then empty."""


def read_table(file: Path, seen: ListingProgress, group_by: str | None = None) -> tuple[Layout, list[list[str]]]:
    """The layout that a table means, and for each of its classes and splits the sorted stamps of its files; of a multi-label
    list for each of its splits.

    A row given twice counts once. Files are not opened; one that is not there is found out when it is read. ``group_by``: the
    name of a column of groups, where it is one.

    Raises:
        TableUnusable: not UTF-8, other columns, a row without a path or a label, a label with control characters, a split of
            another name, no row, a file of two groups, a cell of a label's column that is neither 0 nor 1.
        OneClass: a single label.
        TrainFolderMissing: several splits, but none to train on.
        MissingPackage: a Parquet file, and nothing that reads it.
        WrongBytes: see ``refuse_known_cause``.
    """
    refuse_known_cause(file)
    lines = _lines_of_parquet(file) if file.suffix.lower() == PARQUET else _lines(file)
    columns = _Columns.of(file, next(lines)[1], group_by)
    rows = (_row(file, line, cells, columns) for line, cells in lines)
    return laid_out(file.parent, file, rows, seen, named=() if columns.labels is None else columns.labels.names)


def laid_out(
    folder: Path, file: Path, told: Iterable[Row], seen: ListingProgress, named: Sequence[str] = ()
) -> tuple[Layout, list[list[str]]]:
    """The same of rows that were read already.

    ``folder``: from which paths count. ``file``: that told them. ``named``: labels that it has a column for, though no image may
    have them. Raises TableUnusable, OneClass, TrainFolderMissing: as ``read_table``.
    """
    rows = sorted(set(told))
    if not rows:
        raise TableUnusable(file=file, line=None, because="it has no row")
    several = rows[0].labels is not None
    names = {name for row in rows for name in row.labels or ()} if several else {row.label for row in rows}
    classes = natural_order(list(names.union(named)))
    parts: dict[Part, str] = {part: part for part in ("train", "validation", "test") if any(row.part == part for row in rows)}
    if not classes:
        raise TableUnusable(file=file, line=None, because="no row has a label")
    if len(classes) == 1:
        raise OneClass(folder=file, name=classes[0])
    held_out = next(iter(parts.values())) if len(parts) == 1 and "train" not in parts else None
    if held_out is not None:
        rows = [row._replace(part="train") for row in rows]
    elif "train" not in parts:
        raise TrainFolderMissing(named=file, found=list(parts.values()), is_list=True)
    stamps: dict[tuple[Part, str], list[str]] = {}
    for row in rows:
        seen.one()
        stamps.setdefault((row.part, row.label), []).append(_stamp(folder, row.path))
    folders = tuple(ClassFolder(part, UNLABELLED if several else classes.index(label), "") for part, label in stamps)
    labels = _labels(file, rows, classes) if several else None
    layout = Layout(folder, classes, parts if len(parts) > 1 else {}, folders, (), _groups(file, rows), labels, held_out)
    return layout, [sorted(inside) for inside in stamps.values()]


def _labels(file: Path, rows: Sequence[Row], classes: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    place = {name: index for index, name in enumerate(classes)}
    labels: dict[str, tuple[int, ...]] = {}
    for row in rows:
        mine = tuple(sorted(place[name] for name in row.labels or ()))
        if labels.setdefault(row.path, mine) != mine:
            raise TableUnusable(file=file, line=None, because=f"{shortened(row.path)!r} stands in it twice, with other labels")
    return labels


def _groups(file: Path, rows: Sequence[Row]) -> Mapping[str, str] | None:
    groups: dict[str, str] = {}
    for row in rows:
        if row.group is not None and groups.setdefault(row.path, row.group) != row.group:
            because = f"{shortened(row.path)!r} is of two groups, {groups[row.path][:100]!r} and {row.group[:100]!r}"
            raise TableUnusable(file=file, line=None, because=because)
    return groups or None


class _Columns(NamedTuple):
    """The columns of a row, which of them holds its group, and those of several labels."""

    names: Sequence[str]
    group: str | None
    labels: LabelColumns | None = None

    @classmethod
    def of(cls, file: Path, header: Sequence[str], group_by: str | None) -> _Columns:
        """Those of a header; only in a text does their order count. Raises TableUnusable: others than a list has."""
        wish, is_text = (group_by or "").strip().lower(), file.suffix.lower() == SUFFIX
        group = next((name for name in header if name.lower() == wish), None)
        images = list(header)
        if group is not None and group not in _COLUMNS[-1]:
            images.remove(group)
        if (labels := label_columns(images)) is not None:
            _require_plain(file, 1 if is_text else None, labels.names)
            return cls(header, group, labels)
        if (images if is_text else sorted(images)) not in [names if is_text else sorted(names) for names in _COLUMNS]:
            also = "" if group_by is None or group is not None else f", and none is data.group_by '{group_by}'"
            because = f"its columns are {', '.join(header)[:100] or 'none'}{also}"
            raise TableUnusable(file=file, line=1 if is_text else None, because=because)
        return cls(header, group)


class _BoundedLines(Iterator[str]):
    """Lines of a text. A row may take several, which together have at most ``_ROW_CHARACTERS_MAX`` characters."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.begin_row()

    def begin_row(self) -> None:
        self._left = _ROW_CHARACTERS_MAX

    def __next__(self) -> str:
        line = self._text.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise csv.Error(f"a row has more than {_ROW_CHARACTERS_MAX:,} characters")
        if not line:
            raise StopIteration
        return line


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The header as line 1, and every other line that is not empty with its number."""
    line = 0
    try:
        with open_regular(file, _BYTES_MAX) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            lines = _BoundedLines(text)
            reader = csv.reader(lines, strict=True)
            yield 1, [_column(name) for name in next(reader, [])]
            line = reader.line_num
            lines.begin_row()
            for cells in reader:
                line = reader.line_num
                lines.begin_row()
                if cells:
                    yield line, cells
    except UnicodeDecodeError as error:
        raise TableUnusable(file=file, line=None, because="it is not UTF-8") from error
    except csv.Error as error:
        raise TableUnusable(file=file, line=line + 1, because=str(error)) from error
    except OSError as error:
        raise TableUnusable(file=file, line=None, because=system_reason(error)) from error


def _column(name: str) -> str:
    """Its name without blanks around it, a list's own in small letters; a label is called what the user calls it."""
    name = name.strip()
    return name.lower() if name.lower() in (*_COLUMNS[-1], NAMES) else name


def _lines_of_parquet(file: Path) -> Iterator[tuple[int, list[str]]]:
    names = parquet_columns(file)
    yield 0, [_column(name) for name in names]
    yield from enumerate(parquet_rows(file, names), start=1)


def _row(file: Path, line: int, cells: Sequence[str], columns: _Columns) -> Row:
    if line > ROWS_MAX:
        raise TableUnusable(file=file, line=None, because=TOO_MANY_ROWS)
    if len(cells) != len(columns.names):
        raise TableUnusable(file=file, line=line, because=f"{len(cells)} cells under {len(columns.names)} columns")
    cell = dict(zip(columns.names, cells, strict=True))
    path, split = cell["path"], cell.get("split", "train")
    if len(path.encode(errors="replace")) > _PATH_BYTES_MAX:
        raise TableUnusable(file=file, line=line, because=f"its path is longer than {_PATH_BYTES_MAX:,} bytes")
    if not path or "\0" in path:
        raise TableUnusable(file=file, line=line, because="no path" if not path else "its path holds a NUL character")
    names = (cell["label"].strip(),) if columns.labels is None else _several(file, line, cell, columns.labels)
    if columns.labels is None and not names[0]:
        raise TableUnusable(file=file, line=line, because="no label")
    _require_plain(file, line, names)
    part = PART_NAMES.get(split.strip().lower())
    if part is None:
        raise TableUnusable(file=file, line=line, because=f"the split {split[:100]!r} is none of {', '.join(PART_NAMES)}")
    group = None if columns.group is None else cell[columns.group].strip()
    return Row(path, names[0], part, group) if columns.labels is None else Row(path, "", part, group, names)


def _require_plain(file: Path, line: int | None, names: Sequence[str]) -> None:
    for name in names:
        if len(name) > _LABEL_SIGNS_MAX:
            because = f"the label {shortened(name)!r} is longer than {_LABEL_SIGNS_MAX:,} characters"
            raise TableUnusable(file=file, line=line, because=because)
        if any(unicodedata.category(sign) in _STEERING for sign in name):
            raise TableUnusable(file=file, line=line, because=f"the label {ascii(name[:100])} holds a control character")


def _several(file: Path, line: int, cell: Mapping[str, str], labels: LabelColumns) -> tuple[str, ...]:
    try:
        return labels.of_cells(cell)
    except ValueError as error:
        raise TableUnusable(file=file, line=line, because=str(error)) from error


def _stamp(folder: Path, path: str) -> str:
    try:
        facts = (folder / path).stat()
    except OSError:
        facts = None
    return stamp_of(path, facts)
