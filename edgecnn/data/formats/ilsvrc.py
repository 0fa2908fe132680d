"""ImageNet's validation images as they are handed out: 50,000 in one folder, and a file that says what each shows.

Three such files are in use: the devkit's ``ILSVRC2012_validation_ground_truth.txt``, whose numbers its ``meta.mat`` translates;
Kaggle's ``LOC_val_solution.csv``; and Caffe's ``val.txt``, which counts the classes in the order of their WordNet IDs. A part of
the images will do: each is looked up by its own name. Where something is trained, the folder ``train`` beside theirs is
learned from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.formats.table import Row, laid_out
from edgecnn.data.imagenet import imagenet_ids
from edgecnn.data.layout import PART_NAMES, ClassFolder, Layout, folders_in
from edgecnn.data.listing import ListingProgress, stamps_in
from edgecnn.errors.data.folder import NoClassFolders, SplitsDiffer
from edgecnn.errors.data.formats import TableUnusable

_IMAGE: Final = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG", re.IGNORECASE)
_WORDNET: Final = re.compile(r"n\d{8}")
_FOLDERS: Final = ("", "val", "ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val")
"""Where the images lie, from the folder that is named: itself, or as Kaggle's archive unpacks."""
_BESIDE: Final = (
    "",
    "..",
    "devkit/data",
    "../devkit/data",
    "ILSVRC2012_devkit_t12/data",
    "../ILSVRC2012_devkit_t12/data",
    "../../../..",
)
"""Where the file lies, from the folder of the images."""


class Flat(NamedTuple):
    """A folder of such images, and the file that tells their classes."""

    images: Path
    truth: Path
    beside: tuple[str, ...] = ()
    """Folders beside that one with the name of a split; none where it was named itself, and not a folder above it."""


def flat_imagenet(root: Path) -> Flat | None:
    """What of this folder is such a data set; None where it is another one, or nothing tells the classes."""
    for name in _FOLDERS:
        if _has_images(folder := root / name):
            places = (folder / beside / file for beside in _BESIDE for file in _READERS)
            truth = next((each for each in places if each.is_file()), None)
            return None if truth is None else Flat(folder, truth.resolve(), _splits_beside(folder) if name else ())
    return None


def flat_layout(found: Flat, seen: ListingProgress, *, trains: bool) -> tuple[Layout, list[list[str]]]:
    """As ``read_table`` of a list of these images; classes are WordNet IDs.

    ``trains``: whether images are wanted to learn from: those of ``train``, where it has a folder a WordNet ID, beside which
    these are the split ``validation``.

    Raises TableUnusable: the file does not name an image that is there, names no class of it, or is damaged. OneClass: all show
    the same. SplitsDiffer: those of ``train`` are of other classes.
    """
    named = {int(match[1]): match.string for match in map(_IMAGE.fullmatch, _names(found.images)) if match}
    shows = _READERS[found.truth.name](found.truth)
    if missing := sorted(set(named) - set(shows)):
        raise TableUnusable(file=found.truth, line=None, because=f"it says nothing of {named[missing[0]]}")
    if odd := next((shows[number] for number in named if not _WORDNET.fullmatch(shows[number])), None):
        raise TableUnusable(file=found.truth, line=None, because=f"{odd[:100]!r} is no WordNet ID")
    rows = [Row(name, shows[number], "train") for number, name in named.items()]
    layout, stamps = laid_out(found.images, found.truth, rows, seen)
    for train in (name for name in found.beside if trains and PART_NAMES[name.lower()] == "train"):
        if classes := _wordnet_folders(found.images.parent / train, seen):
            learned = _beside_train(found, train, classes, layout)
            return learned, [*(stamps_in(learned.root / train / name, seen) for name in classes), *stamps]
    return layout._replace(ignored=found.beside), stamps


def _beside_train(found: Flat, train: str, classes: tuple[str, ...], shown: Layout) -> Layout:
    """``train``: its folder's name, with the sub-folders ``classes``. ``shown``: the layout of the images beside it."""
    root, name = found.images.parent, found.images.name
    only_here, only_there = (sorted(set(one) - set(other)) for one, other in ((classes, shown.classes), (shown.classes, classes)))
    if only_here or only_there:
        raise SplitsDiffer(folder=root / train, other=found.images, only_here=only_here, only_there=only_there, is_flat=True)
    learned = (ClassFolder("train", label, f"{train}/{each}") for label, each in enumerate(classes))
    tested = (ClassFolder("validation", each.label, name) for each in shown.in_order(classes).folders)
    ignored = tuple(each for each in found.beside if each != train)
    return Layout(root, classes, {"train": train, "validation": name}, (*learned, *tested), ignored)


def _splits_beside(images: Path) -> tuple[str, ...]:
    beside = (entry for entry in images.parent.iterdir() if entry.name.lower() in PART_NAMES and entry.name != images.name)
    return tuple(sorted(entry.name for entry in beside if entry.is_dir()))


def _wordnet_folders(folder: Path, seen: ListingProgress) -> tuple[str, ...]:
    """Its sub-folders; none where one is called otherwise."""
    try:
        names = folders_in(folder, seen)
    except NoClassFolders:
        return ()
    return names if all(map(_WORDNET.fullmatch, names)) else ()


def _names(folder: Path) -> Iterator[str]:
    return (entry.name for entry in folder.iterdir())


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and any(map(_IMAGE.fullmatch, _names(folder)))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableUnusable(file=file, line=None, because="it is no text that can be read") from error


def _of_devkit(file: Path) -> Mapping[int, str]:
    from scipy.io import loadmat  # what nearly nobody needs

    meta = file.with_name("meta.mat")
    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
        ids = {int(each["ILSVRC2012_ID"]): str(each["WNID"]) for each in synsets if int(each["num_children"]) == 0}
        return {number: ids[int(line)] for number, line in enumerate(_lines(file), start=1)}
    except TableUnusable:
        raise
    except Exception as error:  # which one a damaged table raises, its bytes decide
        raise TableUnusable(
            file=file, line=None, because=f"{meta.name} beside it is missing, or does not explain its numbers"
        ) from error


def _of_kaggle(file: Path) -> Mapping[int, str]:
    rows = (line.split(",", 1) for line in _lines(file)[1:] if line.strip())
    return _told(file, ((name, shown.split()[0]) for name, shown in rows))


def _of_caffe(file: Path) -> Mapping[int, str]:
    ids = imagenet_ids()
    rows = (line.split() for line in _lines(file) if line.strip())
    return _told(file, ((name, ids[int(number)]) for name, number in rows))


def _told(file: Path, rows: Iterator[tuple[str, str]]) -> Mapping[int, str]:
    found = {}
    try:
        for name, shown in rows:
            match = _IMAGE.fullmatch(f"{Path(name).stem}.JPEG")
            if match is None:
                raise TableUnusable(file=file, line=None, because=f"{name[:100]!r} is no image of ImageNet's validation set")
            found[int(match[1])] = shown
    except (ValueError, IndexError) as error:
        raise TableUnusable(file=file, line=len(found) + 1, because="it names no image and class") from error
    return found


_READERS: Final[Mapping[str, Callable[[Path], Mapping[int, str]]]] = {
    "ILSVRC2012_validation_ground_truth.txt": _of_devkit,
    "LOC_val_solution.csv": _of_kaggle,
    "val.txt": _of_caffe,
}
