"""Classes that are recognisable by a property of their files: a mode, a format or a size that the other classes lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from edgecnn.data.near_duplicates import Fingerprint
from edgecnn.values.dataset import ClassMark, MarkKind

_FEWEST: Final = 4
_MOST_OTHERS: Final = 0.5
"""If a larger share of the other images has the same mark, the mark says little about the class."""
_CHANCE: Final = 0.05
"""Largest probability that a mark appears by chance in any class (Bonferroni's bound)."""
_SIDES_SWAPPED: Final = 5
"""The first EXIF orientation that turns an image by a quarter (EXIF 2.32, tag 0x0112)."""


def class_marks(images: Sequence[tuple[Sequence[int], Fingerprint]], classes: Sequence[str]) -> tuple[ClassMark, ...]:
    """Return the classes whose images all have one mark that at most half of the other images have, beyond chance.

    A reported class is then excluded from the comparison, so only one of two classes is reported.

    ``images``: the classes or labels of each image, and its fingerprint.
    """
    return tuple(mark for kind in _MARKS for mark in _marks_of_kind(images, classes, kind))


def _marks_of_kind(
    images: Sequence[tuple[Sequence[int], Fingerprint]], classes: Sequence[str], kind: MarkKind
) -> Iterator[ClassMark]:
    mark = _MARKS[kind]
    size = Counter(label for labels, _ in images for label in labels)
    unassigned = Counter(mark(fingerprint) for _, fingerprint in images)
    counts = Counter((label, mark(fingerprint)) for labels, fingerprint in images for label in labels)
    uniform = [(label, value) for (label, value), own in counts.items() if own == size[label] >= _FEWEST]
    for label, value in sorted(uniform, key=lambda place: (unassigned[place[1]] - size[place[0]], place)):
        own, others, of_others = size[label], unassigned[value] - size[label], unassigned.total() - size[label]
        if 0 <= others <= of_others * _MOST_OTHERS < of_others and len(size) * (others / of_others) ** own <= _CHANCE:
            unassigned[value] -= own
            yield ClassMark(name=classes[label], kind=kind, value=value, images=own, others=others, of_others=of_others)


def _size(fingerprint: Fingerprint) -> str:
    sides = fingerprint.width_px, fingerprint.height_px
    width, height = sides[::-1] if fingerprint.orientation >= _SIDES_SWAPPED else sides
    return f"{width:,} × {height:,} px"


_MARKS: Final[Mapping[MarkKind, Callable[[Fingerprint], str]]] = {
    "mode": lambda fingerprint: fingerprint.mode,
    "format": lambda fingerprint: fingerprint.kind,
    "size": _size,
}
