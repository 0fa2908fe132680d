"""Failures of a list of images and of label files: its columns, its paths, labels that can be read in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import counted, first_of, shell_word, shortened

_NAMED = 8
_SIGNS = 100


class ListedFilesMissing(EdgecnnError):
    """Raised when no file of a list exists. ``has_root``: whether there is a folder from which its paths count."""

    def __init__(self, *, file: Path, root: Path, paths: Sequence[str], has_root: bool = True) -> None:
        absolute = paths[0].startswith("/") or paths[0][1:3] in (":\\", ":/")
        fix = (
            "write the paths as seen from a folder of this computer, and pass that folder by --image-root"
            if absolute
            else "pass --image-root FOLDER, from which paths count; --path-suffix must be the suffix of the files, such as .jpg"
        )
        super().__init__(
            what=f"{file}: none of its files exists ({counted(len(paths), 'path')}, such as {shortened(paths[0])!r})",
            because=f"neither {root} nor a folder below it has one" if has_root else f"there is no folder {root}",
            hint=fix if has_root else "pass --image-root a folder that exists",
        )


class ListedFileTwice(EdgecnnError):
    """Raised when a path of a list fits two files below the list's folder."""

    def __init__(self, *, file: Path, path: str, files: Sequence[str]) -> None:
        super().__init__(
            what=f"{file}: {shortened(path)!r} can mean {first_of([shortened(name) for name in files], 3)}",
            hint="pass --image-root FOLDER, from which paths count, or --path-suffix .jpg",
        )


class LabelsLookJoined(EdgecnnError):
    """Raised when labels with blanks look like several labels in one cell."""

    def __init__(self, *, file: Path, label: str, words: Sequence[str]) -> None:
        super().__init__(
            what=f"{file}: the label {shortened(label)!r} looks like {counted(len(words), 'label')}",
            because="its words are labels of other images too",
            hint="--label-separator blank reads several labels an image, --label-separator none one label",
        )


class LabelFilesUnclear(EdgecnnError):
    """Raised when several files next to flat images could tell their classes."""

    def __init__(self, *, folder: Path, names: Sequence[str]) -> None:
        super().__init__(
            what=f"{folder}: several files could name the classes of its images",
            because=first_of(list(names), _NAMED),
            hint=f"name one: --data {shell_word(folder / names[0])}",
        )


class LabelFileUnusable(EdgecnnError):
    """Raised when a COCO or Edge Impulse file does not give each image one class."""

    def __init__(self, *, file: Path, form: str, because: str) -> None:
        super().__init__(
            what=f"{file}: cannot be used as {form}",
            because=because,
            hint="write a list with the columns path and label, one row an image, and pass it by --data",
        )


class ShardsWithoutSplit(EdgecnnError):
    """Raised when the names of some archives of samples mean a split, and those of others do not."""

    def __init__(self, *, folder: Path, names: Sequence[str], example: str) -> None:
        super().__init__(
            what=f"{folder}: the split of {first_of(list(names), _NAMED)} is unclear",
            because=f"other archives name theirs, such as {example}",
            hint=f"rename {names[0]} to train-{names[0]} if its images are training images",
        )


class FormNotRead(EdgecnnError):
    """Raised when images are in a form that edgecnn recognises and does not read."""

    def __init__(self, *, path: Path, form: str, fix: str) -> None:
        super().__init__(what=f"{path}: holds {form}, which edgecnn does not read", hint=fix)


class DataNotRead(EdgecnnError):
    """Raised when --data names a file of an unknown kind. ``reads``: what edgecnn reads."""

    def __init__(self, *, path: Path, reads: str) -> None:
        super().__init__(what=f"{path}: unknown kind of data", because=f"edgecnn reads: {reads}")


class DataIsAddress(EdgecnnError):
    """Raised when --data names an address."""

    def __init__(self, *, address: str, reads: str) -> None:
        super().__init__(
            what=f"{shortened(address)}: edgecnn does not download data",
            because=f"edgecnn reads: {reads}",
            hint="download it first",
        )
