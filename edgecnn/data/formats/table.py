"""A list of images in a CSV, TSV, JSON Lines or Parquet file: ``path,label`` or ``path,label,split``.

Paths are relative to the list's folder, or to ``data.image_root``. Instead of ``label``, a column ``labels`` or one column for
each label gives an image any number of labels (``label_columns``). ``data.group_by`` may name one more column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecnn.data.files import ListingProgress
from edgecnn.data.formats.columns import Columns, columns_of
from edgecnn.data.formats.csv_cells import READERS, cells_of, header_of
from edgecnn.data.formats.parquet_file import ROWS_MAX, TOO_MANY_ROWS
from edgecnn.data.formats.path_lookup import PathLookup
from edgecnn.data.formats.rows import Row, RowsOfList, label_name, laid_out, path_fault
from edgecnn.data.layout import Layout, root_of
from edgecnn.data.split_names import PART_NAMES, split_name
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import table_unusable
from edgecnn.store.disk import refuse_known_cause
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress


def is_table(path: Path) -> bool:
    """Whether a data path is a table, not a folder."""
    return path.suffix.lower() in READERS and path.is_file()


def read_table(file: Path, choice: DataChoice, progress: ListingProgress, tell: Progress) -> tuple[Layout, list[list[str]]]:
    """Return the layout of a table, and the sorted stamps of each of its classes and splits, or of each split of a multi-label
    list.

    A repeated row counts once. Files are not opened, so a missing one is reported when it is read.

    ``choice``: names the columns, and the folder that paths are relative to. ``tell``: receives how columns and paths are read,
    if their names are ambiguous.

    Raises:
        TABLE_UNUSABLE: not UTF-8, other columns, a row without a path or a label, a label with control characters, an unknown
            split, no row, a file in two groups, or a label column with a cell that is neither 0 nor 1.
        LISTED_FILES_MISSING, LISTED_FILE_TWICE: no file exists, or a path matches two.
        LABELS_LOOK_JOINED: a label looks like several, separated by blanks.
        ONE_CLASS: a single label.
        TRAIN_FOLDER_MISSING: several splits without a training split.
        MissingPackage: reading Parquet needs another package.
        WRONG_BYTES: see ``refuse_known_cause``.
    """
    folder = file.parent if choice.image_root is None else root_of(choice.image_root)
    table = ListTable.of(file, choice)
    if (note := table.columns.note) is not None:
        tell.note(f"{file}: {note}")
    locate = PathLookup(file, folder, progress, tell).located
    is_settled = choice.label_separator is not None or bool(table.named)
    listed = RowsOfList(folder, file, table.rows(), table.named, is_settled, locate)
    return laid_out(listed, progress)


class ListTable:
    """A list with its columns."""

    def __init__(self, file: Path, columns: Columns, suffix: str) -> None:
        self.columns = columns
        self._file, self._suffix = file, suffix

    @classmethod
    def of(cls, file: Path, choice: DataChoice, *, is_known_form: bool = False) -> ListTable:
        """Open a list. ``is_known_form``: as ``columns_of``. Raises TABLE_UNUSABLE, MissingPackage, WRONG_BYTES: see
        ``read_table``.
        """
        refuse_known_cause(file)
        return cls(file, columns_of(file, header_of(file), choice, is_known_form=is_known_form), choice.path_suffix or "")

    @property
    def named(self) -> tuple[str, ...]:
        """Labels with their own column."""
        labels = self.columns.labels
        return () if labels is None or labels.names is None else tuple(labels.names)

    def rows(self) -> Iterator[Row]:
        """Yield its rows. Raises TABLE_UNUSABLE: an invalid row, with its line."""
        for line, cells in cells_of(self._file, self.columns.needed):
            yield self._row(line, cells)

    def _row(self, line: int, cells: Sequence[str]) -> Row:
        columns = self.columns
        if line > ROWS_MAX:
            raise self._unusable(None, TOO_MANY_ROWS)
        if len(cells) != len(columns.names):
            raise self._unusable(line, f"{len(cells)} cells for {len(columns.names)} columns")
        path = cells[columns.path]
        if because := path_fault(path):
            raise self._unusable(line, because)
        label, labels = self._shown(line, cells)
        cell = "train" if columns.split is None else cells[columns.split]
        if (split := split_name(cell[:1000])) is None:
            raise self._unusable(line, f"the split {cell[:100]!r} is not one of {', '.join(PART_NAMES)}")
        group = None if columns.group is None else cells[columns.group].strip()
        if not path.lower().endswith(self._suffix.lower()):
            path += self._suffix
        return Row(path, label, split.part, group, labels)

    def _shown(self, line: int, cells: Sequence[str]) -> tuple[str, tuple[str, ...] | None]:
        """Return an image's class and no labels, or an empty class and its labels."""
        columns = self.columns
        if columns.label is not None:
            if not (label := label_name(self._file, line, cells[columns.label])):
                raise self._unusable(line, "no label")
            return label, None
        assert columns.labels is not None
        try:
            names = columns.labels.labels_in(cells)
        except ValueError as error:
            raise self._unusable(line, str(error)) from error
        return "", tuple(label_name(self._file, line, name) for name in names)

    def _unusable(self, line: int | None, because: str) -> EdgecnnError:
        return table_unusable(file=self._file, line=line, because=because)
