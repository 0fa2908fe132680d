"""Plots for a terminal, in Unicode and in ASCII: intervals on one axis, rows of bars, and a finished build in 15 lines."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from edgecnn.errors.base import visible
from edgecnn.judging.metrics import exactly
from edgecnn.render.figures import percent
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval

LOG_FROM = 8.0
"""The axis is logarithmic if the largest value is this many times the smallest."""


@dataclass(frozen=True)
class Signs:
    """The characters of a plot."""

    left: str
    right: str
    line: str
    axis_left: str
    axis_right: str
    bars: str
    """Bars from low to high."""
    points: dict[Fidelity, str]
    """A shape for each origin of a figure, as on the page."""
    chosen: str
    broken: str
    """Separator of two bars that cannot be compared."""


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
        """Return the cell of a value, 0…width - 1. Values outside the axis are in the first or the last cell."""
        if self.high <= self.low:
            return (self.width - 1) // 2
        at, low, high = (
            math.log(number) if self.logarithmic else number for number in (max(value, self.low), self.low, self.high)
        )
        return min(self.width - 1, max(0, round((at - low) / (high - low) * (self.width - 1))))


def span_of(intervals: Sequence[Interval], width: int, marked: float | None = None) -> Span:
    """Return an axis that contains these intervals, and a ``marked`` value such as 0 of a difference."""
    required = [] if marked is None else [marked]
    low = min([*required, *(interval.low for interval in intervals)])
    high = max([*required, *(interval.high for interval in intervals)])
    return Span(low, high, width, logarithmic=far_apart(low, high))


def far_apart(low: float, high: float) -> bool:
    """Return whether small values would be too close to each other on a linear axis."""
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
    """``▁▂▂▅█``: a sign for each value. ``low`` and ``high``: ends of the scale (default: of the values)."""
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
    """One line of a plot. Without a figure, the text is the reason."""

    name: str
    figure: Interval | None
    text: str
    fidelity: Fidelity = Fidelity.MEASURED


@dataclass(frozen=True)
class Axis:
    """The axis of a plot."""

    digits: int
    """Digits after the decimal point at the ends of the axis."""
    marked: float | None = None
    """A value that the axis always contains, such as 0 of a difference."""


def interval_lines(bars: Sequence[Bar], axis: Axis, signs: Signs, width: int = 120) -> list[str]:
    """Return a line for each bar with its name, interval and figure, and the common axis below.

    Args:
        bars: the bars, from top to bottom.
        axis: the axis that all bars share.
        signs: the characters of the plot.
        width: width of a line in cells. Names and figures are never cut, so a line may be wider.
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
    """Return a character for each value, a blank for a missing value, and a bar at each break.

    ``values``: the oldest first. ``breaks``: places of the values that begin a new segment.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    drawn = iter(bars_line(known, signs))
    cells = [" " if value is None else next(drawn) for value in values]
    return "".join((signs.broken if place in breaks else "") + cell for place, cell in enumerate(cells))


ROWS_SHOWN, SOAKS_SHOWN = 10, 2
NAME_CELLS, PANEL_CELLS, PANEL_LEAST = 32, 44, 16


@dataclass(frozen=True)
class _Panel:
    """An axis with its heading and the candidates' figures."""

    heading: str
    digits: int
    figures: tuple[tuple[Interval, Fidelity] | None, ...]


def plot_lines(report: BuildReport, width: int, drawn: Signs) -> list[Text]:
    """Plot accuracy and latency with their intervals side by side, then the soaks. Omit panels without a figure.

    ``width``: width of the terminal in cells. ``drawn``: the characters that it can show.
    """
    first = sorted(report.candidates, key=lambda facts: not (facts.chosen or facts.is_baseline))[:ROWS_SHOWN]
    rows = [facts for facts in report.candidates if facts in first]
    sides = ((_panel_of(rows, *row) for row in side) for side in _SIDES)
    panels = [
        panel
        for side in sides
        if (panel := next((candidate_panel for candidate_panel in side if any(candidate_panel.figures)), None))
    ]
    if not panels:
        return []
    names = [_shown_name(facts, drawn) for facts in rows]
    left = max(cell_len(name) for name in names)
    panel_cells = min(PANEL_CELLS, max(PANEL_LEAST, (width - left - 2 * len(GAP)) // len(panels) - len(GAP)))
    spans = [span_of([figure[0] for figure in panel.figures if figure], panel_cells) for panel in panels]
    heads = GAP.join(set_cell_size(panel.heading, panel_cells) for panel in panels)
    lines = [Text(f"{GAP}{' ' * left}{GAP}{heads}".rstrip(), style="dim")]
    for place, (facts, name) in enumerate(zip(rows, names, strict=True)):
        bars = GAP.join(
            interval_bar(figure[0], span, drawn, figure[1])
            if (figure := panel.figures[place])
            else set_cell_size("missing", panel_cells)
            for panel, span in zip(panels, spans, strict=True)
        )
        lines.append(Text(f"{GAP}{set_cell_size(name, left)}{GAP}{bars}".rstrip(), style="bold" if facts.chosen else ""))
    axes = GAP.join(axis_line(span, drawn, panel.digits) for panel, span in zip(panels, spans, strict=True))
    lines.append(Text(f"{GAP}{' ' * left}{GAP}{axes}", style="dim"))
    more = len(report.candidates) - len(rows)
    return [*lines, *([Text(f"{GAP}{more} more on the page")] if more else []), *_soak_lines(report, drawn)]


def _shown_name(facts: CandidateFacts, drawn: Signs) -> str:
    plain = visible(facts.candidate.id)
    part = f" {drawn.chosen}" if facts.chosen else ""
    part += " (first race)" if facts.latency is not None and facts.latency.selecting else ""
    cut = plain if cell_len(plain) <= NAME_CELLS else set_cell_size(plain, NAME_CELLS).rstrip()
    return cut + part


_SIDES = (
    (("top-1, %", 1, "test", "top1"), ("mAP, %", 1, "multi_label", "map"), ("as fp32 answers, %", 1, "agreement", "same")),
    (("median, ms", 2, "latency", "p50_ms"), ("size, MiB (not timed)", 1, None, "size_mib")),
)
"""The panels of both sides: heading, digits after the decimal point, and the fields of the figure. Each side shows the first
panel with a figure, as the page does: agreement if images have no labels, and size if nothing was timed."""


def _panel_of(rows: Sequence[CandidateFacts], heading: str, digits: int, part: str | None, name: str) -> _Panel:
    figures: list[tuple[Interval, Fidelity] | None] = []
    for facts in rows:
        of: Any = facts if part is None else getattr(facts, part)
        value = getattr(of, name, None)
        if value is None:
            figures.append(None)
        elif part is None:
            figures.append((exactly(value), Fidelity.MEASURED))
        else:
            figures.append((percent(value) if heading.endswith("%") else value, of.fidelity))
    return _Panel(heading, digits, tuple(figures))


def _soak_lines(report: BuildReport, drawn: Signs) -> list[Text]:
    lines: list[Text] = []
    for facts in report.candidates:
        medians = [window.p50_ms for window in facts.sustained.windows if window.p50_ms is not None] if facts.sustained else []
        if medians and len(lines) < SOAKS_SHOWN:
            name, bars = _shown_name(facts, drawn), bars_line(medians, drawn, low=0.0)
            lines.append(Text(f"{GAP}soak of {name}: {bars}  {medians[0]:.2f} ms at first, {medians[-1]:.2f} at last"))
    return lines
