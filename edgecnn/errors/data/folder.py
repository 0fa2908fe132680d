"""Failures of a folder of images: what is wrong with it, which file or class, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import and_more, counted, listed, nearest, no_unicode, plural, shell_word

_SHAPE = "it should hold one sub-folder of images a class, or train/, val/ and test/ that do"
_NAMED = 5
_EXAMPLES = 3


class DataFolderMissing(EdgecnnError):
    """Raised when --data names nothing."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder}: no such folder",
            hint="name a folder of images, a list FILE.csv or FILE.parquet, or a zip of a folder",
        )


class DataPathUnusable(EdgecnnError):
    """Raised when the text of a data path can name no folder."""

    def __init__(self, *, path: str, because: str) -> None:
        super().__init__(what=f"the data path {ascii(path)} cannot be used", because=because, hint="name another path")


class DataNotAFolder(EdgecnnError):
    """Raised when --data names a file."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(what=f"{path}: not a folder", hint=_SHAPE)


class DataFolderUnreadable(EdgecnnError):
    """Raised when a folder may not be listed."""

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(what=f"{folder}: cannot be read", because=because)


class NoClassFolders(EdgecnnError):
    """Raised when a folder has no sub-folder to name a class.

    ``truth_files``: those of which one would tell the classes of ImageNet's validation images, which the folder holds, and
    ``looked_in``: where else than in the folder itself they were looked for, as paths from there.
    """

    def __init__(self, *, folder: Path, files: int, truth_files: Sequence[str] = (), looked_in: Sequence[str] = ()) -> None:
        self.files = files
        found, hint = f"{files:,} files but no sub-folder" if files else "it is empty", _SHAPE
        if truth_files:
            found = f"it holds ImageNet's validation images, and none of {listed(truth_files)} says what they show"
            hint = f"put one there (or, seen from there, into {listed(looked_in)}), or have a sub-folder of images a class"
        super().__init__(what=f"{folder}: no classes", because=found, hint=hint)


class OneClass(EdgecnnError):
    """Raised when there is nothing to tell apart."""

    def __init__(self, *, folder: Path, name: str) -> None:
        super().__init__(what=f"{folder}: only one class, {name!r}", hint="a classifier needs at least two sub-folders of images")


class Shortage(NamedTuple):
    """A class that cannot fill its roles. ``copies`` and ``skipped`` are its files that do not count, each with the reason."""

    name: str
    found: int
    needed: int
    roles: Sequence[str]
    copies: Sequence[str] = ()
    skipped: Sequence[str] = ()


class TooFewImages(EdgecnnError):
    """Raised when classes cannot fill the roles that have to come out of their images; the first is told in full."""

    def __init__(self, *, folder: Path, short: Sequence[Shortage]) -> None:
        first = short[0]
        others = list(dict.fromkeys(each.name for each in short if each.name != first.name))
        super().__init__(
            what=f"{folder}: class {first.name!r} has {first.found} {plural(first.found, 'usable image')}"
            f" for {listed(first.roles)}, and needs {first.needed}",
            because="; ".join((*_uncounted(first), *_short_too(others))) or None,
            hint="add images to the class, or remove its folder",
        )


class FoldsBesideSplit(EdgecnnError):
    """Raised where folds would have to take apart splits that the user made; test images of theirs stay test images."""

    def __init__(self, *, root: Path, folds: int, splits: Sequence[str]) -> None:
        own = f"{plural(len(splits), 'a split', 'splits')} of its own for {listed(splits)}"
        super().__init__(
            what=f"train.folds={folds} would test images of train/, and {root} says itself which are judged on",
            because=f"it has {own}, and test images stay test images",
            hint="leave train.folds out, or put all images that may be learned from into one folder with a sub-folder a class",
        )


def _uncounted(short: Shortage) -> Sequence[str]:
    """Where the files went that a person sees in the folder and that count as no image."""
    verbs = ("is a copy", "are copies"), ("is no readable image", "are no readable images")
    pieces = [
        f"{counted(len(files), *verb)} ({'; '.join(files[:_EXAMPLES])}{and_more(len(files), _EXAMPLES)})"
        for files, verb in zip((short.copies, short.skipped), verbs, strict=True)
        if files
    ]
    total = short.found + len(short.copies) + len(short.skipped)
    return [f"of its {counted(total, 'file')}, {' and '.join(pieces)}"] if pieces else []


def _short_too(names: Sequence[str]) -> Sequence[str]:
    also = f"{', '.join(map(repr, names[:_NAMED]))}{and_more(len(names), _NAMED)}"
    return [f"{also} {plural(len(names), 'is', 'are')} short of images too"] if names else []


class SplitsDiffer(EdgecnnError):
    """Raised when two split folders do not hold the same classes. ``is_flat``: the other one has no sub-folders, by itself."""

    def __init__(
        self, *, folder: Path, other: Path, only_here: Sequence[str], only_there: Sequence[str], is_flat: bool = False
    ) -> None:
        facts = [
            f"{where.name}/ alone has {', '.join(map(repr, names[:_NAMED]))}{and_more(len(names), _NAMED)}"
            for where, names in ((folder, only_here), (other, only_there))
            if names
        ]
        near = [(name, close) for name in only_there if (close := nearest(name, only_here))]
        remedy = f"rename {other.name}/{near[0][0]} to {near[0][1]}?" if near else "give every split folder the same sub-folders"
        if is_flat:
            remedy = f"name {folder} or {other} alone, or have images of the same classes in both"
        super().__init__(
            what=f"{folder.parent}: the classes of {folder.name}/ and {other.name}/ differ", because="; ".join(facts), hint=remedy
        )


class SplitFolders(EdgecnnError):
    """Raised when folders can be read in two ways, and the user has to say in which.

    ``names``: those folders. ``inner``: the sub-folders that each of them holds, and nothing else; none where their names alone
    are in doubt: ``splits`` says whether as splits, of which ``lists`` may name the labels, or as images without a label.
    """

    def __init__(
        self, *, folder: Path, names: Sequence[str], inner: Sequence[str] = (), splits: bool = False, lists: Sequence[Path] = ()
    ) -> None:
        quoted, as_classes = _listed(list(map(repr, names))), "--set data.folders=classes"
        if inner:
            fact = f"hold no images but the sub-folders {_folders(inner)}"
            hint = f"--set data.folders=nested if {_listed(list(map(repr, inner)))} are the classes, or {as_classes} if"
            hint += f" {quoted} are; folders called train, val and test are splits"
        elif splits:
            fact = "are named as splits, and have no class folders in them"
            hint = f"--data {shell_word(lists[0])} if that list has their labels" if lists else "give each a sub-folder per class"
            hint += f", --no-labels with a model of your own, or {as_classes} if {quoted} are the classes"
        else:
            fact = f"{plural(len(names), 'is', 'are')} named as images without a label, next to classes"
            hint = f"--set data.folders=labelled to skip {quoted}, or {as_classes} to make"
            hint += f" {plural(len(names), 'it a class', 'them classes')}"
        super().__init__(what=f"{folder}: its folders can be read in two ways", because=f"{_folders(names)} {fact}", hint=hint)


def _folders(names: Sequence[str]) -> str:
    return _listed([f"{name}/" for name in names])


def _listed(names: Sequence[str]) -> str:
    """The first ones of many."""
    return listed(names) if len(names) <= _EXAMPLES else f"{', '.join(names[:_EXAMPLES])}{and_more(len(names), _EXAMPLES)}"


class SplitNamedTwice(EdgecnnError):
    """Raised when two folders claim one split."""

    def __init__(self, *, folder: Path, names: Sequence[str]) -> None:
        super().__init__(what=f"{folder}: {listed([f'{name}/' for name in names])} mean the same", hint="keep one of them")


class TrainFolderMissing(EdgecnnError):
    """Raised when there are splits, but none to train on. ``is_list``: they are a column of a list."""

    def __init__(self, *, named: Path, found: Sequence[str], is_list: bool = False) -> None:
        if is_list:
            what = f"{named}: its images are of the {plural(len(found), 'split')} {listed(found)}, and none of train"
            hint = "give images to train on the split train, or list those of one split alone, without the column split"
        else:
            what = f"{named}: has {listed([f'{name}/' for name in found])} but no train/"
            hint = f"call the folder of training images {named / 'train'}, or name one split alone, as in {named / found[0]}"
        super().__init__(what=what, hint=hint)


class NothingReadable(EdgecnnError):
    """Raised when there are files, but no picture among them."""

    def __init__(self, *, folder: Path, skipped: Sequence[str], is_one_reason: bool = False) -> None:
        one = f"{skipped[0]}; the same for the others" if is_one_reason and len(skipped) > _NAMED else None
        super().__init__(
            what=f"{folder}: none of {len(skipped):,} files is a readable image",
            because=one or "; ".join(skipped[:_NAMED]) + and_more(len(skipped), _NAMED),
        )


class CorruptImages(EdgecnnError):
    """Raised when files look like pictures but cannot be decoded to the end."""

    def __init__(self, *, root: str, broken: Sequence[tuple[str, str]], checked: int) -> None:
        self.broken = tuple(broken)
        super().__init__(
            what=f"{root}: {len(broken):,} of {checked:,} images cannot be decoded",
            because="; ".join(f"{path}: {why}" for path, why in broken[:_NAMED]) + and_more(len(broken), _NAMED),
            hint="replace or remove them and run again; what is finished is kept",
        )


class ImageGone(EdgecnnError):
    """Raised when an image of the manifest is no longer there, or may no longer be read."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: cannot be read any more", because=because, hint="run the same command again")


class ImageChanged(EdgecnnError):
    """Raised when an image is no longer the one that was planned with."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(what=f"{path}: changed since this run began", hint="run the same command again")


class NameNotUnicode(EdgecnnError):
    """Raised when a file's name is not valid UTF-8: it could be written into no manifest, report or kit."""

    def __init__(self, *, folder: Path, name: str) -> None:
        super().__init__(
            what=f"{folder}: the name {ascii(name)} {no_unicode(name)}", because="it would become a class", hint="rename it"
        )
