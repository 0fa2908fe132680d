"""The table of candidates: each figure with its interval, where it comes from, and why it is missing where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgecnn.render import figures
from edgecnn.render.columns import RESIDENCY, Column, columns_of
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, Mark, residency_mark
from edgecnn.values.report import BuildReport, CandidateFacts


@dataclass(frozen=True)
class Cell:
    """A figure, its mark, and what a reader must know of it."""

    text: str
    mark: Mark
    detail: str = ""
    span: int = 1
    """Columns that it stands in: what is missing together is said once."""

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
    """One candidate. ``number`` stands for it where a chart has no room for names."""

    number: int
    facts: CandidateFacts
    cells: tuple[Cell, ...]
    verdict: str

    @property
    def tags(self) -> tuple[str, ...]:
        """What it is, and its part in the comparison."""
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
    """What ships, in a handful of numbers; nothing where nothing was chosen."""
    chosen = report.shipped
    if chosen is None:
        return ()
    against_fp32 = ("drop_pp", "map_drop_pp", "others", "ratio_to_fp32")
    columns = [column for column in columns_of([chosen], "page") if column.name in _KEY_FIGURES]
    shown = [column for column in columns if not (chosen.is_baseline and column.name in against_fp32)]
    return tuple((_KEY_FIGURES[column.name], _cell(column, chosen)) for column in shown)


_KEY_FIGURES = {
    "top1": "top-1",
    "drop_pp": "drop",
    "map": "mAP",
    "map_drop_pp": "drop",
    "agreement": "as fp32 answers",
    "p50_ms": "median latency, ms",
    "ratio_to_fp32": "speed-up",
    "size_mib": "size, MiB",
    RESIDENCY: "in its precision",
}
_TIMES = ("p50_ms", "p99_ms", "ratio_to_fp32")


def figure_cells(facts: CandidateFacts, columns: Sequence[Column]) -> tuple[Cell, ...]:
    """One candidate's figures; the times are one cell if none was measured."""
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
