"""Read the cells of a list row by row, with limits on size: CSV, TSV, JSON Lines and Parquet.

The limits are necessary because a small Parquet file can claim any number of long cells.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Final

from edgecnn.data.formats.archive import FILES_MAX
from edgecnn.data.formats.label_text import cell_text, plain_text
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.data import table_unusable
from edgecnn.errors.wording import first_line, shell_word, shortened
from edgecnn.hosts.sandbox import MEMORY_BYTES, Allowed, call_sandboxed
from edgecnn.installed import require_packages
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import Stamp, encoding_of, stamp_of
from edgecnn.values.cells import plain_cell

CSV: Final = ".csv"
TSV: Final = ".tsv"
JSON_LINES: Final = ".jsonl"
_BYTES_MAX: Final = 4 << 30
"""The largest text list that is read, in bytes. It is read one row at a time."""
_ROW_CHARACTERS_MAX: Final = 1 << 20
_SEPARATORS: Final = (",", ";", "\t")
"""Separators of a CSV file. The first that the header contains is used."""
_SEPARATOR_LINE: Final = re.compile(r"\"?sep=([^\r\n\"])\"?\s*", re.IGNORECASE)
"""The line by which Excel states the separator."""
_HEAD_BYTES: Final = 1 << 16
_COLUMNS_MAX: Final = 100_000

Cells = tuple[int, Sequence[str]]
"""A row's number and its cells. The header comes first: line 1 of a text file, row 0 of a Parquet file."""
PARQUET: Final = ".parquet"
NAMES: Final = "labels"
"""Name of the column that lists the labels of each image: ``cat|dog``, or in Parquet a list."""
_BATCH: Final = 4096
ROWS_MAX: Final = FILES_MAX
TOO_MANY_ROWS: Final = f"it has more than {ROWS_MAX:,} rows"
_CELL_BYTES_MAX: Final = 16_384
"""Largest cell. A dictionary can repeat a cell in any number of rows, so cells are measured before decoding."""
_CHUNK_BYTES_MAX: Final = 512 << 20
"""Largest column in one row group, which is decompressed as a whole; a row group has at most a million rows."""
_HEADER_BYTES: Final = 1 << 20
"""Upper limit of a column's headers and statistics in one row group."""
_ROWS: Final = "rows.jsonl"
_LABELS_MAX: Final = 10_000
"""Maximum number of labels of one image."""


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
    names, indices = parquet_columns(file), sorted(needed)
    yield 0, names
    for number, cells in enumerate(parquet_rows(file, [names[index] for index in indices]), start=1):
        row = [""] * len(names)
        for index, cell in zip(indices, cells, strict=True):
            row[index] = cell
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


class _LastLine:
    """Number of the last line that was read completely."""

    number = 0


@contextmanager
def _open_text(file: Path, last: _LastLine) -> Iterator[io.TextIOWrapper]:
    """Open a text list. Faults in reading become errors with a line number."""
    try:
        with open_regular(file, _BYTES_MAX) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        raise _not_utf8(file) from error
    except csv.Error as error:
        raise table_unusable(file=file, line=last.number + 1, because=str(error)) from error
    except OSError as error:
        raise table_unusable(file=file, line=None, because=system_reason(error)) from error


def _alternates(header: str) -> bool:
    """Return whether every second character is NUL, as in UTF-16 that is read as UTF-8; a sparse file has only NULs."""
    even, odd = header[::2].count("\0"), header[1::2].count("\0")
    return 2 * min(even, odd) < max(even, odd)


def _not_utf8(file: Path) -> EdgecnnError:
    with open_regular(file) as stream:
        encoding, name = encoding_of(stream.read(_HEAD_BYTES))
    source, target = shell_word(file), shell_word(file.with_name(f"{file.stem}-utf8{file.suffix}"))
    hint = f"iconv -f {name} -t UTF-8 {source} > {target}, or save it from a spreadsheet as CSV UTF-8"
    return table_unusable(file=file, line=None, because=f"it is {encoding}", hint=hint)


def _rows_of_csv(file: Path, _: Collection[int]) -> Iterator[Cells]:
    last = _LastLine()
    with _open_text(file, last) as text:
        header = text.readline(_ROW_CHARACTERS_MAX)
        stated = _SEPARATOR_LINE.fullmatch(header)  # Excel's first line; the header is the second
        separator = next((sign for sign in _SEPARATORS if sign in header), ",") if stated is None else stated[1]
        if _alternates(header):
            raise _not_utf8(file)
        if stated is None:
            text.seek(0)
        first, lines = 0 if stated is None else 1, _BoundedLines(text)
        reader = csv.reader(lines, strict=True, delimiter="\t" if file.suffix.lower() == TSV else separator)
        yield first + 1, next(reader, [])
        last.number = first + reader.line_num
        lines.begin_row()
        for cells in reader:
            last.number = first + reader.line_num
            lines.begin_row()
            if cells:
                yield last.number, [plain_cell(cell) for cell in cells]


def _rows_of_json_lines(file: Path, _: Collection[int]) -> Iterator[Cells]:
    """Yield the rows of JSON objects. The keys of the first object are the columns; later objects may lack some, but not add any.

    Raises TABLE_UNUSABLE: an object has a key that the first one lacks.
    """
    last, names, known = _LastLine(), list[str](), frozenset[str]()
    with _open_text(file, last) as text:
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
                    raise table_unusable(file=file, line=last.number + 1, because=because, hint="give the first row every key")
                yield last.number + 1, [cell_text(row.get(name)) for name in names]
            last.number += 1
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


READERS: Final[dict[str, Callable[[Path, Collection[int]], Iterator[Cells]]]] = {
    CSV: _rows_of_csv, TSV: _rows_of_csv, JSON_LINES: _rows_of_json_lines, PARQUET: _rows_of_parquet,
}  # fmt: skip
"""Reader of each suffix of a list."""


def parquet_columns(file: Path) -> list[str]:
    """Return the column names in file order, read in a sandbox.

    Raises MissingPackage: pyarrow is not installed. TABLE_UNUSABLE: not a Parquet file, or a damaged one.
    """
    require_packages(("pyarrow",), extra="parquet", needed_for=f"reading {file.name}")
    return list(_known_columns(file, stamp_of(file.resolve())))


@lru_cache
def _known_columns(file: Path, _: Stamp | None) -> tuple[str, ...]:
    """Return the columns of an unchanged file, which several questions about a list need."""
    return tuple(map(str, _call_about_parquet("read_columns", {"file": str(file)}, Allowed(read=(file,)))))


def parquet_rows(file: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """Yield each row's cells as text, in the order of ``columns``; null becomes empty text. A sandbox reads them.

    Raises TABLE_UNUSABLE: a damaged file, or a column that is not text, a number or a truth value.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-parquet-") as folder:
        arguments = {"file": str(file), "columns": list(columns), "out": f"{folder}/{_ROWS}"}
        _call_about_parquet("write_rows", arguments, Allowed(read=(file,), write=(Path(folder),), file_bytes=_BYTES_MAX))
        with open_regular(Path(folder) / _ROWS) as stream:
            for line in stream:
                yield [str(cell) for cell in json.loads(line)]


def _call_about_parquet(function: str, arguments: dict[str, Any], allowed: Allowed) -> Any:
    file = allowed.read[0]

    def fault(because: str) -> EdgecnnError:
        return table_unusable(file=file, line=None, because=f"reading it ended its process: {because}")

    size = file.stat().st_size if file.is_file() else 0
    bounded = replace(allowed, memory_bytes=MEMORY_BYTES + _CHUNK_BYTES_MAX + size)
    return call_sandboxed(f"{__name__}:{function}", arguments, bounded, fault)


def read_columns(file: str) -> list[str]:
    """Return the column names, in the sandbox. Raises TABLE_UNUSABLE: see ``parquet_columns``."""
    return _columns_of(Path(file))


def write_rows(file: str, columns: Sequence[str], out: str) -> None:
    """Write each row as a line of JSON, in the sandbox. Raises TABLE_UNUSABLE: see ``parquet_rows``."""
    with Path(out).open("w", encoding="utf-8") as stream:
        for row in _rows_of(Path(file), columns):
            stream.write(json.dumps(row) + "\n")


def _columns_of(file: Path) -> list[str]:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with open_regular(file) as stream:
            return [str(name) for name in parquet.read_schema(stream).names]
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise table_unusable(file=file, line=None, because=_reason(error)) from error


def _rows_of(file: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with open_regular(file) as stream, parquet.ParquetFile(stream) as plain:
            footer, leaves = plain.metadata, [plain.schema.column(index) for index in range(len(plain.schema))]
            held = [field.name for field in plain.schema_arrow if field.name in columns and _contains_images(field.type)]
        if footer.num_rows > ROWS_MAX:
            raise table_unusable(file=file, line=None, because=TOO_MANY_ROWS)
        if held:
            because = f"its column {shortened(held[0])!r} contains images, not their paths"
            hint = "write each image to a file and list the paths, or pass --path-column COLUMN"
            raise table_unusable(file=file, line=None, because=because, hint=hint)
        for leaf in leaves:  # each of its values is decoded completely
            if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY" and leaf.length > _CELL_BYTES_MAX:
                what = f"its column {shortened(leaf.path)!r} has cells"
                because = f"{what} of {leaf.length:,} bytes, more than {_CELL_BYTES_MAX:,}"
                raise table_unusable(file=file, line=None, because=because)
        _require_small_chunks(file, footer, columns)
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        with open_regular(file) as stream, parquet.ParquetFile(stream, metadata=footer, read_dictionary=texts) as source:
            for batch in source.iter_batches(batch_size=_BATCH, columns=list(columns)):
                for name in columns:
                    _require_small_cells(file, name, batch.column(name))
                cells = [_as_texts(batch.column(name)) for name in columns]
                yield from map(list, zip(*cells, strict=True))
    except (arrow.ArrowException, OSError, TypeError, ValueError) as error:  # TypeError: a list of something other than text
        raise table_unusable(file=file, line=None, because=_reason(error)) from error


def _contains_images(kind: Any) -> bool:
    """Whether a column has images, as Hugging Face stores them, in a struct of bytes and a path."""
    import pyarrow as arrow

    return bool(arrow.types.is_struct(kind)) and any(kind.field(index).name == "bytes" for index in range(kind.num_fields))


def _require_small_chunks(file: Path, footer: Any, columns: Sequence[str]) -> None:
    """Check the sizes in the footer before a row group is read. Raises TABLE_UNUSABLE: a column is larger than any real one."""
    for group, index in product(range(footer.num_row_groups), range(footer.num_columns)):
        chunk = footer.row_group(group).column(index)
        size, values, name = chunk.total_uncompressed_size, chunk.num_values, chunk.path_in_schema
        if not any(name == column or name.startswith(f"{column}.") for column in columns):
            continue
        what = f"its column {shortened(name)!r}"
        if size - _HEADER_BYTES > values * _CELL_BYTES_MAX:
            because = f"{what} has cells of {size // max(1, values):,} bytes on average, more than {_CELL_BYTES_MAX:,}"
            raise table_unusable(file=file, line=None, because=because)
        if size > _CHUNK_BYTES_MAX:
            because = f"{what} takes {size:,} bytes in one row group, more than {_CHUNK_BYTES_MAX:,}"
            raise table_unusable(file=file, line=None, because=because)


def _require_small_cells(file: Path, name: str, column: Any) -> None:
    """Check the sizes of cells before they are decoded. Raises TABLE_UNUSABLE: a cell is larger than any real one."""
    import pyarrow as arrow
    from pyarrow import compute

    what, values = f"its column {shortened(name)!r}", column
    if arrow.types.is_list(column.type) or arrow.types.is_large_list(column.type):
        values = column.flatten()
        if (compute.max(compute.list_value_length(column)).as_py() or 0) > _LABELS_MAX:
            raise table_unusable(file=file, line=None, because=f"{what} has more than {_LABELS_MAX:,} labels of one image")
    if arrow.types.is_dictionary(values.type):
        values = values.dictionary
    if arrow.types.is_string(values.type) or arrow.types.is_large_string(values.type) or arrow.types.is_binary(values.type):
        longest = compute.max(compute.binary_length(values)).as_py() or 0
        if longest > _CELL_BYTES_MAX:
            because = f"{what} has a cell of {longest:,} bytes, more than {_CELL_BYTES_MAX:,}"
            raise table_unusable(file=file, line=None, because=because)


def _as_texts(column: Any) -> list[str]:
    """Return the cells of a column as text, as ``cell_text`` writes them."""
    import pyarrow as arrow
    from pyarrow import compute

    values = column.dictionary_decode() if arrow.types.is_dictionary(column.type) else column
    if arrow.types.is_nested(values.type):
        return [cell_text(value) for value in values.to_pylist()]
    if arrow.types.is_floating(values.type):
        values = compute.if_else(compute.is_nan(values), None, values)
    texts = [text or "" for text in values.cast(arrow.string()).to_pylist()]
    return texts if values.type in (arrow.string(), arrow.large_string()) else list(map(plain_text, texts))


def _reason(error: BaseException) -> str:
    return first_line(error)[:300].rstrip(".")
