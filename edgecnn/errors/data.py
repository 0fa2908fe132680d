"""Failures of images: folders, published sets, archives, the embedded demo, and images composed from cut-outs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import (
    and_more,
    counted,
    file_fault,
    first_quoted,
    listed,
    nearest,
    no_unicode,
    none_of,
    plural,
    shell_word,
    shortened,
)


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


class Shortage(NamedTuple):
    """A class that cannot fill its roles. ``copies`` and ``skipped`` are its excluded files, with reasons."""

    name: str
    images: int
    needed: int
    roles: Sequence[str]
    copies: Sequence[str] = ()
    skipped: Sequence[str] = ()


class NotInClassNames(EdgecnnError):
    """A folder's name is not in the file of ``data.classes``, or in the model's metadata. The field ``folder`` is the name."""


class ManifestUnreadable(EdgecnnError):
    """The list of images in a plan cannot be read again."""


_SHAPE = "make one sub-folder of images for each class, or train/, val/ and test/ with such sub-folders"
_NAMED = 5
_EXAMPLES = 3
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
LINK_LEADS_OUT = ErrorRow(
    "link-leads-out",
    "{path} leads out of the data folder",
    "a link leads to {target}, and the recipe states data.links = refuse",
    "copy the file into the folder, or allow such links: --set data.links=follow",
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
LABELS_LOOK_MISSING = ErrorRow(
    "labels-look-missing",
    "{images:counted image} in {file} may have no label",
    "{because}",
    "{hint}",
    kind=SplitFolders,
    also=("names", "folder", "doubt"),
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
UNKNOWN_PUBLISHED_DATA = ErrorRow(
    "unknown-published-data", "torchvision:{name} is not a known data set", "known data sets: {known:commas}", "{hint}"
)
PUBLISHED_DATA_UNAVAILABLE = ErrorRow(
    "published-data-unavailable",
    "torchvision:{name} is not in {copies} and could not be downloaded",
    "{because}",
    "put torchvision's copy of the data set there, or set EDGECNN_TORCHVISION to its folder",
    exit_code=ExitCode.MISSING,
)
IDX_UNUSABLE = ErrorRow(
    "idx-unusable",
    "{file} cannot be used as an IDX file",
    "{because}",
    "use the format of MNIST: images are bytes in 3 dimensions (count, rows, columns), labels are bytes in 1 dimension (count)",
)
IDX_INCOMPLETE = ErrorRow(
    "idx-incomplete", "{found.parent} has {found.name} but no {missing}", fix="add {missing} or {missing}.gz to the folder"
)
CLASS_NAMES_UNUSABLE = ErrorRow(
    "class-names-unusable",
    "{file} cannot be used as a list of class names",
    "{because}",
    "write one class name on each line, in the order of the labels",
)
TABLE_NOT_DIVIDED = ErrorRow(
    "table-not-divided",
    "the images of the list {file} cannot be copied into split folders",
    "the listed files may be in any folder",
    "add a third column, split, to the list (path,label,split); a build reads the splits from it",
)
CLASS_NOT_A_FOLDER = ErrorRow(
    "class-not-a-folder",
    "the class {name!r} in {root} cannot become a folder",
    "{because}",
    "give the class another name, such as T-shirt-top for T-shirt/top",
)
DEMO_HAS_NO_FOLDER = ErrorRow(
    "demo-has-no-folder",
    "demo means the embedded images, which have no folder",
    fix="pass a folder; write ./demo for a folder named demo",
)
TABLE_UNUSABLE = ErrorRow("table-unusable", "{place} cannot be used", "{because}", "{hint}", also=("file",))
NO_IMAGENET_CLASS = ErrorRow(
    "no-imagenet-class",
    "{folder!r} in {root} is not one of ImageNet's 1,000 classes",
    fix="{guess}name each folder by the WordNet id (n01440764) or the name (tench) of its class",
)
NOT_IN_CLASS_NAMES = ErrorRow(
    "not-in-class-names",
    "{folder!r} in {root} is not one of the classes in {file}",
    "{because}",
    "{guess}name each folder after its class{instead}",
    kind=NotInClassNames,
)
FOLDERS_OF_ONE_CLASS = ErrorRow(
    "folders-of-one-class",
    "{folders[0]!r} and {folders[1]!r} in {root} both match class {name!r} of {file}",
    fix="merge them, or give each its own name in {file}",
)
CLASS_ORDER_OPEN = ErrorRow(
    "class-order-open",
    "the order of the model's classes is unknown for {root}",
    "class {place} is {folder!r} in natural order, and {character!r} in the order of ImageFolder and Keras",
    "pass --set data.classes=sorted for the order of ImageFolder and Keras, data.classes=folders for natural order, "
    "or data.classes=FILE with one class on each line",
)
LIST_WITHOUT_LABELS = ErrorRow(
    "list-without-labels",
    "{file} has a label for each image, but --no-labels ignores labels",
    fix="remove --no-labels, or pass a folder of images",
)
ARCHIVE_UNUSABLE = ErrorRow(
    "archive-unusable", "{file} cannot be unpacked", "{because}", "unpack the file yourself and pass the folder"
)
ARCHIVES_OF_ONE_NAME = ErrorRow(
    "archives-of-one-name",
    "{names:listed} in {folder} have the same name, {bare!r}",
    "the name of an archive, without its suffix, is its class, split or shard",
    "keep one of the archives, or rename one",
)
MANIFEST_UNREADABLE = ErrorRow(
    "manifest-unreadable",
    "{path} cannot be read as a list of images",
    "{because}",
    "rm {path:word}, then rerun the command",
    exit_code=ExitCode.OWN_FAULT,
    kind=ManifestUnreadable,
)
DEMO_DAMAGED = ErrorRow(
    "demo-damaged",
    "{path} is not the demo that was shipped",
    "{because}",
    "pip install --force-reinstall --no-deps edgecnn",
    exit_code=ExitCode.OWN_FAULT,
)
SYNTHESIS_INCOMPLETE = ErrorRow(
    "synthesis-incomplete",
    "synthesis.{stated} is set, but synthesis.{missing} is not",
    "a composed image needs a cut-out and a background",
    "pass --set synthesis.{missing}=FOLDER",
)
SYNTHESIS_NOT_FITTING = ErrorRow(
    "synthesis-not-fitting", "[synthesis] cannot be combined with {beside}", "{because}", "remove one of them"
)
SYNTHESIS_FOLDER_UNUSABLE = ErrorRow(
    "synthesis-folder-unusable", "the synthesis.{key} folder {folder} cannot be used", "{because}", "{hint}"
)
CUTOUT_CLASS_UNKNOWN = ErrorRow(
    "cutout-class-unknown",
    "the synthesis.cutouts folder {folder} has cut-outs of {which}",
    "no image has such a class, so it could not be calibrated or tested",
    "{hint}",
)
CLASSES_WITHOUT_CUTOUTS = ErrorRow(
    "classes-without-cutouts",
    "the synthesis.cutouts folder {folder} has no cut-out of {which}",
    "if only some classes have composed images, a network can recognize them by the composition alone",
    "add cut-outs of these classes, or pass --set synthesis.classes=some to allow classes without cut-outs",
)
CUTOUTS_UNUSABLE = ErrorRow(
    "cutouts-unusable",
    "{broken:number} of {checked:,} images in {folder} cannot be used as cut-outs",
    "{because}",
    "save each object as PNG or WebP with transparency around it, or remove the files",
)


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
    also = [f"{first_quoted(others)} also {plural(len(others), 'has', 'have')} too few images"] if others else []
    return TOO_FEW_IMAGES(
        folder=folder,
        name=first.name,
        found=first.images,
        roles=first.roles,
        needed=first.needed,
        because="; ".join((*_files_without_images(first), *also)),
    )


def folds_beside_split(root: Path, folds: int, splits: Sequence[str]) -> EdgecnnError:
    own = plural(len(splits), "a separate split", "separate splits")
    return FOLDS_BESIDE_SPLIT(root=root, folds=folds, splits=own, names=splits)


def _files_without_images(short: Shortage) -> Sequence[str]:
    """Return the folder's files that are not images."""
    verbs = ("is a copy", "are copies"), ("is not a readable image", "are not readable images")
    pieces = [
        f"{counted(len(files), *verb)} ({'; '.join(files[:_EXAMPLES])}{and_more(len(files), _EXAMPLES)})"
        for files, verb in zip((short.copies, short.skipped), verbs, strict=True)
        if files
    ]
    total = short.images + len(short.copies) + len(short.skipped)
    return [f"of its {counted(total, 'file')}, {' and '.join(pieces)}"] if pieces else []


def splits_differ(
    folder: Path, other: Path, only_here: Sequence[str], only_there: Sequence[str], is_flat: bool = False
) -> EdgecnnError:
    """``is_flat``: the other split has no sub-folders."""
    facts = [
        f"only {where.name}/ has {first_quoted(names)}" for where, names in ((folder, only_here), (other, only_there)) if names
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


class FolderDoubt(NamedTuple):
    """What can be read in two ways."""

    names: Sequence[str]
    """The ambiguous folders, or the labels of a list."""
    inner: Sequence[str] = ()
    """Sub-folders that all folders contain; none if only the names are ambiguous."""
    lists: Sequence[Path] | None = None
    """Files that may contain the labels of splits; None if the names are not those of splits."""
    images: int = 0
    """Number of images that a list labels with ``names``; 0 if the names are folders."""
    are_annotations: bool = False
    """Whether a tool for detection or segmentation made the folders."""


def split_folders(folder: Path, doubt: FolderDoubt, *, option: str = "--set data.folders=") -> EdgecnnError:
    """``folder``: the folder, or the list. ``option``: the option that decides, up to its value."""
    names, inner, lists = doubt.names, doubt.inner, doubt.lists
    quoted, as_classes = _listed(list(map(repr, names))), f"{option}classes"
    if doubt.images:
        write = plural(len(names), "is a word", "are words")
        because = f"{quoted} {write} for a missing label"
        hint = f"pass {option}labelled to skip these images, or {as_classes} if {quoted}"
        hint += f" {plural(len(names), 'is a class', 'are classes')}"
        return LABELS_LOOK_MISSING(
            images=doubt.images, file=folder, folder=folder, names=names, because=because, hint=hint, doubt=doubt
        )
    if doubt.are_annotations:
        fact = "are the images and annotations of a tool for detection or segmentation"
        hint = "write a list with the columns path and label, or cut out each object into a folder for its class"
        hint += f"; pass {as_classes} if {quoted} are the classes"
    elif inner:
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


def unknown_published_data(name: str, known: Sequence[str]) -> EdgecnnError:
    folded = {published.casefold(): published for published in known}
    near = nearest(name.casefold(), folded)
    hint = f"did you mean torchvision:{folded[near]}?" if near else "pass a folder with a sub-folder for each class"
    return UNKNOWN_PUBLISHED_DATA(name=ascii(name)[1:-1][:100], known=known, hint=hint)


def class_not_a_folder(root: Path, name: str, because: str) -> EdgecnnError:
    return CLASS_NOT_A_FOLDER(root=root, name=shortened(name), because=because)


def table_unusable(
    file: Path, line: int | None, because: str, hint: str | None = None, is_handed_out: bool = False
) -> EdgecnnError:
    """Rows of a Parquet file count from 1. ``hint``: the fix, if the cause has one. ``is_handed_out``: the list comes with
    ImageNet's validation images, and states their classes.
    """
    is_text = is_handed_out or file.suffix.lower() != ".parquet"
    if is_handed_out:
        usual = f"use {file.name} as it is distributed, or make a sub-folder of images for each class"
    elif is_text:
        usual = (
            "write path,label or path,label,split on the first line and one image on each further line; for several labels, "
            "replace label with a column labels, as in cat|dog, or with a column of 0 and 1 for each label"
        )
    else:
        usual = (
            "write the columns path and label, or path, label and split, with one image in each row; for several labels, "
            "replace label with a column labels that holds lists, or with a column of 0 and 1 for each label"
        )
    place = f"the list {file}" if line is None else f"{'line' if is_text else 'row'} {line} of the list {file}"
    return TABLE_UNUSABLE(place=place, because=because, hint=hint or usual, file=file)


def no_imagenet_class(root: Path, folder: str, nearest: str | None) -> EdgecnnError:
    return NO_IMAGENET_CLASS(root=root, folder=folder, guess=f"did you mean {nearest!r}? " if nearest else "")


def not_in_class_names(root: Path, folder: str, file: str, nearest: str | None, is_stated: bool = True) -> EdgecnnError:
    """``is_stated``: ``data.classes`` names the file; otherwise it is the model's metadata."""
    instead = (
        ", or pass --set data.classes=folders if they are in the model's order, or data.classes=FILE with one class per line"
    )
    return NOT_IN_CLASS_NAMES(
        root=root,
        folder=folder,
        file=file,
        because=None if is_stated else "other folders match, so edgecnn cannot tell the order of the model's classes",
        guess=f"did you mean {nearest!r}? " if nearest else "",
        instead="" if is_stated else instead,
    )


def class_order_open(root: str, folders: Sequence[str], characters: Sequence[str]) -> EdgecnnError:
    """``folders``: in natural order; ``characters``: in the order of character codes."""
    place = next(place for place, pair in enumerate(zip(folders, characters, strict=True)) if len(set(pair)) > 1)
    return CLASS_ORDER_OPEN(root=root, place=place + 1, folder=folders[place], character=characters[place])


def synthesis_folder_unusable(key: str, folder: Path, because: str, hint: str | None = None) -> EdgecnnError:
    shapes = {"cutouts": "sub-folders, one for each class, with images that have an alpha channel", "backgrounds": "images"}
    hint = hint or f"pass a folder of {shapes[key]}"
    return SYNTHESIS_FOLDER_UNUSABLE(key=key, folder=folder, because=because, hint=hint)


def cutout_class_unknown(folder: Path, names: Sequence[str], classes: Sequence[str]) -> EdgecnnError:
    near = nearest(names[0], classes)
    hint = (
        f"if {names[0]} and {near} are one class, rename {names[0]} to {near}"
        if near
        else "add images of the class, or remove its folder"
    )
    return CUTOUT_CLASS_UNKNOWN(
        folder=folder, which=f"{plural(len(names), 'an unknown class', 'unknown classes')}, {first_quoted(names)}", hint=hint
    )


def classes_without_cutouts(folder: Path, names: Sequence[str]) -> EdgecnnError:
    return CLASSES_WITHOUT_CUTOUTS(folder=folder, which=first_quoted(names))


def cutouts_unusable(folder: str, broken: Sequence[tuple[str, str]], checked: int) -> EdgecnnError:
    because = "; ".join(file_fault(path, why) for path, why in broken[:_NAMED]) + and_more(len(broken), _NAMED)
    return CUTOUTS_UNUSABLE(folder=folder, broken=tuple(broken), checked=checked, because=because)
