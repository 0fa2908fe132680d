"""Small plots for a terminal, in Unicode and in ASCII: intervals on one axis, and a row of bars for a series.

Nothing is printed here: each function returns text of a known width, in which every sign takes one cell.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from edgecnn.values.verdict import Fidelity, Interval

LOG_FROM = 8.0
"""The axis is logarithmic if the largest value is this many times the smallest."""


@dataclass(frozen=True)
class Signs:
    """The signs of a plot."""

    left: str
    right: str
    line: str
    axis_left: str
    axis_right: str
    bars: str
    """From low to high."""
    points: dict[Fidelity, str]
    """A shape for each origin of a figure, as on the page."""
    chosen: str
    broken: str
    """Between two bars that cannot be compared."""


UNICODE = Signs(
    left="├", right="┤", line="─", axis_left="└", axis_right="┘", bars="▁▂▃▄▅▆▇█", chosen="◀", broken="┊",
    points={
        Fidelity.MEASURED: "●", Fidelity.EMULATED: "◆", Fidelity.PREDICTED: "▲", Fidelity.DEFINED: "=", Fidelity.MISSING: "○",
    },
)  # fmt: skip
ASCII = Signs(
    left="|", right="|", line="-", axis_left="+", axis_right="+", bars="_.-:=+*#", chosen="<", broken="|",
    points={
        Fidelity.MEASURED: "o", Fidelity.EMULATED: "*", Fidelity.PREDICTED: "^", Fidelity.DEFINED: "=", Fidelity.MISSING: "?",
    },
)  # fmt: skip


def signs_for(encoding: str | None) -> Signs:
    """Return Unicode signs for UTF, else ASCII: other encodings lack signs, or show them two cells wide."""
    return UNICODE if (encoding or "utf-8").lower().startswith("utf") else ASCII


def stdout_signs() -> Signs:
    """Return the signs that stdout of this process can show."""
    return signs_for(sys.stdout.encoding)


@dataclass(frozen=True)
class Span:
    """An axis ``width`` cells wide, from the lowest to the highest value drawn on it."""

    low: float
    high: float
    width: int
    logarithmic: bool = False

    def cell(self, value: float) -> int:
        """Return the cell of a value, 0…width - 1; values outside the axis are in the first or the last cell."""
        if self.high <= self.low:
            return (self.width - 1) // 2
        at, low, high = (
            math.log(number) if self.logarithmic else number for number in (max(value, self.low), self.low, self.high)
        )
        return min(self.width - 1, max(0, round((at - low) / (high - low) * (self.width - 1))))


def span_of(intervals: Sequence[Interval], width: int, marked: float | None = None) -> Span:
    """Return an axis for these intervals, at least one, and for a ``marked`` value such as 0 of a difference."""
    required = [] if marked is None else [marked]
    low, high = (
        min([*required, *(interval.low for interval in intervals)]),
        max([*required, *(interval.high for interval in intervals)]),
    )
    return Span(low, high, width, logarithmic=far_apart(low, high))


def far_apart(low: float, high: float) -> bool:
    """Whether small values would be too close on a linear axis."""
    return low > 0 and high / low > LOG_FROM


def interval_bar(interval: Interval, span: Span, drawn: Signs, fidelity: Fidelity = Fidelity.MEASURED) -> str:
    """``  ├──●─┤ ``: the estimate between its bounds, ``span.width`` cells wide."""
    cells = [" "] * span.width
    low, high = span.cell(interval.low), span.cell(interval.high)
    cells[low : high + 1] = drawn.line * (high - low + 1)
    if high > low:
        cells[low], cells[high] = drawn.left, drawn.right
    cells[span.cell(interval.estimate)] = drawn.points[fidelity]
    return "".join(cells)


def axis_line(span: Span, drawn: Signs, digits: int) -> str:
    """``└ 1.20 ── 3.45 ┘``: the ends of the axis; ``span.width`` cells wide if the numbers and ``log`` fit."""
    low, high = f"{drawn.axis_left} {span.low:.{digits}f} ", f" {span.high:.{digits}f} {drawn.axis_right}"
    kind = " log " if span.logarithmic else ""
    return low + kind.center(max(1, span.width - len(low) - len(high)), drawn.line) + high


def bars_line(values: Sequence[float], drawn: Signs, low: float | None = None, high: float | None = None) -> str:
    """``▁▂▂▅█``: a sign for each value. ``low`` and ``high`` have the lowest and the highest sign (default: of the values)."""
    least = min(values) if low is None else low
    most = max(values) if high is None else high
    if most <= least:
        return drawn.bars[0] * len(values)
    top = len(drawn.bars) - 1
    shares = ((min(max(value, least), most) - least) / (most - least) for value in values)
    return "".join(drawn.bars[round(share * top)] for share in shares)


GAP = "  "
PLOT_CELLS = 40
PLOT_CELLS_MIN = 10


@dataclass(frozen=True)
class Bar:
    """One line of a plot; without a figure, its text is the reason."""

    name: str
    figure: Interval | None
    text: str
    fidelity: Fidelity = Fidelity.MEASURED


@dataclass(frozen=True)
class Axis:
    """The axis of a plot."""

    digits: int
    """Digits after the point of the numbers at its ends."""
    marked: float | None = None
    """A value that is always on it, such as 0 of a difference."""


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

    ``values``: oldest first. ``breaks``: places before which the line is broken.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    drawn = iter(bars_line(known, signs))
    cells = [" " if value is None else next(drawn) for value in values]
    return "".join((signs.broken if place in breaks else "") + cell for place, cell in enumerate(cells))
