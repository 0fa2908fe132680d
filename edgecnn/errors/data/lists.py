"""Failures of a list of images and of label files: columns, paths, and ambiguous labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import shortened

LISTED_FILES_MISSING = ErrorRow(
    "listed-files-missing", "{file}: none of {paths:,} listed files exists, such as {example!r}", "{because}", "{hint}"
)
LISTED_FILE_TWICE = ErrorRow(
    "listed-file-twice",
    "{file}: {path!r} matches {files:first 3}",
    fix="pass --image-root FOLDER, which paths are relative to, or --path-suffix .jpg",
)
LABELS_LOOK_JOINED = ErrorRow(
    "labels-look-joined",
    "{file}: the label {label!r} looks like {words:counted label}",
    "its words are labels of other images too",
    "--label-separator blank reads several labels for each image, --label-separator none one label",
)
LABEL_FILES_UNCLEAR = ErrorRow(
    "label-files-unclear",
    "{folder}: several files could name the classes of its images",
    "{names:first 8}",
    "name one: --data {first:word}",
)
LABEL_FILE_UNUSABLE = ErrorRow(
    "label-file-unusable",
    "{file}: cannot be used as {form}",
    "{because}",
    "write a list with the columns path and label, one row for each image, and pass it by --data",
)
SHARDS_WITHOUT_SPLIT = ErrorRow(
    "shards-without-split",
    "{folder}: the split of {names:first 8} is unclear",
    "other archives name theirs, such as {example}",
    "rename {names[0]} to train-{names[0]} if its images are training images",
)
FORM_NOT_READ = ErrorRow("form-not-read", "{path}: contains {form}, which edgecnn does not read", fix="{fix}")
DATA_NOT_READ = ErrorRow(
    "data-not-read", "{path}: unknown kind of data", "edgecnn reads: {reads}", "convert it to one of these formats"
)
DATA_IS_ADDRESS = ErrorRow(
    "data-is-address", "{address:short}: edgecnn does not download data", "edgecnn reads: {reads}", "download it first"
)


def listed_files_missing(file: Path, root: Path, paths: Sequence[str], has_root: bool = True) -> EdgecnnError:
    """``has_root``: the folder at the start of the list's paths exists."""
    if not has_root:
        because, hint = f"there is no folder {root}", "pass --image-root a folder that exists"
    elif paths[0].startswith("/") or paths[0][1:3] in (":\\", ":/"):
        because = f"neither {root} nor a folder in it has one"
        hint = "write the paths relative to a folder of this computer, and pass that folder by --image-root"
    else:
        because = f"neither {root} nor a folder in it has one"
        hint = (
            "pass --image-root FOLDER, which paths are relative to; --path-suffix must be the suffix of the files, such as .jpg"
        )
    return LISTED_FILES_MISSING(file=file, paths=len(paths), example=shortened(paths[0]), because=because, hint=hint)


def listed_file_twice(file: Path, path: str, files: Sequence[str]) -> EdgecnnError:
    return LISTED_FILE_TWICE(file=file, path=shortened(path), files=[shortened(name) for name in files])


def labels_look_joined(file: Path, label: str, words: Sequence[str]) -> EdgecnnError:
    return LABELS_LOOK_JOINED(file=file, label=shortened(label), words=len(words))


def label_files_unclear(folder: Path, names: Sequence[str]) -> EdgecnnError:
    return LABEL_FILES_UNCLEAR(folder=folder, names=names, first=folder / names[0])
