"""Figures with their names as plots in text: intervals line by line on one axis, and a line of figures over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from edgecnn.render.plots import Signs, axis_line, bars_line, interval_bar, span_of
from edgecnn.values.verdict import Fidelity, Interval

GAP = "  "
PLOT_CELLS = 40
PLOT_CELLS_MIN = 10


@dataclass(frozen=True)
class Bar:
    """One line of a plot. Without a figure its text says why."""

    name: str
    figure: Interval | None
    text: str
    fidelity: Fidelity = Fidelity.MEASURED


@dataclass(frozen=True)
class Axis:
    """What the figures of a plot stand on."""

    digits: int
    """After the point, of the numbers at its ends."""
    marked: float | None = None
    """A value that it holds in any case, such as 0 of a difference."""


def interval_lines(bars: Sequence[Bar], axis: Axis, signs: Signs, width: int = 120) -> list[str]:
    """One line a bar on one axis: name, interval with its estimate, figure; and the axis beneath.

    Args:
        bars: whose figures may stand on one axis.
        axis: that they stand on.
        signs: what is drawn with.
        width: cells in a line, as far as names and figures leave room.
    """
    names = max((cell_len(bar.name) for bar in bars), default=0)
    known = [(bar.figure, cell_len(bar.text)) for bar in bars if bar.figure is not None]
    if not known:
        return [set_cell_size(bar.name, names) + GAP + bar.text for bar in bars]
    texts = max(cells for _, cells in known)
    cells = max(PLOT_CELLS_MIN, min(PLOT_CELLS, width - names - texts - 2 * len(GAP)))
    span = span_of([figure for figure, _ in known], cells, axis.marked)
    lines = []
    for bar in bars:
        drawn = "" if bar.figure is None else interval_bar(bar.figure, span, signs, bar.fidelity) + GAP
        lines.append((set_cell_size(bar.name, names) + GAP + drawn + bar.text).rstrip())
    return [*lines, " " * names + GAP + axis_line(span, signs, axis.digits)]


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
    drawn = iter(bars_line(known, signs))
    cells = [" " if value is None else next(drawn) for value in values]
    return "".join((signs.broken if place in breaks else "") + cell for place, cell in enumerate(cells))
