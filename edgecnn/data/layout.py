"""Which sub-folder is a class and which a split, told from names alone.

A class may itself be called ``train`` (a vehicle, say), so names of splits count as such only together: ``train`` beside a
validation or a test folder, or alone with nothing but folders in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from edgecnn.data.listing import ListingProgress, is_folder
from edgecnn.errors.base import system_reason
from edgecnn.errors.data.folder import (
    DataFolderMissing,
    DataFolderUnreadable,
    DataNotAFolder,
    DataPathUnusable,
    NameNotUnicode,
    NoClassFolders,
    OneClass,
    SplitNamedTwice,
    SplitsDiffer,
    TrainFolderMissing,
)
from edgecnn.errors.usage import PathTooLong
from edgecnn.errors.wording import no_unicode
from edgecnn.runner.causes.known import LEFT_BEHIND

Part = Literal["train", "validation", "test"]

PART_NAMES: Final[Mapping[str, Part]] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""Compared without regard to case."""
HEAP: Final = "all images"
"""What the one class of images without labels is called, where a sentence needs a name for it."""


class ClassFolder(NamedTuple):
    """One class of one split: where its images are. ``path`` is relative to the root, with slashes."""

    part: Part
    label: int
    path: str


class Layout(NamedTuple):
    """What a folder of images is made of."""

    root: Path
    classes: tuple[str, ...]
    parts: Mapping[Part, str]
    """Each split that is there, and the name of its folder; empty where the root itself holds the classes."""
    folders: tuple[ClassFolder, ...]
    ignored: tuple[str, ...]
    """Folders beside the splits that are none."""
    groups: Mapping[str, str] | None = None
    """Of a list with the column that ``data.group_by`` names: each path's cell. None where there is none."""
    labels: Mapping[str, tuple[int, ...]] | None = None
    """Of a multi-label list: each path's labels. None of any other."""
    held_out: str | None = None
    """The only split that is there, where it is none to train on: its images are to be had where nothing is trained."""

    def in_order(self, classes: tuple[str, ...]) -> Layout:
        """The same folders, their labels counted in ``classes``, which names each of them."""
        folders = tuple(each._replace(label=classes.index(self.classes[each.label])) for each in self.folders)
        return self._replace(classes=classes, folders=folders)

    def require_trainable(self, named: Path, *, asked: bool) -> None:
        """Raises TrainFolderMissing: training is asked for, and there are no images for it. ``named``: the folder or the list."""
        if asked and self.held_out is not None:
            raise TrainFolderMissing(named=named, found=[self.held_out], is_list=not self.parts)


def root_of(text: str) -> Path:
    """The folder that a data path means: absolute, counted from the current folder, its ``~`` filled in.

    Raises DataPathUnusable: no folder can be meant, or none that a manifest could name. PathTooLong.
    """
    if "\0" in text:
        raise DataPathUnusable(path=text, because="it holds a NUL character")
    try:
        root = Path(text).expanduser().absolute()
        str(root).encode("utf-8")
        root.lstat()
    except RuntimeError as error:
        raise DataPathUnusable(path=text, because="nobody's home folder is known by that name") from error
    except UnicodeEncodeError as error:
        raise DataPathUnusable(path=text, because=f"{ascii(str(root))} {no_unicode(str(root))}") from error
    except OSError as error:  # an absent or unreadable folder has a clearer error of its own
        if error.errno == errno.ENAMETOOLONG:
            raise PathTooLong(path=root) from error
    return root


def find_layout(root: Path, seen: ListingProgress) -> Layout:
    """Read the names of one or two levels of folders.

    ``root``: an absolute path. ``seen``: counts what is looked at.

    Raises:
        DataFolderMissing, DataNotAFolder, DataFolderUnreadable, NameNotUnicode: of a folder itself.
        NoClassFolders, OneClass: no sub-folder in it or in one of its splits, or a single one.
        SplitsDiffer, SplitNamedTwice: two splits with other classes; val/ and validation/.
        TrainFolderMissing: several splits, but none to train on.
    """
    names = folders_in(root, seen)
    parts = _parts(root, names, seen)
    if not parts:
        return Layout(root, _classes(root, names), {}, tuple(_class_folders(names, "train", "")), ())
    inside = {part: natural_order(folders_in(root / name, seen)) for part, name in parts.items()}
    classes = _classes(root / parts["train"], inside["train"])
    for part, name in parts.items():
        _same_classes(root, parts["train"], classes, name, inside[part])
    folders = [folder for part, name in parts.items() for folder in _class_folders(classes, part, f"{name}/")]
    ignored = tuple(name for name in names if name not in parts.values())
    held_out = parts["train"] if PART_NAMES[parts["train"].lower()] != "train" else None
    return Layout(root, classes, parts, tuple(folders), ignored, held_out=held_out)


def unlabelled_layout(root: Path, seen: ListingProgress) -> Layout:
    """The folder as one heap of images, whatever sub-folders it has: nothing in it is taken for a label.

    Raises DataFolderMissing, DataNotAFolder, DataFolderUnreadable, NameNotUnicode: as ``find_layout``.
    """
    with contextlib.suppress(NoClassFolders):
        folders_in(root, seen)
    return Layout(root, (HEAP,), {}, (ClassFolder("train", 0, ""),), ())


def natural_order(names: Sequence[str]) -> tuple[str, ...]:
    """Sorted as a person would: by the numbers in them, and without regard to case."""
    return tuple(sorted(names, key=_natural))


def _natural(name: str) -> tuple[object, ...]:
    pieces = re.split(r"([0-9]+)", name.casefold())
    return (tuple(_number(piece) if index % 2 else piece for index, piece in enumerate(pieces)), name)


def _number(digits: str) -> tuple[int, str]:
    """Ordered as the numbers are, of which Python converts only the shorter ones."""
    held = digits.lstrip("0")
    return len(held), held


def folders_in(folder: Path, seen: ListingProgress) -> tuple[str, ...]:
    """The names of the sub-folders, in a person's order.

    Raises DataFolderMissing, DataNotAFolder, DataFolderUnreadable, NameNotUnicode, NoClassFolders: as ``find_layout``.
    """
    names, files = [], 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                seen.one()
                if entry.name[0] == "." or entry.name in LEFT_BEHIND:
                    continue
                if is_folder(entry):
                    names.append(entry.name)
                else:
                    files += 1
    except FileNotFoundError:
        raise DataFolderMissing(folder=folder) from None
    except NotADirectoryError:
        raise DataNotAFolder(path=folder) from None
    except OSError as error:
        raise DataFolderUnreadable(folder=folder, because=system_reason(error)) from error
    for name in names:
        if not name.isprintable() and any(0xDC80 <= ord(letter) <= 0xDCFF for letter in name):  # os.fsdecode's mark of such bytes
            raise NameNotUnicode(folder=folder, name=name)
    if not names:
        raise NoClassFolders(folder=folder, files=files)
    return natural_order(names)


def _parts(root: Path, names: Sequence[str], seen: ListingProgress) -> dict[Part, str]:
    found: dict[Part, list[str]] = {"train": [], "validation": [], "test": []}
    for name in names:
        if name.lower() in PART_NAMES:
            found[PART_NAMES[name.lower()]].append(name)
    present = [part for part, claimed in found.items() if claimed]
    if present == ["train"] and not (len(names) == 1 and _holds_folders(root / names[0], seen)):
        return {}
    if "train" not in present:
        if present and len(names) == 1 and _holds_folders(root / names[0], seen):
            return {"train": names[0]}
        if present and len(names) == sum(map(len, found.values())):
            raise TrainFolderMissing(named=root, found=names)
        return {}
    for claimed in found.values():
        if len(claimed) > 1:
            raise SplitNamedTwice(folder=root, names=claimed)
    return {part: found[part][0] for part in present}


def _holds_folders(folder: Path, seen: ListingProgress) -> bool:
    try:
        return bool(folders_in(folder, seen))
    except NoClassFolders:
        return False


def _classes(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    if len(names) == 1:
        raise OneClass(folder=folder, name=names[0])
    return tuple(names)


def _same_classes(root: Path, train: str, classes: Sequence[str], other: str, there: Sequence[str]) -> None:
    only_here = [name for name in classes if name not in there]
    only_there = [name for name in there if name not in classes]
    if only_here or only_there:
        raise SplitsDiffer(folder=root / train, other=root / other, only_here=only_here, only_there=only_there)


def _class_folders(classes: Sequence[str], part: Part, prefix: str) -> Iterator[ClassFolder]:
    for label, name in enumerate(classes):
        yield ClassFolder(part, label, f"{prefix}{name}")
