"""Failures of a folder of images: the fault, the file or class, and the fix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import and_more, counted, file_fault, listed, nearest, no_unicode, none_of, plural, shell_word

_SHAPE = "make one sub-folder of images for each class, or train/, val/ and test/ with such sub-folders"
_NAMED = 5
_EXAMPLES = 3


class DataFolderMissing(EdgecnnError):
    """The path of --data does not exist."""


class DataNotAFolder(EdgecnnError):
    """--data names a file."""


class NoClassFolders(EdgecnnError):
    """A folder has no sub-folders that could be classes. The field ``files`` counts its files."""


class TooFewImages(EdgecnnError):
    """Classes have too few images for their roles."""


class FoldsBesideSplit(EdgecnnError):
    """Folds would mix the user's own splits, whose test images must stay test images."""


class SplitFolders(EdgecnnError):
    """Folders can be read in two ways, and the user has to choose."""


class NothingReadable(EdgecnnError):
    """There are files, but none is an image."""


class CorruptImages(EdgecnnError):
    """Files look like images but cannot be decoded. The field ``broken`` has their paths and reasons."""


DATA_FOLDER_MISSING = ErrorRow(
    "data-folder-missing",
    "the folder {folder} does not exist",
    fix="pass a folder of images, a list FILE.csv or FILE.parquet, or a zip of a folder",
    kind=DataFolderMissing,
)
DATA_PATH_UNUSABLE = ErrorRow("data-path-unusable", "the data path {path} cannot be used", "{because}", "choose another path")
DATA_NOT_A_FOLDER = ErrorRow("data-not-a-folder", "{path} is not a folder", fix=_SHAPE, kind=DataNotAFolder)
DATA_FOLDER_UNREADABLE = ErrorRow(
    "data-folder-unreadable",
    "{folder} cannot be read",
    "{because}",
    "make the folder readable for this user, or pass another folder",
)
NO_CLASS_FOLDERS = ErrorRow(
    "no-class-folders", "{folder} has no class folders", "{because}", "{hint}", kind=NoClassFolders, also=("files",)
)
ONE_CLASS = ErrorRow(
    "one-class",
    "{folder} has only one class, {name!r}",
    "a classifier needs at least two classes",
    "add images of another class",
)
TOO_FEW_IMAGES = ErrorRow(
    "too-few-images",
    "class {name!r} in {folder} has {found:counted usable image}, but needs {needed} for {roles:listed}",
    "{because}",
    "add images to the class, or remove its folder",
    kind=TooFewImages,
)
FOLDS_BESIDE_SPLIT = ErrorRow(
    "folds-beside-split",
    "train.folds={folds} cannot be combined with the splits of {root}",
    "{root} already has {splits} for {names:listed}, and test images must not be used for training",
    "remove train.folds, or put all training images into one folder with a sub-folder for each class",
    kind=FoldsBesideSplit,
)
SPLITS_DIFFER = ErrorRow(
    "splits-differ", "{folder.name}/ and {other.name}/ in {folder.parent} have different classes", "{because}", "{hint}"
)
SPLIT_FOLDERS = ErrorRow(
    "split-folders", "the folders in {folder} can be read in two ways", "{because}", "{hint}", kind=SplitFolders, also=("doubt",)
)
SPLIT_NAMED_TWICE = ErrorRow("split-named-twice", "{names:listed} in {folder} mean the same split", fix="keep one of them")
TRAIN_FOLDER_MISSING = ErrorRow("train-folder-missing", "{what}", fix="{hint}", also=("named",))
NOTHING_READABLE = ErrorRow(
    "nothing-readable",
    "{none} in {folder} is a readable image",
    "{because}",
    "replace the files with images in a supported format, such as JPEG or PNG",
    kind=NothingReadable,
    also=("files",),
)
CORRUPT_IMAGES = ErrorRow(
    "corrupt-images",
    "{broken:number} of {checked:,} images in {root} cannot be decoded",
    "{because}",
    "replace or remove them and rerun the command; finished steps are kept",
    kind=CorruptImages,
)
IMAGE_GONE = ErrorRow("image-gone", "{path} can no longer be read", "{because}", "rerun the command")
IMAGE_CHANGED = ErrorRow("image-changed", "{path} changed after this run began", fix="rerun the command")
NAME_NOT_UNICODE = ErrorRow(
    "name-not-unicode", "the name {name} in {folder} {problem}", "the name would become a class", "rename the folder"
)


class Shortage(NamedTuple):
    """A class that cannot fill its roles. ``copies`` and ``skipped`` are its excluded files, with reasons."""

    name: str
    images: int
    needed: int
    roles: Sequence[str]
    copies: Sequence[str] = ()
    skipped: Sequence[str] = ()


def data_path_unusable(path: str, because: str) -> EdgecnnError:
    return DATA_PATH_UNUSABLE(path=ascii(path), because=because)


def no_class_folders(folder: Path, files: int, truth_files: Sequence[str] = (), looked_in: Sequence[str] = ()) -> EdgecnnError:
    """``truth_files``: names of files that would give the classes of ImageNet's validation images in the folder.

    ``looked_in``: other folders where they were searched, relative to the folder.
    """
    because, hint = f"it has {counted(files, 'file')} but no sub-folder" if files else "the folder is empty", _SHAPE
    if truth_files:
        named = listed(truth_files) if len(truth_files) != 2 else " nor ".join(truth_files)
        neither = "neither" if len(truth_files) == 2 else "not" if len(truth_files) == 1 else "none of"
        because = f"it contains ImageNet's validation images, but {neither} {named}, which would give their classes"
        places = listed(["the parent folder" if place == ".." else place for place in looked_in])
        hint = f"put one of these files there or in {places}, or make a sub-folder for each class"
    return NO_CLASS_FOLDERS(folder=folder, files=files, because=because, hint=hint)


def too_few_images(folder: Path, short: Sequence[Shortage]) -> EdgecnnError:
    """The first of ``short`` is explained in full."""
    first = short[0]
    others = list(dict.fromkeys(shortage.name for shortage in short if shortage.name != first.name))
    return TOO_FEW_IMAGES(
        folder=folder,
        name=first.name,
        found=first.images,
        roles=first.roles,
        needed=first.needed,
        because="; ".join((*_uncounted(first), *_short_too(others))),
    )


def folds_beside_split(root: Path, folds: int, splits: Sequence[str]) -> EdgecnnError:
    own = plural(len(splits), "a separate split", "separate splits")
    return FOLDS_BESIDE_SPLIT(root=root, folds=folds, splits=own, names=splits)


def _uncounted(short: Shortage) -> Sequence[str]:
    """Return the folder's files that are not images."""
    verbs = ("is a copy", "are copies"), ("is not a readable image", "are not readable images")
    pieces = [
        f"{counted(len(files), *verb)} ({'; '.join(files[:_EXAMPLES])}{and_more(len(files), _EXAMPLES)})"
        for files, verb in zip((short.copies, short.skipped), verbs, strict=True)
        if files
    ]
    total = short.images + len(short.copies) + len(short.skipped)
    return [f"of its {counted(total, 'file')}, {' and '.join(pieces)}"] if pieces else []


def _short_too(names: Sequence[str]) -> Sequence[str]:
    also = f"{', '.join(map(repr, names[:_NAMED]))}{and_more(len(names), _NAMED)}"
    return [f"{also} also {plural(len(names), 'has', 'have')} too few images"] if names else []


def splits_differ(
    folder: Path, other: Path, only_here: Sequence[str], only_there: Sequence[str], is_flat: bool = False
) -> EdgecnnError:
    """``is_flat``: the other split has no sub-folders."""
    facts = [
        f"only {where.name}/ has {', '.join(map(repr, names[:_NAMED]))}{and_more(len(names), _NAMED)}"
        for where, names in ((folder, only_here), (other, only_there))
        if names
    ]
    near = [(name, close) for name in only_there if (close := nearest(name, only_here))]
    hint = (
        f"if they are one class, rename {other.name}/{near[0][0]} to {near[0][1]}"
        if near
        else "give every split folder the same sub-folders"
    )
    if is_flat:
        hint = f"pass only {folder} or only {other}, or put images of the same classes into both"
    return SPLITS_DIFFER(folder=folder, other=other, because="; ".join(facts), hint=hint)


def split_folders(
    folder: Path,
    names: Sequence[str],
    inner: Sequence[str] = (),
    lists: Sequence[Path] | None = None,
    *,
    option: str = "--set data.folders=",
) -> EdgecnnError:
    """``names``: the ambiguous folders. ``inner``: the sub-folders that all of them contain; none if only the names are
    ambiguous.

    ``lists``: the files that may contain the labels of splits; None if the names are those of images without a label, not of
    splits. ``option``: the option that decides, up to its value.
    """
    quoted, as_classes = _listed(list(map(repr, names))), f"{option}classes"
    if inner:
        fact = f"contain no images, only the sub-folders {_folders(inner)}"
        hint = f"pass {option}nested if {_listed(list(map(repr, inner)))} are the classes, or {as_classes} if"
        hint += f" {quoted} are; folders named train, val and test are always splits"
    elif lists is not None:
        fact = "have the names of splits, but contain no class folders"
        hint = (
            f"pass --data {shell_word(lists[0])} if that list has their labels" if lists else "make a sub-folder for each class"
        )
        hint += f", pass --no-labels with your own model, or pass {as_classes} if {quoted} are the classes"
    else:
        name_suggests = plural(
            len(names), "is next to class folders, but its name suggests", "are next to class folders, but their names suggest"
        )
        fact = f"{name_suggests} images without labels"
        hint = f"pass {option}labelled to skip {quoted}, or {as_classes} to treat"
        hint += f" {plural(len(names), 'it as a class', 'them as classes')}"
    doubt = {"names": names, "inner": inner, "lists": lists}
    return SPLIT_FOLDERS(folder=folder, because=f"{_folders(names)} {fact}", hint=hint, doubt=doubt)


def _folders(names: Sequence[str]) -> str:
    return _listed([f"{name}/" for name in names])


def _listed(names: Sequence[str]) -> str:
    """Return the first of many."""
    return listed(names) if len(names) <= _EXAMPLES else f"{', '.join(names[:_EXAMPLES])}{and_more(len(names), _EXAMPLES)}"


def split_named_twice(folder: Path, names: Sequence[str]) -> EdgecnnError:
    return SPLIT_NAMED_TWICE(folder=folder, names=[f"{name}/" for name in names])


def train_folder_missing(named: Path, splits: Sequence[str], is_list: bool = False) -> EdgecnnError:
    """``is_list``: the splits are a column of a list."""
    if is_list:
        what = f"{named} has images with the split {listed(splits)}, but none with train"
        hint = "mark the training images as train, or list a single split without a split column"
    else:
        what = f"{named} has {listed([f'{name}/' for name in splits])} but no train/"
        hint = f"rename the folder of training images to {named / 'train'}, or pass a single split, such as {named / splits[0]}"
    return TRAIN_FOLDER_MISSING(what=what, hint=hint, named=named)


def nothing_readable(folder: Path, skipped: Sequence[str], is_one_reason: bool = False) -> EdgecnnError:
    """``skipped``: the files, each with its reason; ``is_one_reason``: the same for all."""
    one = f"{skipped[0]}; the same for the others" if is_one_reason and len(skipped) > _NAMED else None
    because = one or "; ".join(skipped[:_NAMED]) + and_more(len(skipped), _NAMED)
    return NOTHING_READABLE(folder=folder, files=len(skipped), none=none_of(len(skipped), "file"), because=because)


def corrupt_images(root: str, broken: Sequence[tuple[str, str]], checked: int) -> EdgecnnError:
    because = "; ".join(file_fault(path, why) for path, why in broken[:_NAMED]) + and_more(len(broken), _NAMED)
    return CORRUPT_IMAGES(root=root, broken=tuple(broken), checked=checked, because=because)


def name_not_unicode(folder: Path, name: str) -> EdgecnnError:
    return NAME_NOT_UNICODE(folder=folder, name=ascii(name), problem=no_unicode(name))
