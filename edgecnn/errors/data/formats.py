"""Failures of images that do not come as a folder: a published data set, a list, an archive, the embedded demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import listed, nearest, shell_word, shortened


class UnknownPublishedData(EdgecnnError):
    """Raised when a name behind ``torchvision:`` is no data set of one class an image."""

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        folded = {each.casefold(): each for each in known}
        near = nearest(name.casefold(), folded)
        super().__init__(
            what=f"torchvision:{ascii(name)[1:-1][:100]} is no data set that is known here",
            because=f"known are {', '.join(known)}",
            hint=f"did you mean torchvision:{folded[near]}?" if near else "name a folder with a sub-folder a class",
        )


class PublishedDataUnavailable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a published data set is neither here nor to be had."""

    def __init__(self, *, name: str, copies: Path, because: str) -> None:
        super().__init__(
            what=f"torchvision:{name} is not in {copies} and could not be downloaded",
            because=because,
            hint="put torchvision's own copy there, or say with EDGECNN_TORCHVISION where it is",
        )


class IdxUnusable(EdgecnnError):
    """Raised when an IDX file is none, is damaged, or says what its neighbour contradicts."""

    def __init__(self, *, file: Path, because: str) -> None:
        super().__init__(
            what=f"{file}: cannot be used as an IDX file",
            because=because,
            hint="as MNIST has it: images are bytes of 3 dimensions (count, rows, columns), labels bytes of one (count)",
        )


class IdxIncomplete(EdgecnnError):
    """Raised when a folder has some of the IDX files, and one that belongs to them is not there."""

    def __init__(self, *, found: Path, missing: str) -> None:
        super().__init__(
            what=f"{found.parent}: has {found.name} but no {missing}",
            hint=f"put {missing} beside it, as it is or as {missing}.gz",
        )


class ClassNamesUnusable(EdgecnnError):
    """Raised when the file that names the classes, of IDX files or of ``data.classes``, does not."""

    def __init__(self, *, file: Path, because: str) -> None:
        super().__init__(
            what=f"{file}: cannot be used as the names of the classes",
            because=because,
            hint="its first line should name label 0, its second label 1, and so on",
        )


class TableNotDivided(EdgecnnError):
    """Raised when a list of images is to be copied into split folders: it names files anywhere, which have no place there."""

    def __init__(self, *, file: Path) -> None:
        super().__init__(
            what=f"{file}: a list of images cannot be copied into train/, validation/ and test/",
            because="its files may lie anywhere",
            hint="name the roles in a third column, path,label,split: a build takes them from there",
        )


class ClassNotAFolder(EdgecnnError):
    """Raised when images are to be copied into class folders, and the name of a class, from a list, cannot be a folder's."""

    def __init__(self, *, root: Path, name: str, because: str) -> None:
        super().__init__(
            what=f"{root}: the class {shortened(name)!r} cannot become a folder",
            because=because,
            hint="give the class another name, such as T-shirt-top for T-shirt/top",
        )


class DemoHasNoFolder(EdgecnnError):
    """Raised when the embedded images are to be looked through or divided: they have no folder."""

    def __init__(self) -> None:
        super().__init__(
            what="demo means the embedded images", because="they have no folder", hint="name a folder; one called demo is ./demo"
        )


class TableUnusable(EdgecnnError):
    """Raised when a file does not list images; rows of a Parquet file count from 1.

    ``hint``: the fix, where the cause has one. ``is_handed_out``: with ImageNet's validation images, whose classes it tells.
    """

    def __init__(
        self, *, file: Path, line: int | None, because: str, hint: str | None = None, is_handed_out: bool = False
    ) -> None:
        is_text = is_handed_out or file.suffix.lower() != ".parquet"
        place = "" if line is None else f", {'line' if is_text else 'row'} {line}"
        usual = (
            f"take {file.name} as it is handed out, or have a sub-folder of images a class"
            if is_handed_out
            else "its first line should be path,label or path,label,split, and every other one an image; of several labels"
            " a column labels, as in cat|dog, or a column a label with 0 or 1 takes the place of label"
            if is_text
            else "its columns should be path and label, or path, label and split, and every row an image; of several labels"
            " a list labels, or a column a label with 0 or 1, takes the place of label"
        )
        super().__init__(what=f"{file}{place}: cannot be used as a list of images", because=because, hint=hint or usual)


class NoImagenetClass(EdgecnnError):
    """Raised when a folder's name is none of ImageNet's 1,000 classes, and the images are to be held against their answers."""

    def __init__(self, *, root: Path, folder: str, nearest: str | None) -> None:
        wish = f"did you mean {nearest!r}? " if nearest else ""
        self.folder = folder
        super().__init__(
            what=f"{root}: {folder!r} is none of ImageNet's 1,000 classes",
            hint=f"{wish}call each folder by its class's WordNet id (n01440764) or by its name (tench)",
        )


class NotInClassNames(EdgecnnError):
    """Raised when a folder's name is none of those in the file that ``data.classes`` states, or in the model's own metadata."""

    folder: str

    def __init__(self, *, root: Path, folder: str, file: str, nearest: str | None, is_stated: bool = True) -> None:
        wish = f"did you mean {nearest!r}? " if nearest else ""
        instead = ", or --set data.classes=folders where the folders are in its order, or data.classes=FILE with a class a line"
        self.folder = folder
        super().__init__(
            what=f"{root}: {folder!r} is none of the classes in {file}",
            because=None if is_stated else "other folders are, so that it is not known in which order the model answers",
            hint=f"{wish}call each folder by its class's name{'' if is_stated else instead}",
        )


class FoldersOfOneClass(EdgecnnError):
    """Raised when two folders, or two labels of a list, are called after one class of ``data.classes``, or of a bundle."""

    def __init__(self, *, root: Path, folders: tuple[str, str], name: str, file: str) -> None:
        first, second = folders
        super().__init__(
            what=f"{root}: {first!r} and {second!r} are both the class {name!r} of {file}",
            hint="make them one, or give each a name of its own there",
        )


class ClassOrderOpen(EdgecnnError):
    """Raised when a model answers in an order that nobody stated, and people sort the folders otherwise than tools do."""

    def __init__(self, *, root: str, folders: Sequence[str], characters: Sequence[str]) -> None:
        place = next(place for place, pair in enumerate(zip(folders, characters, strict=True)) if len(set(pair)) > 1)
        super().__init__(
            what=f"{root}: it is not known in which order the model answers",
            because=f"its class {place + 1} is {folders[place]!r} where people sort the folders and "
            f"{characters[place]!r} where torchvision's ImageFolder or Keras did",
            hint="--set data.classes=sorted for the order of ImageFolder and Keras, data.classes=folders for people's, "
            "or data.classes=FILE with a class a line",
        )


class ListWithoutLabels(EdgecnnError):
    """Raised when a list of images and labels is named, and its labels are not to be used."""

    def __init__(self, *, file: Path) -> None:
        super().__init__(
            what=f"{file} names a label for each image, and --no-labels leaves them unused",
            hint="leave --no-labels out, or name a folder of images",
        )


class ArchiveUnusable(EdgecnnError):
    """Raised when a zip cannot be unpacked, or must not be."""

    def __init__(self, *, file: Path, because: str) -> None:
        super().__init__(what=f"{file}: cannot be unpacked", because=because, hint="unpack it yourself and name the folder")


class ArchivesOfOneName(EdgecnnError):
    """Raised when two archives in a folder would be unpacked into one folder. ``bare``: their name without a suffix."""

    def __init__(self, *, folder: Path, names: Sequence[str], bare: str) -> None:
        super().__init__(
            what=f"{folder}: {listed(names)} are both {bare!r}",
            because="an archive is the class, the split or the shard of its name",
            hint="keep one of them, or rename one",
        )


class ManifestUnreadable(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the list of images that a run was planned with cannot be read back."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(
            what=f"{path}: cannot be read as a list of images", because=because, hint=f"rm {shell_word(path)}, then run again"
        )


class DemoDamaged(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the embedded demo is not the file that was shipped."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(
            what=f"{path}: not the demo that was shipped", because=because, hint="pip install --force-reinstall --no-deps edgecnn"
        )
