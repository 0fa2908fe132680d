"""Lists of images that have any number of labels, for the tests of whatever reads them."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

from tests.data.folders import fill

NAMES = ("bag", "cat", "dog")


def drawn(folder: Path, images: int = 120, seed: int = 3) -> list[tuple[str, tuple[str, ...]]]:
    """Photographs in ``folder / photos``, and which labels each has: bag on every second, cat and dog on fewer, some on none."""
    draw = random.Random(seed)
    fill(folder / "photos", {"all": images})
    shares = dict(zip(NAMES, (0.5, 0.3, 0.2), strict=True))
    return [
        (f"photos/all/{number:03d}.png", tuple(name for name in NAMES if draw.random() < shares[name]))
        for number in range(images)
    ]


def listed(folder: Path, rows: Sequence[Sequence[str]], name: str = "list.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def rows_by_name(shown: Sequence[tuple[str, tuple[str, ...]]], between: str = "|") -> list[list[str]]:
    """A column ``labels``."""
    return [["path", "labels"], *([path, between.join(names)] for path, names in shown)]


def rows_by_column(shown: Sequence[tuple[str, tuple[str, ...]]]) -> list[list[str]]:
    """A column a label."""
    return [["path", *NAMES], *([path, *(str(int(name in names)) for name in NAMES)] for path, names in shown)]
