"""Names beside points without one lying over another: to the right where there is room, else to the left, else above."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

Drawn = TypeVar("Drawn")
Anchor = Literal["left", "right", "center"]
ANCHORS: tuple[Anchor, ...] = ("left", "right", "center")
"""The text's own anchor: the best side first."""
SIDES: Mapping[Anchor, tuple[int, int]] = {"left": (9, -8), "right": (-9, -8), "center": (0, -14)}
"""How far right of its point and below it a text begins."""
WIDTH_PX, HEIGHT_PX = 900.0, 320.0
"""The plot that names are placed for; a phone shows numbers instead."""
CHARACTER_PX, LINE_PX, GAP_PX = 6.8, 16.0, 11.0


class Spot(NamedTuple):
    """Where a point stands in its plot, 0…1 from the left and from the bottom, and its name."""

    right: float
    up: float
    name: str


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom


def front_of(points: Sequence[Drawn], cost: Callable[[Drawn], float], worth: Callable[[Drawn], float]) -> list[Drawn]:
    """Those that nothing cheaper reaches in worth, from the cheapest."""
    front: list[Drawn] = []
    for point in sorted(points, key=lambda each: (cost(each), -worth(each))):
        if not front or worth(point) > worth(front[-1]):
            front.append(point)
    return front


def placed(spots: Sequence[Spot]) -> list[Anchor]:
    """For each spot the side of its name, as the text's anchor: ``left`` means that the name begins right of the point."""
    at = [(spot.right * WIDTH_PX, (1 - spot.up) * HEIGHT_PX) for spot in spots]
    taken = [_Box(x - 7, y - 7, x + 7, y + 7) for x, y in at]
    found: list[Anchor] = []
    for spot, (x, y) in zip(spots, at, strict=True):
        choices = {anchor: _box(x, y, len(spot.name) * CHARACTER_PX, anchor) for anchor in ANCHORS}
        clashes = {anchor: sum(box.meets(other) for other in taken) + 2 * _outside(box) for anchor, box in choices.items()}
        best = min(ANCHORS, key=lambda anchor: clashes[anchor])
        taken.append(choices[best])
        found.append(best)
    return found


def legible(spots: Sequence[Spot], height_px: float) -> list[Anchor | None]:
    """As ``placed``, for a crowd: None where a name would lie over another, which the table and the pointer tell instead.

    ``spots``: those that must be named come first.
    """
    taken: list[_Box] = []
    found: list[Anchor | None] = []
    for spot in spots:
        x, y = spot.right * WIDTH_PX, (1 - spot.up) * height_px
        choices = {anchor: _box(x, y, len(spot.name) * CHARACTER_PX, anchor) for anchor in ANCHORS}
        free = [each for each, box in choices.items() if not _outside(box) and not any(box.meets(other) for other in taken)]
        found.append(free[0] if free else None)
        taken += [choices[free[0]]] if free else []
    return found


def _box(x: float, y: float, width: float, anchor: str) -> _Box:
    if anchor == "left":
        return _Box(x + GAP_PX, y - LINE_PX - 4, x + GAP_PX + width, y - 4)
    if anchor == "right":
        return _Box(x - GAP_PX - width, y - LINE_PX - 4, x - GAP_PX, y - 4)
    return _Box(x - width / 2, y - 2 * LINE_PX - 4, x + width / 2, y - LINE_PX - 4)


def _outside(box: _Box) -> bool:
    return box.left < 0 or box.right > WIDTH_PX


def shortened(name: str, characters: int = 34) -> str:
    """A name that fits beside a point."""
    return name if len(name) <= characters else name[: characters - 1] + "…"
