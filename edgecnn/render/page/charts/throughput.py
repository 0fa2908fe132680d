"""Throughput by batch size: measured with intervals, and screened in the search for the best batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.errors.wording import plural
from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, sources_of, tabled
from edgecnn.values.figures import Throughput
from edgecnn.values.report import BuildReport, CandidateFacts

HEIGHT_PX = 280
_TIPS = ("candidate", "images per call", "images/s", "ms per call", "from")
_COLUMNS = {
    "candidate": "candidate", "images per call": "images per call", "images/s, raced": "in races", "ms per call": "ms per call",
    "images/s, one screening run": "screened", "best": "best", "why not": "why not",
}  # fmt: skip


def throughput(report: BuildReport) -> Figure | None:
    """Throughput against batch size; None if no candidate was measured."""
    measured = [(facts, facts.throughput) for facts in report.candidates if facts.throughput]
    known = [
        (facts, value) for facts, value in measured if value.screened or any(figure.images_per_s for figure in value.figures)
    ]
    if not known:
        return None
    rows = [row for facts, value in known for row in _rows(facts, value)]
    return Figure(
        id="throughput",
        title="Throughput by batch",
        says=_says(known),
        sources=sources_of(
            (value for _, value in known),
            lambda of: f"in the throughput race, on {of.machine}",
            {facts.candidate.id: value.reason for facts, value in measured if value.reason},
        ),
        spec=_spec([row for row in rows if row["rate"] is not None]),
        legend=vega.legend_of(facts for facts, _ in known),
        sifts=True,
        table=tabled("Throughput by batch size with its interval", _COLUMNS, rows),
        notes=tuple(f"{facts.candidate.id} was disturbed: {value.disturbed}" for facts, value in known if value.disturbed),
    )


def _says(known: Sequence[tuple[CandidateFacts, Throughput]]) -> str:
    axis = "Filled points: measured in the throughput race, with the interval over runs. Hollow points: one run of the search."
    raced = [(facts, figure, figure.images_per_s) for facts, value in known for figure in value.figures if figure.images_per_s]
    if not raced:
        return f"{axis} No figure has an interval."
    facts, best, rate = max(raced, key=lambda row: row[2].estimate)
    images = plural(best.batch, "image")
    return f"{axis} Best: {facts.candidate.id}, {figures.number(rate, 1)} images/s with {best.batch} {images} per call."


def _rows(facts: CandidateFacts, value: Throughput) -> list[dict[str, Any]]:
    """One row per batch size, from the race if it has a figure, else from the screening run."""
    raced = {batch_figure.batch: batch_figure for batch_figure in value.figures}
    rows = []
    for batch in sorted({*raced, *value.screened}):
        figure, screened_rate = raced.get(batch), value.screened.get(batch)
        rate = figure.images_per_s if figure else None
        drawn = {
            "rate": screened_rate,
            "low": screened_rate,
            "high": screened_rate,
            "images/s": figures.NONE if screened_rate is None else f"{screened_rate:.0f}",
        }
        if rate is not None:
            text = figures.number(rate, 1)
            drawn = {"rate": rate.estimate, "low": rate.low, "high": rate.high, "images/s": text}
        rows.append(
            {
                **vega.row_of(facts), "batch": batch, "images per call": str(batch), **drawn, "raced": rate is not None,
                "ms per call": figures.milliseconds(figure.call_ms if figure else None),
                "from": "one screening run" if rate is None else "races, the best" if figure and figure.best else "races",
                "in races": figures.number(rate, 1),
                "screened": figures.NONE if screened_rate is None else f"{screened_rate:.1f}",
                "best": "the best" if figure and figure.best else "",
                "why not": (figure.reason if figure else None) or "",
            }
        )  # fmt: skip
    return rows


def _spec(rows: list[dict[str, Any]]) -> dict[str, Any]:
    batches = sorted({row["batch"] for row in rows})
    base = alt.Chart(vega.chart_data(rows)).transform_filter(vega.IS_SHOWN)
    base = base.encode(
        x=alt.X("batch:Q", title="images per call", scale=alt.Scale(type="log", base=2, nice=False, padding=18),
                axis=alt.Axis(values=batches, format="d", grid=False)),
        y=alt.Y("rate:Q", title="images/s", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6)),
        color=vega.precision_colour(), tooltip=vega.tips(*_TIPS),
    )  # fmt: skip
    lines = base.mark_line(strokeWidth=1.5, opacity=0.6, aria=False)
    return vega.specification(
        lines.encode(detail=alt.Detail("candidate:N"), strokeDash=vega.runtime_dashes(row["runtime"] for row in rows)),
        base.mark_rule(strokeWidth=2, aria=False).encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q")),
        base.transform_filter("!datum.raced").mark_point(size=60, opacity=1, fill="var(--bg)", strokeWidth=1.5),
        base.transform_filter("datum.raced").mark_point(filled=True, size=95, opacity=1, stroke="var(--bg)", strokeWidth=1.2),
        height=HEIGHT_PX,
        sifts=True,
    )
