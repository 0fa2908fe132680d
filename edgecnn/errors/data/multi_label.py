"""Failures of images with several labels: what does not go with them, and labels that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import and_more, counted, did_you_mean, listed, plural

_NAMED = 5


class MultiLabelNotFitting(EdgecnnError):
    """Raised when something is asked of multi-label images, or of a network of theirs, that knows of one class an image alone."""

    def __init__(self, *, asked: str, because: str, hint: str = "leave it out, or list one label an image") -> None:
        super().__init__(what=f"{asked} does not go with several labels an image", because=because, hint=hint)


class BoundOfSeveralLabels(EdgecnnError):
    """Raised when a bound is of a metric that images of one class each have none of."""

    def __init__(self, *, metric: str) -> None:
        super().__init__(
            what=f"a bound of {metric} does not go with one class an image",
            because="it is of images with several labels",
            hint="as in --max drop_pp=1 or --min top1=0.8",
        )


class LabelTooRare(EdgecnnError):
    """Raised when labels are on too few images for the roles that have to come out of them; the first is told in full.

    ``own``: of the one role that is a split of the list's own.
    """

    def __init__(self, *, file: Path, short: Sequence[tuple[str, int, int]], roles: Sequence[str], own: bool = False) -> None:
        (name, found, needed), others = short[0], [other for other, _, _ in short[1:]]
        also = f"{', '.join(map(repr, others[:_NAMED]))}{and_more(len(others), _NAMED)}"
        super().__init__(
            what=f"{file}: label {name!r} is on {counted(found, 'usable image')} for {listed(roles)}, and needs {needed}",
            because=f"{also} {plural(len(others), 'is', 'are')} on too few images too" if others else None,
            hint=f"{'give that split' if own else 'add'} images that have it, or take it out of the list",
        )


class LabelsNotDivisible(EdgecnnError):
    """Raised when every label is on images enough, and still no way is found to have each of them in every role."""

    def __init__(self, *, file: Path, roles: Sequence[str]) -> None:
        super().__init__(
            what=f"{file}: no way was found to divide the images so that {listed(roles)} each have images of every label",
            hint="add images of the rare labels, or divide the images yourself in a column split",
        )


class UnknownLabel(EdgecnnError):
    """Raised when a list has a label that the file of ``data.classes``, or the network that is asked, does not know."""

    def __init__(self, *, file: Path, name: str, known: Sequence[str], known_by: str) -> None:
        super().__init__(
            what=f"{file}: the label {name!r} is none of the {len(known)} of {known_by}",
            because=f"these are {', '.join(known[:_NAMED])}{and_more(len(known), _NAMED)}",
            hint=f"{did_you_mean(name, known)}correct the list, or take the label out of it",
        )


class ThresholdsOfAnotherModel(EdgecnnError):
    """Raised when thresholds are not one for each label of the network that they are held against."""

    def __init__(self, *, file: Path, found: Sequence[str], labels: Sequence[str]) -> None:
        missing = [name for name in labels if name not in found]
        because = f"it has none of {missing[0]!r}" if missing else f"it has {len(found)}, and the network {len(labels)} labels"
        super().__init__(
            what=f"{file}: its thresholds are those of another model",
            because=because,
            hint="take the thresholds and the kit of one build",
        )
