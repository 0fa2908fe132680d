"""Decide from names alone which sub-folder is a class and which is a split.

A class may itself be called ``train`` (a vehicle, say). Split names therefore count only together: ``train`` next to a validation
or a test folder, or ``train`` alone with only folders inside. If both readings are possible, an error asks the user.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.class_names import nfc
from edgecnn.data.files import ListingProgress, content_of, skipped_phrases
from edgecnn.data.split_names import Part, has_split_word, is_annotation_layout, is_unlabelled, split_claims, split_name
from edgecnn.errors.data import (
    ONE_CLASS,
    FolderDoubt,
    NoClassFolders,
    data_path_unusable,
    no_class_folders,
    split_folders,
    split_named_twice,
    splits_differ,
    train_folder_missing,
)
from edgecnn.errors.usage import path_too_long
from edgecnn.errors.wording import first_of, no_unicode
from edgecnn.runner.causes import is_skipped
from edgecnn.store.disk import lacks_home, user_path
from edgecnn.values.dataset import LinkedImages, SkippedImages
from edgecnn.values.recipe import FolderReading

_LISTS: Final = (".csv", ".parquet")
_NAMED: Final = 10
HEAP: Final = "all images"
"""Name of the single class of images without labels."""


class ClassFolder(NamedTuple):
    """One class of one split: its folder of images. ``path`` is relative to the root, with slashes."""

    part: Part
    label: int
    path: str


class Layout(NamedTuple):
    """Class folders, splits and ignored folders of a data set."""

    root: Path
    classes: tuple[str, ...]
    parts: Mapping[Part, str]
    """Each split, and the name of its folder; empty if the root itself contains the classes."""
    folders: tuple[ClassFolder, ...]
    ignored: tuple[str, ...]
    """Folders next to the classes or splits that are neither."""
    groups: Mapping[str, str] | None = None
    """Group of each path, from the column that ``data.group_by`` names; None without such a column."""
    labels: Mapping[str, tuple[int, ...]] | None = None
    """Labels of each path in a multi-label list; None for other data."""
    held_out: str | None = None
    """The only split, if it is not the training split. Its images can be used if nothing is trained."""
    skipped_images: tuple[SkippedImages, ...] = ()
    """Files and folders with images that belong to no class."""
    links_out: LinkedImages | None = None
    """Images that links reach outside the folder; None if there are none."""

    @property
    def unused(self) -> str:
        """Ignored folders, and everything else with unused images; empty if there is nothing."""
        return first_of([*(f"{name}/" for name in self.ignored), *skipped_phrases(self.skipped_images)], _NAMED)

    def reordered(self, classes: tuple[str, ...]) -> Layout:
        """Return the layout with labels as indices of ``classes``, which names every class."""
        folders = tuple(folder._replace(label=classes.index(self.classes[folder.label])) for folder in self.folders)
        return self._replace(classes=classes, folders=folders)

    def require_trainable(self, named: Path, *, is_training: bool) -> None:
        """Raise TRAIN_FOLDER_MISSING if training needs images and there are none. ``named``: the folder or the list."""
        if is_training and self.held_out is not None:
            raise train_folder_missing(named=named, splits=[self.held_out], is_list=not self.parts)


def root_of(text: str) -> Path:
    """Return the folder of a data path: absolute, with ``~`` expanded.

    Raises DATA_PATH_UNUSABLE: the path is not a folder, or a manifest cannot name it. PATH_TOO_LONG.
    """
    if "\0" in text:
        raise data_path_unusable(path=text, because="it contains a NUL character")
    try:
        root = user_path(text)
        if lacks_home(root):
            raise data_path_unusable(path=text, because="there is no user of that name")
        root = root.absolute()
        str(root).encode("utf-8")
        root.lstat()
    except UnicodeEncodeError as error:
        raise data_path_unusable(path=text, because=f"{ascii(str(root))} {no_unicode(str(root))}") from error
    except OSError as error:  # an absent or unreadable folder has a clearer error
        if error.errno == errno.ENAMETOOLONG:
            raise path_too_long(path=root) from error
    return root


def find_layout(root: Path, progress: ListingProgress, reading: FolderReading | None = None) -> Layout:
    """Find classes and splits in one or two levels of folders, inside any single folder around them.

    ``root``: an absolute path. ``progress``: counts listed entries. ``reading``: as ``data.folders``.

    Raises:
        DataFolderMissing, DataNotAFolder, DATA_FOLDER_UNREADABLE, NAME_NOT_UNICODE: a folder cannot be listed.
        NoClassFolders, ONE_CLASS: the folder, or a split, has no sub-folder or only one.
        SPLITS_DIFFER, SPLIT_NAMED_TWICE: splits have different classes, or two folders mean the same split.
        TRAIN_FOLDER_MISSING: several splits without a training split.
        SplitFolders: the folders can be read in two ways, and ``reading`` does not decide.
    """
    root = innermost_folder(root, progress)
    names = folders_in(root, progress)
    progress.skip_outside(root, content_of(root, progress).images)
    if (layout := _split_layout(root, names, progress, reading)) is not None:
        return layout
    _refuse_annotations(root, names, reading)
    if reading == "nested":
        return _pooled_layout(root, names, progress)
    if reading is None and (inner := _classes_inside(root, names, progress)):
        raise split_folders(root, FolderDoubt(names, inner))
    names, ignored = _class_folders_of(root, names, reading)
    return Layout(root, _require_two_classes(root, names), {}, tuple(_class_folders(names, "train", "")), ignored)


def innermost_folder(folder: Path, progress: ListingProgress, *, as_split: bool = False) -> Path:
    """Return the innermost of single nested folders, in which archives and downloads often wrap a data set.

    ``as_split``: ``folder`` is a split, so the inner folder of ``seg_train/seg_train/`` is not another split.
    """
    while len((outer := content_of(folder, progress)).folders) == 1 and not outer.images:
        (name,) = outer.folders
        inner = content_of(folder / name, progress)
        is_split = split_name(name) is not None and not as_split and not split_claims(inner.folders)
        if is_split or inner.images or not inner.folders:
            break
        folder /= name
    return folder


def unlabelled_layout(root: Path, progress: ListingProgress) -> Layout:
    """Return the folder as one pool of images without labels, whatever its sub-folders.

    Raises DataFolderMissing, DataNotAFolder, DATA_FOLDER_UNREADABLE, NAME_NOT_UNICODE: as ``find_layout``.
    """
    with contextlib.suppress(NoClassFolders):
        folders_in(root, progress)
    return Layout(root, (HEAP,), {}, (ClassFolder("train", 0, ""),), ())


def natural_order(names: Sequence[str]) -> tuple[str, ...]:
    """Sort names by the numbers in them, ignoring case."""
    return tuple(sorted(names, key=_natural_key))


def _natural_key(name: str) -> tuple[object, ...]:
    pieces: list[object] = list(re.split(r"([0-9]+)", name.casefold()))
    for index, digits in enumerate(pieces):
        if index % 2:  # int() refuses very long numbers
            significant = str(digits).lstrip("0")
            pieces[index] = len(significant), significant
    return tuple(pieces), name


def folders_in(folder: Path, progress: ListingProgress) -> tuple[str, ...]:
    """Return the names of the sub-folders in natural order.

    Raises DataFolderMissing, DataNotAFolder, DATA_FOLDER_UNREADABLE, NAME_NOT_UNICODE, NoClassFolders: as ``find_layout``.
    """
    content = content_of(folder, progress)
    if not content.folders:
        raise no_class_folders(folder=folder, files=content.files)
    return natural_order(content.folders)


def _split_layout(root: Path, names: Sequence[str], progress: ListingProgress, reading: FolderReading | None) -> Layout | None:
    """Return the layout of split folders; None if the sub-folders are not splits."""
    parts = _split_folders_by_name(root, names, progress)
    holders = {part: innermost_folder(root / name, progress, as_split=True) for part, name in parts.items()}
    inside = {part: content_of(holder, progress).folders for part, holder in holders.items()}
    if not any(inside.values()):
        if parts and reading != "classes":
            lists = (path for path in root.iterdir() if path.suffix.lower() in _LISTS and not is_skipped(path.name))
            raise split_folders(root, FolderDoubt(list(parts.values()), lists=sorted(lists)))
        return None
    _refuse_annotations(holders["train"], inside["train"], reading)
    train, unlabelled = _class_folders_of(holders["train"], folders_in(holders["train"], progress), reading)
    classes = _require_two_classes(holders["train"], train)
    ignored = [name for name in names if name not in parts.values()]
    ignored += [f"{parts['train']}/{name}" for name in unlabelled]
    others, called = [part for part in parts if part != "train"], {"train": classes}
    for part in others:
        there, unlabelled = _class_folders_of(holders[part], inside[part], reading)
        ignored += [f"{parts[part]}/{name}" for name in unlabelled]
        if not there or len(there) == 1 and there[0] not in classes:  # test/ or test/unknown/, as in competitions
            ignored.append(parts.pop(part))
        else:
            _require_same_classes(root, parts["train"], classes, parts[part], there)
            called[part] = tuple(there)
    folders: list[ClassFolder] = []
    for split in parts:
        progress.skip_outside(holders[split], content_of(holders[split], progress).images)
        prefix, spelt = f"{holders[split].relative_to(root).as_posix()}/", {nfc(name): name for name in called[split]}
        names_there = [name if name in called[split] else spelt[nfc(name)] for name in classes]
        folders += _class_folders(names_there, split, prefix)
    named = split_name(parts["train"])
    held_out = None if named is None or named.part == "train" else parts["train"]
    return Layout(root, classes, parts, tuple(folders), tuple(ignored), held_out=held_out)


def _split_folders_by_name(root: Path, names: Sequence[str], progress: ListingProgress) -> dict[Part, str]:
    """Return the split of each folder; none if the folders are classes."""
    if claims := split_claims(names):
        if twice := next((claimed for claimed in claims.values() if len(claimed) > 1), None):
            raise split_named_twice(folder=root, names=twice)
        return {part: name for part, (name, *_) in claims.items()}
    named = {name: split for name in names if (split := split_name(name)) is not None}
    if len(named) == len(names) and len({split.division for split in named.values()}) == 1:
        if len(names) == 1 and content_of(root / names[0], progress).folders:
            return {"train": names[0]}
        if all(split.part != "train" for split in named.values()):
            raise train_folder_missing(named=root, splits=names)
    return {}


def _classes_inside(root: Path, names: Sequence[str], progress: ListingProgress) -> tuple[str, ...]:
    """Return the sub-folders, if all outer folders contain the same two or more, or all are split names; else nothing."""
    held = [content_of(root / name, progress) for name in names] if len(names) > 1 else []
    if any(inside.images or not inside.folders for inside in held):
        return ()
    spelt = [{nfc(name): name for name in inside.folders} for inside in held]
    every = {composed_name: name for inside in spelt for composed_name, name in inside.items()}
    are_alike = all(len(inside) == len(every) for inside in spelt)
    return natural_order(list(every.values())) if len(every) > 1 and (are_alike or all(map(has_split_word, names))) else ()


def _pooled_layout(root: Path, outer: Sequence[str], progress: ListingProgress) -> Layout:
    """Pool the inner folders of all outer folders as classes, whatever the outer ones mean."""
    inside = {name: content_of(root / name, progress).folders for name in outer}
    every = {nfc(inner): inner for folders in inside.values() for inner in folders if not is_unlabelled(inner)}
    if not every:
        raise no_class_folders(folder=root / outer[0], files=content_of(root / outer[0], progress).files)
    classes = _require_two_classes(root, natural_order(list(every.values())))
    folders = [
        ClassFolder("train", classes.index(every[nfc(inner)]), f"{name}/{inner}")
        for name in outer
        for inner in inside[name]
        if nfc(inner) in every
    ]
    buckets = [f"{name}/{inner}" for name in outer for inner in inside[name] if nfc(inner) not in every]
    return Layout(root, classes, {}, tuple(folders), (*(name for name in outer if not inside[name]), *buckets))


def _class_folders_of(
    folder: Path, names: tuple[str, ...], reading: FolderReading | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class folders, and the folders of unlabelled images."""
    buckets = tuple(name for name in names if is_unlabelled(name))
    if not buckets or reading == "classes":
        return names, ()
    if reading is None:
        raise split_folders(folder, FolderDoubt(buckets))
    return tuple(name for name in names if name not in buckets), buckets


def _refuse_annotations(folder: Path, names: Sequence[str], reading: FolderReading | None) -> None:
    """Raise SplitFolders: the folders are images and annotations of a tool for detection or segmentation."""
    if reading is None and is_annotation_layout(names):
        raise split_folders(folder, FolderDoubt(natural_order(names), are_annotations=True))


def _require_two_classes(folder: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) == 1:
        raise ONE_CLASS(folder=folder, name=names[0])
    return names


def _require_same_classes(root: Path, train: str, classes: Sequence[str], other: str, there: Sequence[str]) -> None:
    here, known = set(map(nfc, classes)), set(map(nfc, there))
    only_here = [name for name in classes if nfc(name) not in known]
    only_there = [name for name in there if nfc(name) not in here]
    if only_here or only_there:
        raise splits_differ(folder=root / train, other=root / other, only_here=only_here, only_there=only_there)


def _class_folders(classes: Sequence[str], part: Part, prefix: str) -> Iterator[ClassFolder]:
    for label, name in enumerate(classes):
        yield ClassFolder(part, label, f"{prefix}{name}")
