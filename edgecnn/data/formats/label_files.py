"""Images in one folder with a label file next to them: Hugging Face, Roboflow, Kaggle, COCO and Edge Impulse."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgecnn.data.class_names import nfc
from edgecnn.data.files import ListingProgress, is_folder
from edgecnn.data.formats.csv_cells import READERS
from edgecnn.data.formats.label_text import cell_text, label_name
from edgecnn.data.formats.rows import PathLookup, Row, RowsOfList, lay_out_rows, path_fault
from edgecnn.data.formats.table import ListTable
from edgecnn.data.layout import Layout, root_of
from edgecnn.data.split_names import Part, split_claims, split_name
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.data import DATA_FOLDER_UNREADABLE, split_named_twice, table_unusable
from edgecnn.errors.labels import LABEL_FILE_UNUSABLE, label_files_unclear
from edgecnn.errors.wording import first_of, plural, shell_word, shortened
from edgecnn.runner.causes import is_image_name, is_skipped
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import refuse_known_cause
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress

EDGE_IMPULSE: Final = "info.labels"
_KNOWN: Final = (
    "metadata.csv", "metadata.jsonl", "metadata.parquet", "_classes.csv", "_annotations.coco.json", EDGE_IMPULSE, "train.csv",
    "labels.csv",
)  # fmt: skip
"""Names that tools give a label file. The first one in a folder is used."""
_LABELS_OF_ONE: Final = 2
"""Number of labels among a folder's images from which the folder is not a class."""
_FEWEST_CLASSES: Final = 2
_NAMED: Final = 5
COCO: Final = ".json"
_FORMS: Final = {True: "Edge Impulse labels", False: "COCO annotations"}
_BYTES_MAX: Final = 1 << 30


class Inside(NamedTuple):
    """The names in a folder, without hidden files and files of tools."""

    folders: tuple[str, ...]
    files: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> Inside:
        """List a folder. Raises DATA_FOLDER_UNREADABLE: it cannot be listed."""
        try:
            with os.scandir(folder) as entries:
                named = sorted((entry.name, is_folder(entry)) for entry in entries if not is_skipped(entry.name))
        except OSError as error:
            raise DATA_FOLDER_UNREADABLE(folder=folder, because=system_reason(error)) from error
        return cls(tuple(name for name, is_one in named if is_one), tuple(name for name, is_one in named if not is_one))

    @property
    def has_images(self) -> bool:
        """Whether the folder itself contains images."""
        return any(map(is_image_name, self.files))

    @property
    def known(self) -> str | None:
        """The label file with a well-known name, if any."""
        return next((name for name in _KNOWN if name in self.files), None)

    @property
    def lists(self) -> tuple[str, ...]:
        """All lists in the folder."""
        return tuple(name for name in self.files if Path(name).suffix.lower() in READERS)


class LabelFiles(NamedTuple):
    """Reads the images of a folder from its label files."""

    root: Path
    choice: DataChoice
    progress: ListingProgress
    tell: Progress
    is_confined: bool = True
    """Whether images must be inside the folder, because it may come from an untrusted archive."""

    def read(self) -> tuple[Layout, list[list[str]]] | None:
        """Return the images as ``read_table`` does; None if there is no label file, or if sub-folders are the classes.

        Raises:
            LABEL_FILES_UNCLEAR: images without class folders, and several possible label files.
            LABEL_FILE_UNUSABLE: a file of COCO or Edge Impulse cannot be used.
            EdgecnnError: as ``read_table``.
        """
        inside = Inside.of(self.root)
        if splits := self._label_files_of_splits(inside):
            self.tell.note(f"{self.root}: reads {', '.join(str(file.relative_to(self.root)) for file, _, _ in splits)}")
            rows = [row for file, prefix, part in splits for row in self._rows(file, prefix, part)]
            return self._lay_out(self.root, rows, [file for file, _, _ in splits])
        name = inside.known or (inside.lists[0] if len(inside.lists) == 1 else None)
        if name is not None and inside.has_images and not inside.folders:
            self.tell.note(f"{self.root}: reads {name}")
            return self.read_file(self.root / name)
        if not inside.lists and name is None:
            return None
        is_known = inside.known is not None or self._states_columns
        if not (is_known and name is not None) and _holds_classes(self.root, inside):
            self._note_unused(inside.lists)
            return None
        if name is not None:
            return self._read_next_to_folders(name, inside)
        if inside.has_images:
            raise label_files_unclear(folder=self.root, names=inside.lists)
        return None

    def read_file(self, file: Path) -> tuple[Layout, list[list[str]]]:
        """Read one label file. Raises EdgecnnError: as ``read``."""
        return self._lay_out(file, list(self._rows(file)), [file])

    def _label_files_of_splits(self, inside: Inside) -> list[tuple[Path, str, Part]]:
        """Return the label file of each split folder that has images and a label file. Raises SPLIT_NAMED_TWICE."""
        named = {name: split.part for name in inside.folders if (split := split_name(name)) is not None}
        splits = []
        for name, part in (_split_folders(self.root, inside) if split_claims(inside.folders) else named).items():
            held = Inside.of(self.root / name)
            if held.known is not None and held.has_images and not held.folders:
                splits.append((self.root / name / held.known, f"{name}/", part))
        return splits

    def _read_next_to_folders(self, name: str, inside: Inside) -> tuple[Layout, list[list[str]]] | None:
        """Return None if the file does not list the images, or if the sub-folders are classes.

        Sub-folders are classes if the labels are their names, or if each contains a single label.
        """
        file, parts = self.root / name, _split_folders(self.root, inside)
        try:
            layout, stamps = self._lay_out(file, self._rows_by_split(file, parts), [file])
        except EdgecnnError as error:
            self.tell.note(f"{file} is not used: {error.because or error.what}; sub-folders are the classes")
            return None
        if _has_class_folders(stamps, layout, parts):
            self._note_unused([name])
            return None
        self.tell.note(f"{self.root}: reads {name}")
        return layout, stamps

    def _rows_by_split(self, file: Path, parts: Mapping[str, Part]) -> list[Row]:
        """Return the rows of a list next to split folders. Without a split column, an image is in the split of its folder."""
        rows = list(self._rows(file))
        if not parts or not rows or any(row.part != "train" for row in rows):
            return rows
        moved = PathLookup(file, self._image_root, self.progress, self.tell).locate(rows)
        rows = [row._replace(path=moved.get(row.path, row.path)) for row in rows]
        return [row._replace(part=_split_of(row.path, parts)[0] or row.part) for row in rows]

    def _note_unused(self, names: Sequence[str]) -> None:
        files = [str(self.root / name) for name in names]
        are = plural(len(files), "is", "are")
        way_out = f"--data {shell_word(files[0])} uses the list instead"
        self.tell.note(f"{first_of(files, _NAMED)} {are} not used: sub-folders are the classes; {way_out}")

    @property
    def _states_columns(self) -> bool:
        """Whether the user named columns, so that a list must exist."""
        return (self.choice.path_column, self.choice.label_column) != (None, None)

    @property
    def _image_root(self) -> Path:
        """The folder that paths are relative to."""
        return self.root if self.choice.image_root is None else root_of(self.choice.image_root)

    def _rows(self, file: Path, prefix: str = "", part: Part | None = None) -> Iterator[Row]:
        if is_json_labels(file):
            rows = rows_of_json(file)
        else:
            table = ListTable.of(file, self.choice, is_known_form=True)
            if (note := table.columns.note) is not None:
                self.tell.note(f"{file}: {note}")
            rows = table.rows()
        for row in rows:
            outer, *inner = row.path.replace("\\", "/").split("/")
            if self.is_confined and (outer == "" or ":" in outer or ".." in (outer, *inner)):
                because = f"its path {shortened(row.path)!r} leads outside the folder"
                raise table_unusable(
                    file=file, line=None, because=because, hint=f"pass the file itself: --data {shell_word(file)}"
                )
            yield row if part is None else row._replace(path=f"{prefix}{row.path}", part=part)

    def _lay_out(self, file: Path, rows: Sequence[Row], lists: Sequence[Path]) -> tuple[Layout, list[list[str]]]:
        folder = self._image_root
        tables = [ListTable.of(one, self.choice, is_known_form=True) for one in lists if not is_json_labels(one)]
        named = sorted({name for table in tables for name in table.named})
        is_settled = self.choice.label_separator is not None or bool(named)
        locate = PathLookup(file, folder, self.progress, self.tell).locate
        return lay_out_rows(RowsOfList(folder, file, rows, named, is_settled, locate, self.choice.folders), self.progress)


def _split_folders(root: Path, inside: Inside) -> Mapping[str, Part]:
    """Return the part of each split folder, by path from ``root``; a single folder around them is entered.

    Raises SPLIT_NAMED_TWICE: two folders mean the same split.
    """
    if claims := split_claims(inside.folders):
        if twice := next((names for names in claims.values() if len(names) > 1), None):
            raise split_named_twice(folder=root, names=twice)
        return {name: part for part, (name,) in claims.items()}
    if len(inside.folders) != 1:
        return {}
    (name,) = inside.folders
    return {f"{name}/{inner}": part for inner, part in _split_folders(root / name, Inside.of(root / name)).items()}


def _split_of(path: str, parts: Mapping[str, Part]) -> tuple[Part | None, str]:
    """Return the split whose folder contains an image, and the image's path in that folder."""
    for folder, part in parts.items():
        if path.startswith(f"{folder}/"):
            return part, path.removeprefix(f"{folder}/")
    return None, path


def _holds_classes(root: Path, inside: Inside) -> bool:
    """Whether sub-folders can be classes: inside split folders, or two that contain images or folders."""
    if parts := _split_folders(root, inside):
        return any(Inside.of(root / folder).folders for folder in parts)
    held = (Inside.of(root / name) for name in inside.folders)
    filled = islice((inner for inner in held if inner.has_images or inner.folders), _FEWEST_CLASSES)
    if len(inside.folders) == 1:
        return any(_holds_classes(root / inside.folders[0], inner) for inner in filled)
    return len(list(filled)) == _FEWEST_CLASSES


def _has_class_folders(stamps: Sequence[Sequence[str]], layout: Layout, parts: Mapping[str, Part]) -> bool:
    """Whether each listed image is in a folder named after a label, or each folder contains images of a single label."""
    labels_in: dict[str, set[object]] = {}
    labels: Mapping[str, object] = layout.labels or {}
    for folder, inside in zip(layout.folders, stamps, strict=True):
        for stamp in inside:
            path = stamp.rsplit("/", 4)[0]
            labels_in.setdefault(_split_of(path, parts)[1].rpartition("/")[0], set()).add(labels.get(path, folder.label))
    names = {nfc(name).casefold() for name in layout.classes}
    if all(names.intersection(nfc(folder).casefold().split("/")) for folder in labels_in):
        return True
    return "" not in labels_in and all(len(shown) < _LABELS_OF_ONE for shown in labels_in.values())


def is_json_labels(file: Path) -> bool:
    """Whether a data path is a JSON file of labels: COCO annotations, or Edge Impulse's ``info.labels``."""
    return file.name.lower().endswith((COCO, EDGE_IMPULSE)) and file.is_file()


def rows_of_json(file: Path) -> Iterator[Row]:
    """Yield the images of a JSON file of labels.

    Raises LABEL_FILE_UNUSABLE: unknown form, or not exactly one class per image. WRONG_BYTES: see ``refuse_known_cause``.
    """
    refuse_known_cause(file)
    form = _FORMS[file.name.lower().endswith(EDGE_IMPULSE)]
    try:
        content = json.loads(bounded_content(file, _BYTES_MAX))
        rows = _rows_of_edge_impulse(content) if form == _FORMS[True] else _rows_of_coco(content)
        for text, label, split in rows:
            path = text.strip()
            if because := path_fault(path):
                raise ValueError(f"of an image, {because}" if path else "an image has no path")
            if (part := split_name(split)) is None:
                raise ValueError(f"its image {shortened(path)!r} has the split {shortened(split)!r}")
            if not (name := label_name(file, None, label)):
                raise ValueError(f"its image {shortened(path)!r} has a class without a name")
            yield Row(path, name, part.part)
    except OSError as error:
        raise LABEL_FILE_UNUSABLE(file=file, form=form, because=system_reason(error)) from error
    except RecursionError as error:
        raise LABEL_FILE_UNUSABLE(file=file, form=form, because="it is nested too deeply") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise LABEL_FILE_UNUSABLE(file=file, form=form, because=f"it has another format ({shortened(str(error))})") from error
    except ValueError as error:
        raise LABEL_FILE_UNUSABLE(file=file, form=form, because=shortened(str(error), 300)) from error


def _rows_of_coco(content: Any) -> Iterator[tuple[str, str, str]]:
    names = {category["id"]: cell_text(category["name"]) for category in content["categories"]}
    paths = {image["id"]: cell_text(image["file_name"]) for image in content["images"]}
    labels: dict[object, str] = {}
    for annotation in content["annotations"]:
        image, label = annotation["image_id"], names[annotation["category_id"]]
        if labels.setdefault(image, label) != label:
            both = f"{shortened(labels[image])!r} and {shortened(label)!r}"
            raise ValueError(f"its image {shortened(paths[image])!r} has the categories {both}")
    for image, path in paths.items():
        if image not in labels:
            raise ValueError(f"its image {shortened(path)!r} has no category")
        yield path, labels[image], "train"


def _rows_of_edge_impulse(content: Any) -> Iterator[tuple[str, str, str]]:
    for entry in content["files"]:
        label: Mapping[str, Any] = entry["label"]
        if label.get("type") != "label" or not cell_text(label.get("label")).strip():
            raise ValueError(f"its image {shortened(str(entry['path']))!r} has no single label")
        yield cell_text(entry["path"]), cell_text(label["label"]), str(entry["category"])
