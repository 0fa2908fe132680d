"""Small plots in text: intervals on a common axis, and a line of figures over time. In ASCII where the encoding has no more."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from edgecnn.values.verdict import Interval

STEPS = "▁▂▃▄▅▆▇█"
ASCII_STEPS = "_.-=+*%#"
GAP = "  "
PLOT_CELLS = 40
PLOT_CELLS_MIN = 10
LOG_FROM = 8.0
"""A range of figures this many times wide stands on a logarithmic axis."""
_BREAK, _ASCII_BREAK = "┊", "|"


@dataclass(frozen=True)
class Bar:
    """One line of a plot. Without a figure its text says why."""

    name: str
    figure: Interval | None
    text: str


@dataclass(frozen=True)
class Signs:
    """What is drawn with."""

    left: str
    line: str
    right: str
    point: str
    steps: str
    broken: str


UNICODE = Signs("├", "─", "┤", "●", STEPS, _BREAK)
ASCII = Signs("|", "-", "|", "o", ASCII_STEPS, _ASCII_BREAK)


def signs_for(encoding: str | None) -> Signs:
    """Those that an encoding has."""
    try:
        "".join((UNICODE.left, UNICODE.line, UNICODE.right, UNICODE.point, STEPS, _BREAK)).encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def stdout_signs() -> Signs:
    """Those of this process's stdout."""
    return signs_for(sys.stdout.encoding)


def interval_lines(bars: Sequence[Bar], signs: Signs, width: int = 120, marked: float | None = None) -> list[str]:
    """One line a bar on one axis: name, interval with its estimate, figure; and the axis' ends beneath.

    Args:
        bars: whose figures may stand on one axis.
        signs: what is drawn with.
        width: cells in a line, as far as names and figures leave room.
        marked: a value that the axis holds in any case, such as 0 of a difference.
    """
    known = [bar.figure for bar in bars if bar.figure is not None]
    placed = {id(each): _on(each, logarithmic(known)) for each in known}
    names = max((cell_len(bar.name) for bar in bars), default=0)
    if not known:
        return [_padded(bar.name, names) + GAP + bar.text for bar in bars]
    texts = max(cell_len(bar.text) for bar in bars if bar.figure is not None)
    cells = max(PLOT_CELLS_MIN, min(PLOT_CELLS, width - names - texts - 2 * len(GAP)))
    edges = [edge for each in placed.values() for edge in (each.low, each.high)] + ([] if marked is None else [marked])
    low, high = min(edges), max(edges)
    lines = []
    for bar in bars:
        drawn = "" if bar.figure is None else _drawn(placed[id(bar.figure)], (low, high), cells, signs) + GAP
        lines.append((_padded(bar.name, names) + GAP + drawn + bar.text).rstrip())
    ends = (math.exp(low), math.exp(high)) if logarithmic(known) else (low, high)
    lines.append(" " * (names + len(GAP)) + _axis(*ends, cells) + (f"{GAP}logarithmic" if logarithmic(known) else ""))
    return lines


def logarithmic(figures: Sequence[Interval]) -> bool:
    """Whether figures are so far apart that on a linear axis the small ones could not be told apart."""
    low, high = min(each.low for each in figures), max(each.high for each in figures)
    return low > 0 and high / low > LOG_FROM


def sparkline(values: Sequence[float | None], breaks: Sequence[int], signs: Signs) -> str:
    """A sign a figure, the lowest and highest of all at the ends of the scale; a gap where one is missing, a bar where it breaks.

    Args:
        values: oldest first.
        breaks: places before which the line is broken.
        signs: what is drawn with.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    said = []
    for place, value in enumerate(values):
        if place in breaks:
            said.append(signs.broken)
        share = 0.5 if span == 0 or value is None else (value - low) / span
        said.append(" " if value is None else signs.steps[min(len(signs.steps) - 1, int(share * len(signs.steps)))])
    return "".join(said)


def _on(figure: Interval, in_logarithms: bool) -> Interval:
    if not in_logarithms:
        return figure
    return figure.model_copy(update={name: math.log(getattr(figure, name)) for name in ("estimate", "low", "high")})


def _drawn(figure: Interval, ends: tuple[float, float], cells: int, signs: Signs) -> str:
    at_low, at, at_high = (_cell(value, ends, cells) for value in (figure.low, figure.estimate, figure.high))
    line = [" "] * cells
    line[at_low : at_high + 1] = signs.line * (at_high - at_low + 1)
    line[at_low], line[at_high] = signs.left, signs.right
    line[at] = signs.point
    return "".join(line)


def _cell(value: float, ends: tuple[float, float], cells: int) -> int:
    low, high = ends
    return (cells - 1) // 2 if high <= low else round((value - low) / (high - low) * (cells - 1))


def _axis(low: float, high: float, cells: int) -> str:
    left, right = f"{low:.4g}", f"{high:.4g}"
    return left if high <= low else left + " " * max(1, cells - len(left) - len(right)) + right


def _padded(text: str, cells: int) -> str:
    return text + " " * (cells - cell_len(text))
