"""Read the cells of a Parquet file as text within limits, because a small file can claim any number of long cells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

from edgecnn.data.formats.label_columns import NAMES
from edgecnn.data.formats.members import FILES_MAX
from edgecnn.errors.data import table_unusable
from edgecnn.errors.wording import first_line, shortened
from edgecnn.installed import require_packages
from edgecnn.runner.files import open_regular

PARQUET: Final = ".parquet"
_BATCH: Final = 4096
ROWS_MAX: Final = FILES_MAX
TOO_MANY_ROWS: Final = f"it has more than {ROWS_MAX:,} rows"
_CELL_BYTES_MAX: Final = 16_384
"""Largest cell. A dictionary can repeat a cell in any number of rows, so cells are measured before decoding."""
_CHUNK_BYTES_MAX: Final = 512 << 20
"""Largest column in one row group, which is decompressed as a whole; a row group has at most a million rows."""
_HEADER_BYTES: Final = 1 << 20
"""Upper limit of a column's headers and statistics in one row group."""
_LABELS_MAX: Final = 10_000
"""Labels of one image."""


def parquet_columns(file: Path) -> list[str]:
    """Return the column names in file order.

    Raises MissingPackage: pyarrow is not installed. TABLE_UNUSABLE: not a Parquet file, or a damaged one.
    """
    require_packages(("pyarrow",), extra="parquet", needed_for=f"reading {file.name}")
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with open_regular(file) as stream:
            return [str(name) for name in parquet.read_schema(stream).names]
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise table_unusable(file=file, line=None, because=_reason(error)) from error


def parquet_rows(file: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """Yield each row's cells as text, in the order of ``columns``; null becomes empty text.

    Raises TABLE_UNUSABLE: a damaged file, or a column that is not text, a number or a truth value.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with open_regular(file) as stream, parquet.ParquetFile(stream) as plain:
            footer, leaves = plain.metadata, [plain.schema.column(place) for place in range(len(plain.schema))]
            held = [field.name for field in plain.schema_arrow if field.name in columns and arrow.types.is_struct(field.type)]
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
                    _require_small(file, name, batch.column(name))
                cells = [_cells(name, batch.column(name)) for name in columns]
                yield from map(list, zip(*cells, strict=True))
    except (arrow.ArrowException, OSError, TypeError, ValueError) as error:  # TypeError: a list of something other than text
        raise table_unusable(file=file, line=None, because=_reason(error)) from error


def _require_small_chunks(file: Path, footer: Any, columns: Sequence[str]) -> None:
    """Check the sizes in the footer before a row group is read. Raises TABLE_UNUSABLE: a column is larger than any real one."""
    for group, place in product(range(footer.num_row_groups), range(footer.num_columns)):
        chunk = footer.row_group(group).column(place)
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


def _require_small(file: Path, name: str, column: Any) -> None:
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


def _cells(name: str, column: Any) -> list[str]:
    return _lists(column) if name.strip().lower() == NAMES else _texts(column)


def _texts(column: Any) -> list[str]:
    import pyarrow as arrow

    decoded = column.dictionary_decode() if arrow.types.is_dictionary(column.type) else column
    return [text or "" for text in decoded.cast(arrow.string()).to_pylist()]


def _lists(column: Any) -> list[str]:
    """Return lists of names as JSON; a text column may contain names too."""
    import pyarrow as arrow

    is_list = arrow.types.is_list(column.type) or arrow.types.is_large_list(column.type)
    return [json.dumps(names or []) for names in column.to_pylist()] if is_list else _texts(column)


def _reason(error: BaseException) -> str:
    return first_line(error)[:300].rstrip(".")
