"""A list of images in a Parquet file: the columns of a CSV list, in any order, read a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from edgecnn.backends.installed import require_packages
from edgecnn.errors.data import TableUnusable

SUFFIX: Final = ".parquet"
_BATCH: Final = 65_536


def parquet_columns(file: Path) -> list[str]:
    """Their names, in the file's order.

    Raises:
        MissingPackage: pyarrow is not installed.
        TableUnusable: no Parquet file, or a damaged one.
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

    Raises:
        TableUnusable: a damaged file, or a column that is no text, number or truth value.
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
