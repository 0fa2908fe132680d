"""A finished build in at most 15 lines of a terminal: the first chart of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from edgecnn.errors.base import visible
from edgecnn.judging.metrics import exactly
from edgecnn.render.figures import percent
from edgecnn.render.plots import Signs, axis_line, bars_line, interval_bar, span_of
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval

ROWS_SHOWN, SOAKS_SHOWN = 10, 2
NAME_CELLS, PANEL_CELLS, PANEL_LEAST = 32, 44, 16
GAP = "  "


@dataclass(frozen=True)
class _Panel:
    """An axis with its heading and the candidates' figures."""

    heading: str
    digits: int
    figures: tuple[tuple[Interval, Fidelity] | None, ...]


def plot_lines(report: BuildReport, width: int, drawn: Signs) -> list[Text]:
    """Accuracy and latency with their intervals side by side, then the soaks; nothing where nothing is known.

    ``width``: of the terminal, in cells. ``drawn``: the signs that it can show.
    """
    rows = _shown(report)
    sides = ((_panel(rows, *row) for row in side) for side in _SIDES)
    panels = [
        panel
        for side in sides
        if (panel := next((candidate_panel for candidate_panel in side if any(candidate_panel.figures)), None))
    ]
    if not panels:
        return []
    names = [_name(facts, drawn) for facts in rows]
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
    return [*lines, *([Text(f"{GAP}{more} more on the page")] if more else []), *_soaks(report, drawn)]


def _shown(report: BuildReport) -> list[CandidateFacts]:
    """Return up to ten candidates: all, or the chosen one, the baseline and the first ones of the report."""
    ranked = sorted(report.candidates, key=lambda facts: not (facts.chosen or facts.is_baseline))[:ROWS_SHOWN]
    return [facts for facts in report.candidates if facts in ranked]


def _name(facts: CandidateFacts, drawn: Signs) -> str:
    plain = visible(facts.candidate.id)
    part = f" {drawn.chosen}" if facts.chosen else ""
    cut = plain if cell_len(plain) <= NAME_CELLS else set_cell_size(plain, NAME_CELLS).rstrip()
    return cut + part


_SIDES = (
    (("top-1, %", 1, "test", "top1"), ("mAP, %", 1, "multi_label", "map"), ("as fp32 answers, %", 1, "agreement", "same")),
    (("median, ms", 2, "latency", "p50_ms"), ("size, MiB (not timed)", 1, None, "size_mib")),
)
"""Of each side the heading, digits after the point and where the figure is read. The second stands where nobody has the first, as
on the page: agreement for accuracy without labels, and size for latency, though it predicts no speed."""


def _panel(rows: Sequence[CandidateFacts], heading: str, digits: int, part: str | None, name: str) -> _Panel:
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


def _soaks(report: BuildReport, drawn: Signs) -> list[Text]:
    lines: list[Text] = []
    for facts in report.candidates:
        medians = [window.p50_ms for window in facts.sustained.windows if window.p50_ms is not None] if facts.sustained else []
        if medians and len(lines) < SOAKS_SHOWN:
            name, bars = _name(facts, drawn), bars_line(medians, drawn, low=0.0)
            lines.append(Text(f"{GAP}soak of {name}: {bars}  {medians[0]:.2f} ms at first, {medians[-1]:.2f} at last"))
    return lines
