"""Find which columns of a list hold the path, the class or labels, the split and the group of an image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.formats.label_columns import NAMES, LabelColumns
from edgecnn.data.formats.parquet_file import PARQUET
from edgecnn.data.formats.rows import label_name
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import table_unusable
from edgecnn.errors.wording import listed, plural, shortened
from edgecnn.values.recipe import DataChoice

_PATHS: Final = (
    "path", "file_name", "filename", "file", "file_path", "filepath", "image_path", "image_name", "image_id", "image", "img",
    "id_code", "id",
)  # fmt: skip
_LABELS: Final = ("label", "class", "class_name", "label_name", "category", "target")
"""Usual names of the path and class columns. The first one that a list contains is used."""
_SPLIT: Final = "split"
_UNNAMED: Final = re.compile(r"|Unnamed: \d+")
"""The name of the index column that pandas writes, and its name after a second round trip."""


class Columns(NamedTuple):
    """The columns of a list, by index."""

    names: tuple[str, ...]
    path: int
    label: int | None
    """None if ``labels`` describes the image."""
    labels: LabelColumns | None
    split: int | None
    group: int | None

    @property
    def needed(self) -> frozenset[int]:
        """Indices of the columns to read."""
        places = {self.path, self.label, self.split, self.group} - {None}
        if self.labels is not None:
            places |= {self.labels.column} if self.labels.names is None else set(self.labels.names.values())
        return frozenset(place for place in places if place is not None)

    @property
    def note(self) -> str | None:
        """How the columns are read, if their names are unusual."""
        names = [self.names[place] for place in (self.path, self.label) if place is not None]
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
    def _line(self) -> int | None:
        return None if self.file.suffix.lower() == PARQUET else 1

    def columns(self, choice: DataChoice, *, is_known_form: bool) -> Columns:
        group = None if choice.group_by is None else self._place(choice.group_by.strip())
        path = self._stated("--path-column", choice.path_column)
        path = self._first_of(_PATHS, besides=set()) if path is None else path
        if path is None:
            raise self._unclear("pass --path-column COLUMN with the paths of the images", choice, group)
        label, split = self._stated("--label-column", choice.label_column), self._first_of((_SPLIT,), besides={path})
        is_stated = label is not None
        label = self._first_of(_LABELS, besides={path, split}) if label is None else label
        taken = {path, split, group} - {label}
        rest = [place for place, name in enumerate(self.names) if place not in taken and not _UNNAMED.fullmatch(name)]
        if label is None and len(rest) == 1 and self.names[rest[0]].lower() != NAMES:
            label = rest[0]
        columns = Columns(self.names, path, label, None, None if split == label else split, group)
        if label is not None and not is_stated and len(rest) > 1 and not is_known_form:
            raise self._unclear("pass --label-column COLUMN; columns that are not named are then ignored", choice, group)
        self._require_once([self.names[place] for place in (path, label) if place is not None])
        if label is not None:
            several = choice.label_separator in ("blank", "comma")
            labels = LabelColumns(column=label, separator=choice.label_separator) if several else None
            return columns._replace(label=None, labels=labels) if several else columns
        return columns._replace(labels=self._labels(rest, choice, group))

    def _labels(self, rest: Sequence[int], choice: DataChoice, group: int | None) -> LabelColumns:
        """Return the column ``labels``, or one column for each label."""
        named = [place for place in rest if self.names[place].lower() == NAMES]
        if not rest or (named and len(rest) > 1):
            raise self._unclear("pass --label-column COLUMN with the class of each image", choice, group)
        if named:
            return LabelColumns(column=named[0], separator=choice.label_separator)
        self._require_once([self.names[place] for place in rest])
        return LabelColumns(names={label_name(self.file, self._line, self.names[place]): place for place in rest})

    def _place(self, name: str) -> int | None:
        """Return a column's index by its exact name, else by its lower-case name."""
        exact = (place for place, other in enumerate(self.names) if other == name)
        loose = (place for place, other in enumerate(self.names) if other.lower() == name.lower())
        return next(exact, next(loose, None))

    def _first_of(self, names: Sequence[str], besides: set[int | None]) -> int | None:
        places = (self._place(name) for name in names)
        return next((place for place in places if place is not None and place not in besides), None)

    def _stated(self, option: str, name: str | None) -> int | None:
        if name is None:
            return None
        if (place := self._place(name.strip())) is None:
            because = f"it has no column {shortened(name)!r}: its columns are {self._shown()}"
            raise table_unusable(file=self.file, line=self._line, because=because, hint=f"pass one of these names with {option}")
        self._require_once([self.names[place]])
        return place

    def _require_once(self, names: Sequence[str]) -> None:
        often = Counter(self.names)
        if twice := next((name for name in names if often[name] > 1), None):
            because = f"its columns are {self._shown()}: two have the name {shortened(twice)!r}"
            raise table_unusable(file=self.file, line=self._line, because=because, hint="give each column a different name")

    def _unclear(self, fix: str, choice: DataChoice, group: int | None) -> EdgecnnError:
        named = [name for name in self.names if name]
        if len(named) < 2:
            fix = "separate columns by commas, semicolons or tabs, and begin with a header such as path,label"
        also = f", and none is data.group_by '{choice.group_by}'" if choice.group_by is not None and group is None else ""
        return table_unusable(file=self.file, line=self._line, because=f"its columns are {self._shown()}{also}", hint=fix)

    def _shown(self) -> str:
        return shortened(", ".join(self.names)) or "none"
