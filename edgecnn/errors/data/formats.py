"""Failures of images that are not in a plain folder: a published data set, a list, an archive, the embedded demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import nearest, shortened


class NotInClassNames(EdgecnnError):
    """A folder's name is not in the file of ``data.classes``, or in the model's metadata. The field ``folder`` is the name."""


class ManifestUnreadable(EdgecnnError):
    """The list of images in a plan cannot be read again."""


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
