"""The table of candidates: each figure with its interval and its source, or the reason why the figure is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgecnn.render import figures
from edgecnn.render.columns import RESIDENCY, Column, columns_of
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, Mark, residency_mark
from edgecnn.values.report import BuildReport, CandidateFacts


@dataclass(frozen=True)
class Cell:
    """A figure, its mark, and a detail such as the number of images or the reason for a missing figure."""

    text: str
    mark: Mark
    detail: str = ""
    span: int = 1
    """Columns that the cell covers. Figures that are missing for one reason share one cell."""

    @property
    def estimate(self) -> str:
        """The figure without its interval, for places where both need a line."""
        return self.text.estimate if isinstance(self.text, figures.Spelt) else self.text

    @property
    def interval(self) -> str:
        """The interval alone, with its unit; empty where there is none."""
        return self.text.interval if isinstance(self.text, figures.Spelt) else ""


@dataclass(frozen=True)
class Row:
    """One candidate. Charts show ``number`` if they have no room for names."""

    number: int
    facts: CandidateFacts
    cells: tuple[Cell, ...]
    verdict: str

    @property
    def tags(self) -> tuple[str, ...]:
        """The role of the candidate, its method, its surgery, and whether the device builds an engine."""
        candidate = self.facts.candidate
        parts = [word for word, holds in (("chosen", self.facts.chosen), ("baseline", self.facts.is_baseline)) if holds]
        method = "float" if candidate.precision.is_float else candidate.method.value
        return (
            *parts,
            *([method] if method != "float" else []),
            *([candidate.surgery.done] if candidate.surgery is not None else []),
            *(["engine built on the device"] if candidate.needs_engine else []),
        )


def candidate_rows(report: BuildReport) -> tuple[Row, ...]:
    """Every candidate in the plan's order."""
    columns = columns_of(report.candidates, "page")
    return tuple(
        Row(number=number, facts=facts, cells=figure_cells(facts, columns), verdict=figures.verdict(facts))
        for number, facts in enumerate(report.candidates, start=1)
    )


def key_figures(report: BuildReport) -> tuple[tuple[str, Cell], ...]:
    """The main figures of the chosen candidate; empty if no candidate was chosen."""
    chosen = report.shipped
    if chosen is None:
        return ()
    left_out = {"drop_pp", "map_drop_pp", "others", "ratio_to_fp32"} if chosen.is_baseline else set()
    left_out |= {"ratio_to_fp32"} if chosen.latency is None or chosen.latency.p50_ms is None else set()
    columns = columns_of([chosen], "page")
    shown = [column for column in columns if column.name in _KEY_FIGURES and column.name not in left_out]
    return tuple((_KEY_FIGURES[column.name], _key_cell(column, chosen)) for column in shown)


def _key_cell(column: Column, chosen: CandidateFacts) -> Cell:
    """A figure without its detail, but with the reason if it is missing, and with a warning if its race was disturbed."""
    cell = _cell(column, chosen)
    disturbed = column.name in _TIMES and chosen.latency is not None and chosen.latency.disturbed
    return cell if cell.text == "missing" else replace(cell, detail="disturbed" if disturbed else "")


_KEY_FIGURES = {
    "top1": "top-1",
    "drop_pp": "drop",
    "map": "mAP",
    "map_drop_pp": "drop",
    "agreement": "agreement with fp32",
    "p50_ms": "median latency, ms",
    "ratio_to_fp32": "speed-up",
    "size_mib": "size, MiB",
    RESIDENCY: "executed precision",
}
_TIMES = ("p50_ms", "p99_ms", "ratio_to_fp32")


def figure_cells(facts: CandidateFacts, columns: Sequence[Column]) -> tuple[Cell, ...]:
    """The figures of one candidate. If no time was measured, the times share one cell."""
    latency = facts.latency
    untimed = latency is None or (latency.p50_ms is None and latency.p99_ms is None)
    first = _TIMES[0] if facts.forecast is None else _TIMES[1]
    spans = {first: sum(column.name in _TIMES[_TIMES.index(first) :] for column in columns)} if untimed else {}
    return tuple(
        replace(_cell(column, facts), span=spans.get(column.name, 1))
        for column in columns
        if not (untimed and column.name in _TIMES[_TIMES.index(first) + 1 :])
    )


def _cell(column: Column, facts: CandidateFacts) -> Cell:
    cell = column.cell(facts)
    mark = residency_mark(facts.residency) if column.name == RESIDENCY else MARK_BY_FIDELITY[cell.fidelity]
    return Cell("missing" if cell.text is None else cell.text, mark, cell.why)
