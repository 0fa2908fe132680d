"""ImageNet's validation images as distributed: 50,000 in one folder, with a file that gives each image's class.

Three such files are in use: the devkit's ``ILSVRC2012_validation_ground_truth.txt``, whose numbers its ``meta.mat`` translates;
Kaggle's ``LOC_val_solution.csv``; and Caffe's ``val.txt``, which numbers the classes by WordNet ID. A part of the images is
enough, because each is looked up by its name. Training uses the folder ``train`` next to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.class_names import imagenet_ids
from edgecnn.data.files import ListingProgress, stamps_in
from edgecnn.data.formats.rows import Row, RowsOfList, lay_out_rows
from edgecnn.data.layout import ClassFolder, Layout, folders_in
from edgecnn.data.split_names import PART_NAMES
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import (
    NoClassFolders,
    no_class_folders,
    splits_differ,
    table_unusable,
)
from edgecnn.runner.files import bounded_content

_IMAGE: Final = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG", re.IGNORECASE)
_WORDNET: Final = re.compile(r"n\d{8}")
_KAGGLE: Final = re.compile(r"([^,]+),\s*(\S+).*")
"""An image and its class, followed by its boxes."""
_CAFFE: Final = re.compile(r"(\S+)\s+(\S+)")
_IMAGE_FOLDERS: Final = ("", "val", "ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val")
"""Possible folders of the images, relative to ``data.path``; the long ones are from Kaggle's archive."""
_TRUTH_FOLDERS: Final = (
    "",
    "..",
    "devkit/data",
    "../devkit/data",
    "ILSVRC2012_devkit_t12/data",
    "../ILSVRC2012_devkit_t12/data",
    "../../../..",
)
"""Possible folders of the class file, relative to the folder of the images."""
_LIST_BYTES_MAX: Final = 64 << 20
_FEWEST_CLASSES: Final = 2


class Flat(NamedTuple):
    """A folder of such images, and the file that gives their classes."""

    images: Path
    truth: Path
    siblings: tuple[str, ...] = ()
    """Folders next to it that are named like splits; empty if ``data.path`` is the folder of images, not its parent."""


def flat_imagenet(root: Path) -> Flat | None:
    """Return the validation images in a folder; None if the folder is another data set.

    Raises NoClassFolders: the images are there, but neither a file nor sub-folders give their classes.
    """
    for name in _IMAGE_FOLDERS:
        if (folder := root / name).is_dir() and any(map(_IMAGE.fullmatch, _names_in(folder))):
            places = (folder / relative / file for relative in _TRUTH_FOLDERS for file in _READERS)
            truth = next((place for place in places if place.is_file()), None)
            if truth is not None:
                return Flat(folder, truth.resolve(), _sibling_splits(folder) if name else ())
            _require_class_folders(folder)
            return None
    return None


def _require_class_folders(folder: Path) -> None:
    """Check that class folders exist. The flat images are then ignored."""
    inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if sum(entry.is_dir() for entry in inside) < _FEWEST_CLASSES:
        raise no_class_folders(folder=folder, files=len(inside), truth_files=tuple(_READERS), looked_in=_TRUTH_FOLDERS[1:])


def flat_layout(flat: Flat, progress: ListingProgress, *, trains: bool) -> tuple[Layout, list[list[str]]]:
    """Return the layout, as ``read_table`` does for a list of these images. Classes are WordNet IDs.

    ``trains``: whether to use ``train`` for training. It needs one folder for each WordNet ID; the flat images become
    ``validation``.

    Raises:
        TABLE_UNUSABLE: the file lacks an existing image or its class, or is damaged.
        ONE_CLASS: all images have the same class.
        SPLITS_DIFFER: ``train`` has other classes.
    """
    named = {int(match[1]): match.string for match in map(_IMAGE.fullmatch, _names_in(flat.images)) if match}
    class_of = _READERS[flat.truth.name](flat.truth)
    if missing := sorted(set(named) - set(class_of)):
        raise _unusable(flat.truth, f"it does not list {named[missing[0]]}")
    if odd := next((class_of[number] for number in named if not _WORDNET.fullmatch(class_of[number])), None):
        raise _unusable(flat.truth, f"{odd[:100]!r} is not a WordNet ID")
    rows = [Row(name, class_of[number], "train") for number, name in named.items()]
    layout, stamps = lay_out_rows(RowsOfList(flat.images, flat.truth, rows), progress)
    for train in (name for name in flat.siblings if trains and PART_NAMES[name.lower()] == "train"):
        if classes := _wordnet_folders(flat.images.parent / train, progress):
            learned = _layout_with_train(flat, train, classes, layout)
            return learned, [*(stamps_in(learned.root / train / name, progress) for name in classes), *stamps]
    return layout._replace(ignored=flat.siblings), stamps


def _layout_with_train(flat: Flat, train: str, classes: tuple[str, ...], shown: Layout) -> Layout:
    """Join the training folder ``train``, with the class folders ``classes``, and the validation images ``shown``."""
    root, name = flat.images.parent, flat.images.name
    only_here, only_there = (sorted(set(one) - set(other)) for one, other in ((classes, shown.classes), (shown.classes, classes)))
    if only_here or only_there:
        raise splits_differ(folder=root / train, other=flat.images, only_here=only_here, only_there=only_there, is_flat=True)
    learned = (ClassFolder("train", label, f"{train}/{wnid}") for label, wnid in enumerate(classes))
    tested = (ClassFolder("validation", folder.label, name) for folder in shown.reordered(classes).folders)
    ignored = tuple(folder for folder in flat.siblings if folder != train)
    return Layout(root, classes, {"train": train, "validation": name}, (*learned, *tested), ignored)


def _sibling_splits(images: Path) -> tuple[str, ...]:
    siblings = (entry for entry in images.parent.iterdir() if entry.name.lower() in PART_NAMES and entry.name != images.name)
    return tuple(sorted(entry.name for entry in siblings if entry.is_dir()))


def _wordnet_folders(folder: Path, progress: ListingProgress) -> tuple[str, ...]:
    """Return the sub-folders if all are WordNet IDs, else nothing."""
    try:
        names = folders_in(folder, progress)
    except NoClassFolders:
        return ()
    return names if all(map(_WORDNET.fullmatch, names)) else ()


def _names_in(folder: Path) -> Iterator[str]:
    return (entry.name for entry in folder.iterdir())


def _lines(file: Path) -> list[tuple[int, str]]:
    """Return the lines that are not blank, with their numbers from 1."""
    try:
        text = bounded_content(file, _LIST_BYTES_MAX).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(file, "it is not readable text") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def _unusable(file: Path, because: str, line: int | None = None) -> EdgecnnError:
    return table_unusable(file=file, line=line, because=because, is_handed_out=True)


def _devkit_classes(file: Path) -> Mapping[int, str]:
    """Return classes by line number, which is the image's number. Only trailing lines may be blank."""
    ids, classes = _wordnet_ids(file.with_name("meta.mat"), file), {}
    for number, (line, text) in enumerate(_lines(file), start=1):
        if number != line:
            raise _unusable(file, "it is blank", number)
        if text not in ids:
            raise _unusable(file, f"{text[:100]!r} is not a number in meta.mat", line)
        classes[number] = ids[text]
    return classes


def _wordnet_ids(meta: Path, file: Path) -> Mapping[str, str]:
    """Return the WordNet ID of each class number."""
    from scipy.io import loadmat  # rarely needed

    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
        return {str(int(synset["ILSVRC2012_ID"])): str(synset["WNID"]) for synset in synsets if int(synset["num_children"]) == 0}
    except Exception as error:  # a damaged table can raise any of these
        raise _unusable(file, f"{meta.name} next to it is missing, or lacks some of its numbers") from error


def _listed_classes(
    file: Path, lines: Sequence[tuple[int, str]], row: re.Pattern[str], ids: Mapping[str, str] | None = None
) -> Mapping[int, str]:
    """Return the classes of a list. ``row``: an image and its class, which ``ids`` translates."""
    classes = {}
    for line, text in lines:
        if (cells := row.fullmatch(text)) is None:
            raise _unusable(file, "it does not name an image and a class", line)
        name, shown = cells.groups()
        if (image := _IMAGE.fullmatch(f"{Path(name).stem}.JPEG")) is None:
            raise _unusable(file, f"{name[:100]!r} is not an image of ImageNet's validation set", line)
        if ids is not None and shown not in ids:
            raise _unusable(file, f"its classes count from 0 to {len(ids) - 1}, and {shown[:100]} is not one of them", line)
        classes[int(image[1])] = shown if ids is None else ids[shown]
    return classes


_READERS: Final[Mapping[str, Callable[[Path], Mapping[int, str]]]] = {
    "ILSVRC2012_validation_ground_truth.txt": _devkit_classes,
    "LOC_val_solution.csv": lambda file: _listed_classes(file, _lines(file)[1:], _KAGGLE),
    "val.txt": lambda file: _listed_classes(file, _lines(file), _CAFFE, {str(n): wnid for n, wnid in enumerate(imagenet_ids())}),
}
