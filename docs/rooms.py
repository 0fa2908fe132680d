"""The rooms of the package, from its own imports: the drawing and the table of docs/architecture.md.

``python -m docs.generated`` writes both, and a test compares them.

A room is a folder of ``edgecnn/`` or a module beside them; its layer is that of the contract in pyproject.toml. Of the imports
those are drawn that no other path already implies, so that the lines can be followed by eye.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "edgecnn"
DRAWING: Final = ROOT / "docs" / "rooms.svg"
PAGE: Final = ROOT / "docs" / "architecture.md"
_TABLE: Final = re.compile(r"(?<=<!-- rooms -->\n\n).*?(?=\n\n<!-- end -->)", flags=re.DOTALL)
_IMPORT: Final = re.compile(r"^\s*(?:from|import) edgecnn\.([a-z_]+)", flags=re.MULTILINE)
_WIDTH, _LAYER, _BOX, _HEIGHT = 880, 62, 132, 34


class Room(NamedTuple):
    """A room: its name, its layer (0 is the highest) and what it is for, in one line."""

    name: str
    layer: int
    purpose: str


def rooms() -> tuple[Room, ...]:
    """Every room, from the highest layer to the lowest."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers: Sequence[str] = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return tuple(
        Room(name.strip(), number, _purpose(name.strip())) for number, layer in enumerate(layers) for name in layer.split("|")
    )


def imports() -> Mapping[str, frozenset[str]]:
    """Of each room, the others that it imports from, at any depth of its code."""
    names = {room.name for room in rooms()}
    return {name: frozenset(_imported(name) & names - {name}) for name in names}


def drawn(of: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
    """Without the imports that a way over other rooms implies (the transitive reduction; imports have no circle)."""

    def reached(name: str) -> set[str]:
        return {far for near in of[name] for far in (near, *reached(near))}

    return {
        name: frozenset(near for near in direct if not any(near in reached(other) for other in direct - {near}))
        for name, direct in of.items()
    }


def drawing() -> str:
    """The SVG."""
    every = [room for room in rooms() if room.name != "__main__"]
    layers: dict[int, list[Room]] = {}
    for room in every:
        layers.setdefault(room.layer, []).append(room)
    place = {
        room.name: (int(_WIDTH * (column + 1) / (len(here) + 1)), 30 + _LAYER * row)
        for row, here in enumerate(layers.values())
        for column, room in enumerate(here)
    }
    lines = [
        _line(place[name], place[near])
        for name, direct in sorted(drawn(imports()).items())
        if name in place
        for near in sorted(direct)
    ]
    boxes = [_box(room, place[room.name]) for room in every]
    height = 30 + _LAYER * len(layers)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">',
            "<title>The rooms of edgecnn: imports go down only</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            *lines,
            *boxes,
            "</svg>\n",
        )
    )


def page() -> str:
    """docs/architecture.md with the table of rooms as the package has them now."""
    rows = (f"| `{room.name}` | {room.purpose.replace('``', '`')} |" for room in rooms() if room.name != "__main__")
    table = "\n".join(("| room | what it is for |", "| --- | --- |", *rows))
    return _TABLE.sub(lambda _: table, PAGE.read_text(encoding="utf-8"))


def _purpose(name: str) -> str:
    path = PACKAGE / name / "__init__.py" if (PACKAGE / name).is_dir() else PACKAGE / f"{name}.py"
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return words.partition("\n\n")[0].replace("\n", " ")


def _imported(name: str) -> set[str]:
    files = (PACKAGE / name).rglob("*.py") if (PACKAGE / name).is_dir() else [PACKAGE / f"{name}.py"]
    return {found for file in files for found in _IMPORT.findall(file.read_text(encoding="utf-8"))}


def _box(room: Room, at: tuple[int, int]) -> str:
    x, y = at[0] - _BOX // 2, at[1] - _HEIGHT // 2
    return (
        f'<g><title>{escape(room.purpose)}</title><rect x="{x}" y="{y}" width="{_BOX}" height="{_HEIGHT}" rx="6" fill="#eef3f8" '
        f'stroke="#41607f"/><text x="{at[0]}" y="{at[1] + 5}" text-anchor="middle" fill="#1c2b3a">{escape(room.name)}</text></g>'
    )


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = (start[0], start[1] + _HEIGHT // 2), (end[0], end[1] - _HEIGHT // 2)
    aside = 0 if y2 - y1 <= _LAYER else (170 if x2 >= _WIDTH // 2 else -170)  # around the rooms that lie between
    middle = (y1 + y2) // 2
    return f'<path d="M {x1} {y1} C {x1 + aside} {middle}, {x2 + aside} {middle}, {x2} {y2}" fill="none" stroke="#9db1c6"/>'
