"""The names of splits, in folders and in the column ``split`` of a list. One rule applies to both.

A name means a split if exactly one of its words does: ``training_set``, ``seg_train``, ``TestImages``, ``val2017``, ``dev``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

Part = Literal["train", "validation", "test"]

PART_NAMES: Final[Mapping[str, Part]] = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "development": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
    "tst": "test",
}
"""The words that mean a split, ignoring case."""
_GENERIC: Final = frozenset(
    {"data", "dataset", "file", "files", "folder", "image", "images", "img", "imgs", "part", "photo", "photos", "picture"}
    | {"pictures", "sample", "samples", "set", "sets", "split", "subset"}
)
"""Words that say nothing about the data set and are ignored."""
_UNLABELLED: Final = re.compile(r"(?:un(?:label+ed|annotated|sorted|classified)|no ?labels?|(?:not|to) label(?:led|ed)?)")
_MISSING: Final = frozenset(
    {
        "nan",
        "-nan",
        "nat",
        "na",
        "n/a",
        "n.a.",
        "<na>",
        "#n/a",
        "#na",
        "none",
        "null",
        "nil",
        "inf",
        "-inf",
        "infinity",
        "-infinity",
    }
    | {"-", "--", "?", "??", ".", "_", "[]", "undefined", "missing"}
)
"""Words, in lower case, by which tables write a missing value. pandas reads most of them as missing."""
_TOOL_IMAGES: Final = frozenset({"images", "image", "img", "imgs", "jpegimages", "obj_train_data", "photos"})
_TOOL_ANNOTATIONS: Final = frozenset(
    {"labels", "label", "labeltxt", "annotations", "annotation", "ann", "anns", "bboxes", "boxes", "xml", "xmls", "imagesets"}
    | {"masks", "mask", "segmentation", "segmentationclass", "segmentationobject", "groundtruth", "ground_truth", "gt"}
)
"""Folders that tools for detection and segmentation make: YOLO, Pascal VOC, COCO, Label Studio, CVAT, Supervisely."""
_BORDERS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


class SplitName(NamedTuple):
    """A name that means a split."""

    part: Part
    division: str
    """The other relevant words, such as ``seg`` of ``seg_train``. The splits of one data set share them."""


def split_name(name: str) -> SplitName | None:
    """Return the split that a folder name or a list's cell means; None if it means none or several."""
    words = _words(name)
    parts = [PART_NAMES[word] for word in words if word in PART_NAMES]
    if len(parts) != 1:
        return None
    return SplitName(parts[0], " ".join(word for word in words if word not in PART_NAMES))


def has_split_word(name: str) -> bool:
    """Whether a name means one split or several, as ``train_80`` and ``train_val`` do."""
    return not PART_NAMES.keys().isdisjoint(_words(name))


def split_claims(names: Sequence[str]) -> dict[Part, list[str]]:
    """Return the folders that claim each split, if one is a training split and another is not; else nothing.

    Names of other data sets, such as ``train_masks`` next to ``train`` and ``test``, claim none. A folder named by a split's word
    alone takes precedence over longer names.
    """
    divisions: dict[str, dict[Part, list[str]]] = {"": {}}
    for name in sorted(names, key=lambda name: name.casefold() not in PART_NAMES):
        if (split := split_name(name)) is not None:
            claimed = divisions.setdefault(split.division, {}).setdefault(split.part, [])
            if not claimed or name.casefold() in PART_NAMES or claimed[0].casefold() not in PART_NAMES:
                claimed.append(name)
    claims = next((claims for claims in divisions.values() if "train" in claims and len(claims) > 1), {})
    return {part: claims[part] for part in ("train", "validation", "test") if part in claims}


def is_unlabelled(name: str) -> bool:
    """Whether a folder's name means images without labels, as ``no_label`` and ``unlabeled_images`` do."""
    return _UNLABELLED.fullmatch(" ".join(_words(name))) is not None


def is_annotation_layout(names: Sequence[str]) -> bool:
    """Whether folders are those of a tool for detection or segmentation: images next to their annotations."""
    known = {name.casefold() for name in names}
    return not known.isdisjoint(_TOOL_IMAGES) and not known.isdisjoint(_TOOL_ANNOTATIONS)


def is_missing_label(name: str) -> bool:
    """Whether a label of a list probably means that the image has none, as ``nan`` and ``unlabeled`` do."""
    return name.casefold() in _MISSING or is_unlabelled(name)


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case, without generic ones."""
    apart = re.split(r"[\W_]+", _BORDERS.sub(" ", name).casefold())
    return [word for piece in apart for word in _split_joined(piece) if word and word not in _GENERIC]


def _split_joined(word: str) -> tuple[str, ...]:
    """Split joined words: ``trainset`` becomes ``train`` and ``set``."""
    split = next((part for part in PART_NAMES if word.startswith(part) and word.removeprefix(part) in _GENERIC), None)
    return (word,) if split is None else (split,)
