"""Failures of images with several labels: settings that do not apply to them, and unusable labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import and_more, did_you_mean, plural

_NAMED = 5


class MultiLabelNotFitting(EdgecnnError):
    """A setting applies to images with one class each, and these images have several labels."""


class LabelTooRare(EdgecnnError):
    """Labels are on too few images for their roles."""


class LabelsNotDivisible(EdgecnnError):
    """Every label is on enough images, but no division gives every role images of every label."""


MULTI_LABEL_NOT_FITTING = ErrorRow(
    "multi-label-not-fitting",
    "{asked} cannot be combined with several labels for each image",
    "{because}",
    "{hint}",
    kind=MultiLabelNotFitting,
)
BOUND_OF_SEVERAL_LABELS = ErrorRow(
    "bound-of-several-labels",
    "a bound of {metric} cannot be used for single-label images",
    "the metric applies to images with several labels",
    "use a bound such as --max drop_pp=1 or --min top1=0.8",
)
LABEL_TOO_RARE = ErrorRow(
    "label-too-rare",
    "label {name!r} in {file} has {found:counted usable image}, but needs {needed} for {roles:listed}",
    "{because}",
    "{add} images with this label, or remove the label from the list",
    kind=LabelTooRare,
)
LABELS_NOT_DIVISIBLE = ErrorRow(
    "labels-not-divisible",
    "no division of {file} gives {roles:listed} images of every label",
    fix="add images with the rare labels, or divide the images yourself in a split column",
    kind=LabelsNotDivisible,
)
UNKNOWN_LABEL = ErrorRow(
    "unknown-label",
    "label {name!r} in {file} is not one of the {count} of {known_by}",
    "the known labels are {known}",
    "{guess}correct the list, or remove the label from it",
)
THRESHOLDS_OF_ANOTHER_MODEL = ErrorRow(
    "thresholds-of-another-model",
    "the thresholds in {file} belong to another model",
    "{because}",
    "use the thresholds and the kit of the same build",
)


def multi_label_not_fitting(
    setting: str, because: str, hint: str = "remove the setting, or list one label for each image"
) -> EdgecnnError:
    return MULTI_LABEL_NOT_FITTING(asked=setting, because=because, hint=hint)


def label_too_rare(file: Path, short: Sequence[tuple[str, int, int]], roles: Sequence[str], own: bool = False) -> EdgecnnError:
    """``short``: labels, each with its number of images and the number needed; the first is explained in full.

    ``own``: the only role that is a split of the list's own.
    """
    (name, images, needed), others = short[0], [other for other, _, _ in short[1:]]
    also = f"{', '.join(map(repr, others[:_NAMED]))}{and_more(len(others), _NAMED)}"
    return LABEL_TOO_RARE(
        file=file,
        name=name,
        found=images,
        needed=needed,
        roles=roles,
        because=f"{also} also {plural(len(others), 'has', 'have')} too few images" if others else None,
        add="give that split" if own else "add",
    )


def unknown_label(file: Path, name: str, known: Sequence[str], known_by: str) -> EdgecnnError:
    return UNKNOWN_LABEL(
        file=file,
        name=name,
        count=len(known),
        known_by=known_by,
        known=f"{', '.join(known[:_NAMED])}{and_more(len(known), _NAMED)}",
        guess=did_you_mean(name, known),
    )


def thresholds_of_another_model(file: Path, names: Sequence[str], labels: Sequence[str]) -> EdgecnnError:
    missing = [name for name in labels if name not in names]
    because = f"it has {len(names)} thresholds, but the network has {len(labels)} labels"
    if missing:
        because = f"the file has no threshold for {missing[0]!r}"
    return THRESHOLDS_OF_ANOTHER_MODEL(file=file, because=because)
