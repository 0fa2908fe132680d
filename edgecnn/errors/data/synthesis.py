"""Failures of composing training images from cut-outs and backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import and_more, nearest

_NAMED = 5

SYNTHESIS_INCOMPLETE = ErrorRow(
    "synthesis-incomplete",
    "synthesis.{stated} is set, but synthesis.{missing} is not",
    "a composed image needs a cut-out and a background",
    "--set synthesis.{missing}=FOLDER",
)
SYNTHESIS_NOT_FITTING = ErrorRow(
    "synthesis-not-fitting", "[synthesis] cannot be combined with {beside}", "{because}", "leave one of them out"
)
SYNTHESIS_FOLDER_UNUSABLE = ErrorRow(
    "synthesis-folder-unusable", "synthesis.{key}: {folder} cannot be used", "{because}", "{hint}"
)
CUTOUT_CLASS_UNKNOWN = ErrorRow(
    "cutout-class-unknown",
    "synthesis.cutouts: {folder} has cut-outs of {which}, an unknown class",
    "the images have no such class, so it could be neither calibrated nor tested",
    "{hint}",
)
CLASSES_WITHOUT_CUTOUTS = ErrorRow(
    "classes-without-cutouts",
    "synthesis.cutouts: {folder} has no cut-out of {which}",
    "if only some classes have composed images, a network can recognise these classes by the composing",
    "add cut-outs of it; --set synthesis.classes=some accepts classes with images only",
)
CUTOUTS_UNUSABLE = ErrorRow(
    "cutouts-unusable",
    "{folder}: {broken:number} of {checked:,} images cannot be used as cut-outs",
    "{because}",
    "save each object as PNG or WebP with transparency around it, or remove the files",
)


def synthesis_folder_unusable(key: str, folder: Path, because: str, hint: str | None = None) -> EdgecnnError:
    shapes = {"cutouts": "one sub-folder for each class, with images that have an alpha channel", "backgrounds": "images"}
    hint = hint or f"name a folder of {shapes[key]}"
    return SYNTHESIS_FOLDER_UNUSABLE(key=key, folder=folder, because=because, hint=hint)


def cutout_class_unknown(folder: Path, names: Sequence[str], classes: Sequence[str]) -> EdgecnnError:
    near = nearest(names[0], classes)
    hint = f"rename {names[0]} to {near}?" if near else "add images of the class, or remove its folder"
    return CUTOUT_CLASS_UNKNOWN(folder=folder, which=_quoted(names), hint=hint)


def classes_without_cutouts(folder: Path, names: Sequence[str]) -> EdgecnnError:
    return CLASSES_WITHOUT_CUTOUTS(folder=folder, which=_quoted(names))


def cutouts_unusable(folder: str, broken: Sequence[tuple[str, str]], checked: int) -> EdgecnnError:
    because = "; ".join(f"{path}: {why}" for path, why in broken[:_NAMED]) + and_more(len(broken), _NAMED)
    return CUTOUTS_UNUSABLE(folder=folder, broken=tuple(broken), checked=checked, because=because)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_NAMED])) + and_more(len(names), _NAMED)
