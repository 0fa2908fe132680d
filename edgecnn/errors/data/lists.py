"""Failures of a list of images and of label files: columns, paths, and ambiguous labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import none_of, shortened

LISTED_FILES_MISSING = ErrorRow(
    "listed-files-missing", "{none} in {file} exists", "{because}", "{hint}", also=("paths", "example")
)
LISTED_FILE_TWICE = ErrorRow(
    "listed-file-twice",
    "{path!r} in {file} matches {files:listed}",
    fix="pass --image-root with the base folder of the paths, or pass --path-suffix, such as .jpg",
)
LABELS_LOOK_JOINED = ErrorRow(
    "labels-look-joined",
    "the label {label!r} in {file} looks like {words:counted label}",
    "each of its words is also a label of other images",
    "pass --label-separator blank if an image can have several labels, or --label-separator none if it has one",
)
LABEL_FILES_UNCLEAR = ErrorRow(
    "label-files-unclear",
    "several files in {folder} could give the classes of its images",
    "{names:first 8}",
    "choose one of them, such as --data {first:word}",
)
LABEL_FILE_UNUSABLE = ErrorRow(
    "label-file-unusable",
    "{file} cannot be used as {form}",
    "{because}",
    "write a list with the columns path and label, one row for each image, and pass it with --data",
)
SHARDS_WITHOUT_SPLIT = ErrorRow(
    "shards-without-split",
    "the split of {names:first 8} in {folder} is unclear",
    "the names of other archives contain a split, such as {example}",
    "rename {names[0]} to train-{names[0]} if its images are training images",
)
FORM_NOT_READ = ErrorRow("form-not-read", "{path} contains {form}, which edgecnn does not read", fix="{fix}")
DATA_NOT_READ = ErrorRow(
    "data-not-read", "{path} is an unknown kind of data", "edgecnn reads {reads}", "convert it to one of these formats"
)
DATA_IS_ADDRESS = ErrorRow(
    "data-is-address", "edgecnn does not download {address:short}", "edgecnn reads {reads}", "download the data first"
)


def listed_files_missing(file: Path, root: Path, paths: Sequence[str], has_root: bool = True) -> EdgecnnError:
    """``has_root``: the folder at the start of the list's paths exists."""
    example = shortened(paths[0])
    if not has_root:
        because, hint = (
            f"the folder {root} does not exist; the first path is {example!r}",
            "pass --image-root with a folder that exists",
        )
    elif paths[0].startswith("/") or paths[0][1:3] in (":\\", ":/"):
        because = f"neither {root} nor a folder in it has {example!r}"
        hint = "write the paths relative to a folder of this computer, and pass that folder with --image-root"
    else:
        because = f"neither {root} nor a folder in it has {example!r}"
        hint = "pass --image-root with the base folder of the paths; if they lack a suffix, pass --path-suffix, such as .jpg"
    return LISTED_FILES_MISSING(
        file=file,
        paths=len(paths),
        none=none_of(len(paths), "listed file"),
        example=example,
        because=because,
        hint=hint,
    )


def listed_file_twice(file: Path, path: str, files: Sequence[str]) -> EdgecnnError:
    return LISTED_FILE_TWICE(file=file, path=shortened(path), files=[shortened(name) for name in files])


def labels_look_joined(file: Path, label: str, words: Sequence[str]) -> EdgecnnError:
    return LABELS_LOOK_JOINED(file=file, label=shortened(label), words=len(words))


def label_files_unclear(folder: Path, names: Sequence[str]) -> EdgecnnError:
    return LABEL_FILES_UNCLEAR(folder=folder, names=names, first=folder / names[0])
