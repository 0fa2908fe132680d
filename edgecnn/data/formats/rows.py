"""The rows of a list of images, and their layout: one class an image, or any number of labels."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.files import ListingProgress, stamp_of
from edgecnn.data.formats.label_text import SURROGATE, container_in
from edgecnn.data.layout import ClassFolder, Layout, natural_order
from edgecnn.data.split_names import Part, is_missing_label
from edgecnn.errors.data import ONE_CLASS, FolderDoubt, split_folders, table_unusable, train_folder_missing
from edgecnn.errors.labels import labels_look_joined, listed_file_twice, listed_files_missing
from edgecnn.errors.wording import counted, shortened
from edgecnn.runner.causes import is_image_name, is_skipped
from edgecnn.values.dataset import UNLABELLED
from edgecnn.values.recipe import FolderReading
from edgecnn.values.stage import Progress

_PATH_BYTES_MAX: Final = 4096
"""The longest path that Linux opens."""
_URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_FEWEST_JOINED: Final = 8
"""Fewest labels with shared words that count as joined. Fewer may be coincidence, such as red apple and green apple."""
_TRIED: Final = 100
"""Number of paths to try as written before searching for files."""
_DEEPEST: Final = 6
_FILES_MAX: Final = 5_000_000


class Row(NamedTuple):
    """An image relative to its folder, its class or labels, and its split."""

    path: str
    label: str
    part: Part
    group: str | None = None
    """The cell of the group column; None if there is no such column."""
    labels: tuple[str, ...] | None = None
    """The row's labels in a multi-label list; ``label`` is then empty."""


class RowsOfList(NamedTuple):
    """All rows of a list."""

    folder: Path
    """The folder that paths are relative to."""
    file: Path
    """The list itself, for errors."""
    rows: Iterable[Row]
    named: Sequence[str] = ()
    """Labels with their own column, even if no image has them."""
    blanks_are_settled: bool = True
    """Whether a label that contains blanks is certainly one label."""
    locate: Callable[[Sequence[Row]], Mapping[str, str]] | None = None
    """Returns the existing path for each path that does not exist as written."""
    reading: FolderReading | None = None
    """How to read labels such as ``nan``, as ``data.folders``."""


def lay_out_rows(listed: RowsOfList, progress: ListingProgress) -> tuple[Layout, list[list[str]]]:
    """Return the layout of the rows, and the sorted stamps of each class and split, or of each split of a multi-label list.

    If every row has exactly one label among label columns, the labels are classes. Files are not opened.

    Raises TABLE_UNUSABLE, ONE_CLASS, TRAIN_FOLDER_MISSING, LABELS_LOOK_JOINED: see ``read_table``.
    """
    file = listed.file
    rows = _single_class_rows(
        file,
        sorted(set(listed.rows), key=lambda row: (row.path, row.label, row.part, row.group or "", row.labels or ())),
        listed.named,
    )
    if not rows:
        raise table_unusable(file=file, line=None, because="it has no row")
    rows = _labelled_rows(listed, rows, progress)
    if not rows:
        raise table_unusable(file=file, line=None, because="no row has a label")
    is_multi_label = rows[0].labels is not None
    names = {name for row in rows for name in row.labels or ()} if is_multi_label else {row.label for row in rows}
    if not listed.blanks_are_settled:
        _refuse_joined(file, names)
    columns = [name for name in listed.named if listed.reading != "labelled" or not is_missing_label(name)]
    classes = natural_order(list(names.union(columns if is_multi_label else ())))
    parts: dict[Part, str] = {part: part for part in ("train", "validation", "test") if any(row.part == part for row in rows)}
    if not classes:
        raise table_unusable(file=file, line=None, because="no row has a label")
    if len(classes) == 1:
        raise ONE_CLASS(folder=file, name=classes[0])
    held_out = next(iter(parts.values())) if len(parts) == 1 and "train" not in parts else None
    if held_out is not None:
        rows = [row._replace(part="train") for row in rows]
    elif "train" not in parts:
        raise train_folder_missing(named=file, splits=list(parts.values()), is_list=True)
    labels, groups = _labels_by_path(file, rows, classes), _groups_by_path(file, rows)
    if moved := {} if listed.locate is None else listed.locate(rows):
        rows = list(dict.fromkeys(row._replace(path=moved.get(row.path, row.path)) for row in rows))
        labels, groups = _labels_by_path(file, rows, classes), _groups_by_path(file, rows)
    stamps: dict[tuple[Part, str], list[str]] = {}
    for row in rows:
        progress.count_entry()
        stamps.setdefault((row.part, row.label), []).append(_stamp_of_listed(listed.folder, row.path))
        progress.links.check(listed.folder / row.path, listed.folder)
    folders = tuple(ClassFolder(part, UNLABELLED if is_multi_label else classes.index(label), "") for part, label in stamps)
    own = parts if len(parts) > 1 else {}
    layout = Layout(listed.folder, classes, own, folders, (), groups, labels, held_out)
    return layout, [sorted(inside) for inside in stamps.values()]


def _single_class_rows(file: Path, rows: list[Row], named: Sequence[str]) -> list[Row]:
    """Turn rows with exactly one label each into rows with a class."""
    counts = {None if row.labels is None else len(row.labels) for row in rows}
    if None in counts and not counts <= {None, 1}:
        because = "some of its images have one class each, and others any number of labels"
        raise table_unusable(file=file, line=None, because=because, hint="give every image one class, or every image labels")
    if not named or not counts <= {None, 1}:
        return rows
    return [row if row.labels is None else row._replace(label=row.labels[0], labels=None) for row in rows]


def _labelled_rows(listed: RowsOfList, rows: list[Row], progress: ListingProgress) -> list[Row]:
    """Return the rows without those whose label means that there is none, if the reading says so.

    Raises SplitFolders: such a label, and the reading does not decide.
    """
    if listed.reading == "classes":
        return rows
    unlabelled = [row for row in rows if any(map(is_missing_label, (row.label,) if row.labels is None else row.labels))]
    if not unlabelled:
        return rows
    if listed.reading is None:
        words = {name for row in unlabelled for name in ((row.label,) if row.labels is None else row.labels)}
        names = natural_order(list(filter(is_missing_label, words)))
        raise split_folders(listed.file, FolderDoubt(names, images=len(unlabelled)))
    progress.skip_unlabelled(listed.file, [listed.folder / row.path for row in unlabelled])
    skipped = set(unlabelled)
    return [row for row in rows if row not in skipped]


def _refuse_joined(file: Path, names: Iterable[str]) -> None:
    known = set(names)
    joined = {name: name.split() for name in sorted(known) if len(name.split()) > 1}
    words = {word for parts in joined.values() for word in parts}
    for name, parts in joined.items():
        if known.issuperset(parts) or len(joined) >= max(_FEWEST_JOINED, 2 * len(words)):
            raise labels_look_joined(file=file, label=name, words=parts)


def _labels_by_path(file: Path, rows: Sequence[Row], classes: Sequence[str]) -> Mapping[str, tuple[int, ...]] | None:
    """Return the labels of each image; None if images have one class each."""
    if rows[0].labels is None:
        return None
    index_of = {name: index for index, name in enumerate(classes)}
    labels: dict[str, tuple[int, ...]] = {}
    for row in rows:
        labels_of_row = tuple(sorted(index_of[name] for name in row.labels or ()))
        if (first := labels.setdefault(row.path, labels_of_row)) != labels_of_row:
            both = (", ".join(classes[label] for label in shown) or "no label" for shown in (first, labels_of_row))
            because = f"{shortened(row.path)!r} is listed twice, as {' and as '.join(shortened(text) for text in both)}"
            raise table_unusable(file=file, line=None, because=because)
    return labels


def _groups_by_path(file: Path, rows: Sequence[Row]) -> Mapping[str, str] | None:
    groups: dict[str, str] = {}
    for row in rows:
        if row.group is not None and groups.setdefault(row.path, row.group) != row.group:
            because = f"{shortened(row.path)!r} is in two groups, {groups[row.path][:100]!r} and {row.group[:100]!r}"
            raise table_unusable(file=file, line=None, because=because)
    return groups or None


def path_fault(path: str) -> str:
    """Return why a path in a list is invalid; empty if it is valid."""
    if not path:
        return "no path"
    if len(path.encode(errors="replace")) > _PATH_BYTES_MAX:
        return f"its path is longer than {_PATH_BYTES_MAX:,} bytes"
    if "\0" in path:
        return "its path contains a NUL character"
    if _URL.match(path) is not None:
        return f"its path {shortened(path)!r} is a URL, which edgecnn does not download"
    if (kind := container_in(path)) is not None:
        return f"its path {shortened(path)!r} is {kind}"
    if not path.isascii() and any(unicodedata.category(sign) == SURROGATE for sign in path):
        return f"its path {ascii(path[:100])} contains half of a character"
    return ""


def _stamp_of_listed(folder: Path, path: str) -> str:
    try:
        facts = (folder / path).stat()
    except OSError:
        facts = None
    return stamp_of(path, facts)


class PathLookup(NamedTuple):
    """The files of a list, searched for in a folder."""

    file: Path
    """The list."""
    folder: Path
    """The folder that its paths are relative to."""
    progress: ListingProgress
    tell: Progress

    def locate(self, rows: Sequence[Row]) -> Mapping[str, str]:
        """Return the existing path for each path that does not exist as written.

        If some of the first paths exist, only backslashes are read as slashes.

        Raises LISTED_FILES_MISSING: no file of the list exists. LISTED_FILE_TWICE: two files match a path.
        """
        paths = list(dict.fromkeys(row.path for row in rows))
        if any(self._exists(path) for path in paths[:_TRIED]):
            slashed = {path: path.replace("\\", "/") for path in paths if "\\" in path and not self._exists(path)}
            return {path: text for path, text in slashed.items() if self._exists(text)}
        place_of = self._search_files(paths)
        if not place_of:
            if any(map(self._exists, paths)):
                return {}
            raise listed_files_missing(file=self.file, root=self.folder, paths=paths, has_root=self.folder.is_dir())
        first = next(path for path in paths if path in place_of)
        example = f"{first} as {place_of[first]}"
        self.tell.note(f"{self.file}: reads {counted(len(place_of), 'path')} of {len(paths):,} as other paths, such as {example}")
        return place_of

    def _exists(self, path: str) -> bool:
        return os.path.isfile(self.folder / path)  # noqa: PTH113 - False, too, of a path that is too long

    def _search_files(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Return the file that matches each path."""
        wanted = {path: path.replace("\\", "/").removeprefix("./") for path in paths}
        texts = set(wanted.values())
        folded = {text.casefold() for text in texts}
        files: dict[str, list[str]] = {}
        loosely: dict[str, list[str]] = {}
        for file in self._image_paths():
            for end in _matching_paths(file):
                if end in texts:
                    files.setdefault(end, []).append(file)
                if end.casefold() in folded:
                    loosely.setdefault(end.casefold(), []).append(file)
        file_of = {}
        for path, text in wanted.items():
            matches = files.get(text) or loosely.get(text.casefold(), [])
            if len(matches) > 1 and text not in matches:
                raise listed_file_twice(file=self.file, path=path, files=matches)
            if matches:
                file_of[path] = text if text in matches else matches[0]
        return file_of

    def _image_paths(self) -> Iterator[str]:
        """Yield the paths of probable images in the folder, relative to it."""
        count = 0
        for folder, folders, names in os.walk(self.folder):
            here = os.path.relpath(folder, self.folder)
            depth = 0 if here == "." else here.count("/") + 1
            folders[:] = sorted(name for name in folders if not is_skipped(name) and depth < _DEEPEST)
            for name in names:
                self.progress.count_entry()
                count += 1
                if count > _FILES_MAX:
                    return
                if is_image_name(name) and not is_skipped(name):
                    yield name if depth == 0 else f"{here}/{name}"


def _matching_paths(file: str) -> Iterator[str]:
    """Yield every path that matches a file: its last parts, with and without its suffix."""
    parts = file.split("/")
    for bare in {parts[-1], os.path.splitext(parts[-1])[0]}:  # noqa: PTH122 - of millions of names
        for first in range(len(parts)):
            yield "/".join((*parts[first:-1], bare))
