"""Read the cells of a list row by row, with limits on size: CSV, TSV, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edgecnn.data.formats.parquet_file import PARQUET, parquet_columns, parquet_rows
from edgecnn.errors.base import system_reason
from edgecnn.errors.data import table_unusable
from edgecnn.errors.wording import shortened
from edgecnn.runner.files import open_regular

CSV: Final = ".csv"
TSV: Final = ".tsv"
JSON_LINES: Final = ".jsonl"
_BYTES_MAX: Final = 4 << 30
"""The largest text list that is read, in bytes. It is read one row at a time."""
_ROW_CHARACTERS_MAX: Final = 1 << 20
_SEPARATORS: Final = (",", ";", "\t")
"""Separators of a CSV file. The first that the header contains is used."""
_COLUMNS_MAX: Final = 100_000

Cells = tuple[int, Sequence[str]]
"""A row's number and its cells. The header comes first: line 1 of a text file, row 0 of a Parquet file."""


def header_of(file: Path) -> Sequence[str]:
    """Return the column names of a list. Raises TABLE_UNUSABLE, MissingPackage: as ``cells_of``."""
    return next(READERS[file.suffix.lower()](file, ()))[1]


def cells_of(file: Path, needed: Collection[int]) -> Iterator[Cells]:
    """Yield the rows of a list that have any cells. ``needed``: indices of the columns to read; others may come back empty.

    Raises TABLE_UNUSABLE: not UTF-8, or a damaged row or file. MissingPackage: reading Parquet needs another package.
    """
    rows = READERS[file.suffix.lower()](file, needed)
    next(rows)
    return rows


def _rows_of_parquet(file: Path, needed: Collection[int]) -> Iterator[Cells]:
    names, places = parquet_columns(file), sorted(needed)
    yield 0, names
    for number, cells in enumerate(parquet_rows(file, [names[place] for place in places]), start=1):
        row = [""] * len(names)
        for place, cell in zip(places, cells, strict=True):
            row[place] = cell
        yield number, row


class _BoundedLines(Iterator[str]):
    """The lines of a text file. A row may span several lines, with at most ``_ROW_CHARACTERS_MAX`` characters in total."""

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


class _Place:
    """The last line that was read completely."""

    line = 0


@contextmanager
def _opened_text(file: Path, place: _Place) -> Iterator[io.TextIOWrapper]:
    """Open a text list. Faults in reading become errors with a line number."""
    try:
        with open_regular(file, _BYTES_MAX) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        raise table_unusable(file=file, line=None, because="it is not UTF-8") from error
    except csv.Error as error:
        raise table_unusable(file=file, line=place.line + 1, because=str(error)) from error
    except OSError as error:
        raise table_unusable(file=file, line=None, because=system_reason(error)) from error


def _rows_of_csv(file: Path, _: Collection[int]) -> Iterator[Cells]:
    place = _Place()
    with _opened_text(file, place) as text:
        header = text.readline(_ROW_CHARACTERS_MAX)
        separator = next((sign for sign in _SEPARATORS if sign in header), ",")
        text.seek(0)
        lines = _BoundedLines(text)
        reader = csv.reader(lines, strict=True, delimiter="\t" if file.suffix.lower() == TSV else separator)
        yield 1, next(reader, [])
        place.line = reader.line_num
        lines.begin_row()
        for cells in reader:
            place.line = reader.line_num
            lines.begin_row()
            if cells:
                yield place.line, cells


def _rows_of_json_lines(file: Path, _: Collection[int]) -> Iterator[Cells]:
    """Yield the rows of JSON objects. The keys of the first object are the columns; later objects may lack some, but not add any.

    Raises TABLE_UNUSABLE: an object has a key that the first one lacks.
    """
    place, names, known = _Place(), list[str](), frozenset[str]()
    with _opened_text(file, place) as text:
        lines = _BoundedLines(text)
        for line in lines:
            lines.begin_row()
            if line.strip():
                row = _json_object(line)
                if not names:
                    names = list(row)[:_COLUMNS_MAX]
                    known = frozenset(row)
                    yield 1, names
                if further := next((key for key in row if key not in known), None):
                    because = f"its first row has no key {shortened(further)!r}"
                    raise table_unusable(file=file, line=place.line + 1, because=because, hint="give the first row every key")
                yield place.line + 1, [_cell(row.get(name)) for name in names]
            place.line += 1
    if not names:
        yield 1, []


def _json_object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise csv.Error("it contains half of a character, a lone surrogate such as \\ud800") from None
    except (ValueError, RecursionError):
        raise csv.Error("it is not JSON") from None
    if not isinstance(row, dict):
        raise csv.Error('it is not a JSON object, such as {"file_name": "1.jpg", "label": "cat"}')
    return row


def _cell(value: object) -> str:
    """Return text unchanged, null as empty text, and lists, numbers and truth values as JSON."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


READERS: Final[dict[str, Callable[[Path, Collection[int]], Iterator[Cells]]]] = {
    CSV: _rows_of_csv, TSV: _rows_of_csv, JSON_LINES: _rows_of_json_lines, PARQUET: _rows_of_parquet,
}  # fmt: skip
"""By the suffix of a list."""
