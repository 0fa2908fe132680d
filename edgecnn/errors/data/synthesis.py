"""Failures of composing training images from cut-outs and backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import and_more, file_fault, nearest, plural

_NAMED = 5

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
        folder=folder, which=f"{plural(len(names), 'an unknown class', 'unknown classes')}, {_quoted(names)}", hint=hint
    )


def classes_without_cutouts(folder: Path, names: Sequence[str]) -> EdgecnnError:
    return CLASSES_WITHOUT_CUTOUTS(folder=folder, which=_quoted(names))


def cutouts_unusable(folder: str, broken: Sequence[tuple[str, str]], checked: int) -> EdgecnnError:
    because = "; ".join(file_fault(path, why) for path, why in broken[:_NAMED]) + and_more(len(broken), _NAMED)
    return CUTOUTS_UNUSABLE(folder=folder, broken=tuple(broken), checked=checked, because=because)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_NAMED])) + and_more(len(names), _NAMED)
