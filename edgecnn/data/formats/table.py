"""A list of images in a CSV, TSV, JSON Lines or Parquet file: ``path,label`` or ``path,label,split``.

Paths are relative to the list's folder, or to ``data.image_root``. Instead of ``label``, a column ``labels`` or one column for
each label gives an image any number of labels. ``data.group_by`` may name one more column.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.files import ListingProgress
from edgecnn.data.formats.csv_cells import NAMES, PARQUET, READERS, ROWS_MAX, TOO_MANY_ROWS, cells_of, header_of
from edgecnn.data.formats.label_text import cell_text, label_name, plain_text
from edgecnn.data.formats.rows import PathLookup, Row, RowsOfList, lay_out_rows, path_fault
from edgecnn.data.layout import Layout, root_of
from edgecnn.data.split_names import PART_NAMES, split_name
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import table_unusable
from edgecnn.errors.wording import listed, plural, shortened
from edgecnn.store.disk import refuse_known_cause
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress

_PATHS: Final = (
    "path", "file_name", "filename", "file", "file_path", "filepath", "image_path", "image_name", "image_id", "image", "img",
    "id_code", "id",
)  # fmt: skip
_LABELS: Final = ("label", "class", "class_name", "label_name", "category", "target")
"""Usual names of the path and class columns. The first one that a list contains is used."""
_SPLIT: Final = "split"
_UNNAMED: Final = re.compile(r"|Unnamed: \d+")
"""The name of the index column that pandas writes, and its name after a second round trip."""
_TRUTH: Final = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_SEPARATORS: Final = {"blank": r"\s+", "comma": ",", None: r"[|;]"}
"""Regular expressions by value of ``data.label_separator``."""


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
    locate = PathLookup(file, folder, progress, tell).locate
    is_settled = choice.label_separator is not None or bool(table.named)
    listed = RowsOfList(folder, file, table.rows(), table.named, is_settled, locate, choice.folders)
    return lay_out_rows(listed, progress)


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
        path = cells[columns.path].strip()
        if because := path_fault(path):
            raise self._unusable(line, because)
        label, labels = self._column_names(line, cells)
        cell = "train" if columns.split is None else cells[columns.split]
        if (split := split_name(cell[:1000])) is None:
            raise self._unusable(line, f"the split {cell[:100]!r} is not one of {', '.join(PART_NAMES)}")
        group = None if columns.group is None else plain_text(cells[columns.group].strip())
        if not path.lower().endswith(self._suffix.lower()):
            path += self._suffix
        return Row(path, label, split.part, group, labels)

    def _column_names(self, line: int, cells: Sequence[str]) -> tuple[str, tuple[str, ...] | None]:
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


class Columns(NamedTuple):
    """The columns of a list, by index."""

    names: tuple[str, ...]
    path: int
    label: int | None
    """Column of the class; None if ``labels`` describes the image."""
    labels: LabelColumns | None
    split: int | None
    group: int | None

    @property
    def needed(self) -> frozenset[int]:
        """Indices of the columns to read."""
        indices = {self.path, self.label, self.split, self.group} - {None}
        if self.labels is not None:
            indices |= {self.labels.column} if self.labels.names is None else set(self.labels.names.values())
        return frozenset(index for index in indices if index is not None)

    @property
    def note(self) -> str | None:
        """Note about the used columns, if their names are unusual."""
        names = [self.names[index] for index in (self.path, self.label) if index is not None]
        is_usual = {name.lower() for name in names} <= {_PATHS[0], _LABELS[0]}
        return None if is_usual else f"reads the {plural(len(names), 'column')} {listed(names)}"


def columns_of(file: Path, header: Sequence[str], choice: DataChoice, *, is_known_form: bool = False) -> Columns:
    """Return the columns of a header. ``is_known_form``: a published label file, whose further columns are not labels.

    Raises TABLE_UNUSABLE: no column, or more than one, can be the path or the class. The error names the option that decides.
    """
    return _Header(file, tuple(name.strip() for name in header)).columns(choice, is_known_form=is_known_form)


class _Header(NamedTuple):
    file: Path
    names: tuple[str, ...]

    @property
    def _header_line(self) -> int | None:
        return None if self.file.suffix.lower() == PARQUET else 1

    def columns(self, choice: DataChoice, *, is_known_form: bool) -> Columns:
        group = None if choice.group_by is None else self._index(choice.group_by.strip())
        path = self._stated_index("--path-column", choice.path_column)
        path = self._first_of(_PATHS, besides=set()) if path is None else path
        if path is None:
            raise self._columns_unclear("pass --path-column COLUMN with the paths of the images", choice, group)
        label, split = self._stated_index("--label-column", choice.label_column), self._first_of((_SPLIT,), besides={path})
        is_stated = label is not None
        label = self._first_of(_LABELS, besides={path, split}) if label is None else label
        taken = {path, split, group} - {label}
        rest = [index for index, name in enumerate(self.names) if index not in taken and not _UNNAMED.fullmatch(name)]
        if label is None and len(rest) == 1 and self.names[rest[0]].lower() != NAMES:
            label = rest[0]
        columns = Columns(self.names, path, label, None, None if split == label else split, group)
        if label is not None and not is_stated and len(rest) > 1 and not is_known_form:
            raise self._columns_unclear("pass --label-column COLUMN; columns that are not named are then ignored", choice, group)
        self._require_once([self.names[index] for index in (path, label) if index is not None])
        if label is not None:
            several = choice.label_separator in ("blank", "comma")
            labels = LabelColumns(column=label, separator=choice.label_separator) if several else None
            return columns._replace(label=None, labels=labels) if several else columns
        return columns._replace(labels=self._label_columns(rest, choice, group))

    def _label_columns(self, rest: Sequence[int], choice: DataChoice, group: int | None) -> LabelColumns:
        """Return the column ``labels``, or one column for each label."""
        named = [index for index in rest if self.names[index].lower() == NAMES]
        if not rest or (named and len(rest) > 1):
            raise self._columns_unclear("pass --label-column COLUMN with the class of each image", choice, group)
        if named:
            return LabelColumns(column=named[0], separator=choice.label_separator)
        self._require_once([self.names[index] for index in rest])
        labels = {index: label_name(self.file, self._header_line, self.names[index]) for index in rest}
        counts = Counter(labels.values())
        self._require_once([self.names[index] for index in rest if counts[labels[index]] > 1])
        return LabelColumns(names={label: index for index, label in labels.items()})

    def _index(self, name: str) -> int | None:
        """Return a column's index by its exact name, else by its lower-case name."""
        exact = (index for index, other in enumerate(self.names) if other == name)
        loose = (index for index, other in enumerate(self.names) if other.lower() == name.lower())
        return next(exact, next(loose, None))

    def _first_of(self, names: Sequence[str], besides: set[int | None]) -> int | None:
        indices = (self._index(name) for name in names)
        return next((index for index in indices if index is not None and index not in besides), None)

    def _stated_index(self, option: str, name: str | None) -> int | None:
        if name is None:
            return None
        if (index := self._index(name.strip())) is None:
            because = f"it has no column {shortened(name)!r}: its columns are {self._column_names()}"
            raise table_unusable(
                file=self.file, line=self._header_line, because=because, hint=f"pass one of these names with {option}"
            )
        self._require_once([self.names[index]])
        return index

    def _require_once(self, names: Sequence[str]) -> None:
        counts = Counter(self.names)
        if twice := next((name for name in names if counts[name] > 1), None):
            because = f"its columns are {self._column_names()}: two have the name {shortened(twice)!r}"
            raise table_unusable(
                file=self.file, line=self._header_line, because=because, hint="give each column a different name"
            )

    def _columns_unclear(self, fix: str, choice: DataChoice, group: int | None) -> EdgecnnError:
        named = [name for name in self.names if name]
        if len(named) < 2:
            fix = "separate columns by commas, semicolons or tabs, and begin with a header such as path,label"
        also = f", and none is data.group_by '{choice.group_by}'" if choice.group_by is not None and group is None else ""
        return table_unusable(
            file=self.file, line=self._header_line, because=f"its columns are {self._column_names()}{also}", hint=fix
        )

    def _column_names(self) -> str:
        return shortened(", ".join(self.names)) or "none"


class LabelColumns(NamedTuple):
    """Columns that contain a row's labels."""

    names: Mapping[str, int] | None = None
    """Column index of each label; None if a single column names the labels."""
    column: int = 0
    """Index of the single column."""
    separator: str | None = None
    """The value of ``data.label_separator``."""

    def labels_in(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Return the labels of a row. Raises ValueError with the reason if its cells are invalid."""
        if self.names is None:
            return _labels_in_cell(cells[self.column], self.separator)
        for name, index in self.names.items():
            if cells[index].strip().lower() not in _TRUTH:
                raise ValueError(
                    f"column {name[:100]!r} contains {cells[index][:100]!r}, but a label column has 0 or 1;"
                    " --label-column COLUMN names the class column"
                )
        return tuple(name for name, index in self.names.items() if _TRUTH[cells[index].strip().lower()])


def _labels_in_cell(cell: str, separator: str | None = None) -> tuple[str, ...]:
    """Parse a JSON list, which a Parquet column becomes, or names with a separator."""
    text = cell.strip()
    if not text.startswith("["):
        return _distinct_names([text] if separator == "none" else re.split(_SEPARATORS[separator], text))
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"the labels {cell[:100]!r} begin like a JSON list but are not one") from None
    if any(isinstance(name, list | dict) for name in names):
        raise ValueError(f"the labels {cell[:100]!r} are not a list of names")
    return _distinct_names(list(map(cell_text, names)))


def _distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({name.strip() for name in names} - {""}))
