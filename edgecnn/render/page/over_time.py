"""The page of a history: latency and accuracy by date, one chart per candidate, with a break where conditions changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from edgecnn.comparing.facts import MeasuredHistory, MeasuredPoint, Series
from edgecnn.errors.wording import counted
from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render.figures import percent
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, MISSING, Figure, Source, Table, drawn
from edgecnn.render.page.document import document
from edgecnn.render.screens.comparing import (
    KIT_SHOWN,
    PURPOSES,
    changes_text,
    figure_text,
    input_text,
    metric_name,
    sample_text,
    segment_starts,
)
from edgecnn.values.base import utc_moment

HEIGHT_PX = 230
HOUR_MS = 3_600_000
CLOCK_BELOW_MS = 96 * HOUR_MS
"""The axis shows hours for shorter periods, and years for longer ones."""
ROOM = 0.06
"""Free share of the time axis at both ends."""
_COLOURS = {
    "final race": "var(--build-1)",
    "first race": "var(--build-2)",
    "against": "var(--build-3)",
    "accuracy": "var(--build-4)",
}
"""Colours by race. A first race favours its winner, so its points differ in colour from those of a final race."""


@dataclass(frozen=True)
class ChartTexts:
    """The metric and the texts of a chart."""

    metric: Metric
    title: str
    says: str


LATENCY = ChartTexts(SHOWN["p50_ms"], SHOWN["p50_ms"].title, "Bars are 98 % intervals over process runs.")
ACCURACY = {
    "top1": ChartTexts(SHOWN["top1"], "Top-1 on the test split", "Bars are 95 % intervals."),
    "map": ChartTexts(SHOWN["map"], "mAP on the test split", "Bars are 95 % intervals."),
}


def history_page(history: MeasuredHistory) -> str:
    """Return the page as text, for UTF-8."""
    sections = []
    for number, series in enumerate(history.series):
        made = (
            _history_chart(series, series.latency, LATENCY, number),
            _history_chart(series, series.accuracy, ACCURACY[series.accuracy_of], number),
        )
        sections.append((series, drawn(made)))
    every = [figure for _, figures in sections for figure in figures]
    return document("history.html.j2", every, found=history, sections=sections, reads=input_text)


def _history_chart(series: Series, points: Sequence[MeasuredPoint], kind: ChartTexts, number: int) -> Figure | None:
    known = [point for point in points if point.figure is not None]
    if not known:
        return None
    breaks = segment_starts(points)
    purposes = sorted({_race_of(point) for point in known})
    absent = len(points) - len(known)
    lacking = counted(absent, "measurement")
    return Figure(
        id=f"{kind.metric.source}-{number}",
        title=f"{kind.title} over time",
        says=_chart_sentence(points, kind, breaks),
        sources=(
            *(
                Source(MARK_BY_FIDELITY[fidelity], f"on {series.machine}")
                for fidelity in dict.fromkeys(point.fidelity for point in known)
            ),
            *([Source(MISSING, f"{lacking} without a figure; the table gives the reasons")] if absent else []),
        ),
        spec=_history_spec(points, kind),
        legend=tuple(purposes) if kind is LATENCY else (),
        sifts=kind is LATENCY,
        half=True,
        table=Table(
            caption=f"{kind.title} of {series.candidate}, oldest first",
            columns=("observed at", kind.metric.axis_title, "of", "kit", "change since the previous"),
            rows=tuple(
                (
                    point.observed_at,
                    figure_text(point, kind.metric),
                    sample_text(point),
                    point.kit[:KIT_SHOWN],
                    changes_text(point),
                )
                for point in points
            ),
        ),
        notes=tuple(f"break at {points[place].observed_at}: {'; '.join(points[place].changed)}" for place in breaks),
    )


def _race_of(point: MeasuredPoint) -> str:
    if point.purpose is None:
        return "accuracy" if point.count else PURPOSES["report"]
    return PURPOSES.get(point.purpose, point.purpose)


def _chart_sentence(points: Sequence[MeasuredPoint], kind: ChartTexts, breaks: Sequence[int]) -> str:
    sentences = [kind.says]
    if any(point.new_kit for point in points):
        sentences.append("A hollow point is the first of a new kit.")
    if breaks:
        sentences.append("A dashed line marks a change of conditions. Do not compare figures across a dashed line.")
    if kind is LATENCY and any(point.purpose == "select" for point in points):
        sentences.append("The first race favours its winner, so the winner's times may be too low. The final race is a new race.")
    return " ".join(sentences)


def _history_spec(points: Sequence[MeasuredPoint], kind: ChartTexts) -> dict[str, Any]:
    data = vega.chart_data([_point_row(point, kind) for point in points if point.figure is not None])
    moments = [_moment_ms(point) for point in points]
    room = ROOM * (max(moments) - min(moments)) or HOUR_MS
    start, end = min(moments) - room, max(moments) + room
    time = alt.Scale(type="utc", domain=[start, end], nice=False)
    clock = "%-d %b %H:%M" if end - start < CLOCK_BELOW_MS else "%-d %b %Y"
    x = alt.X("at:T", title="UTC", scale=time, axis=alt.Axis(tickCount=4, grid=False, labelOverlap=True, format=clock))
    scale = alt.Scale(zero=False, padding=14, nice=False)
    fades = vega.opacity("indexof(hidden, datum.purpose) < 0", 1.0, 0.06)
    names = list(_COLOURS)
    colour = alt.Color("purpose:N", legend=None, scale=alt.Scale(domain=names, range=[_COLOURS[name] for name in names]))
    base = alt.Chart(data).encode(x=x, color=colour)
    figure = alt.Y("figure:Q", title=kind.metric.axis_title, scale=scale, axis=alt.Axis(tickCount=5))
    tips = vega.tips("observed at", metric_name(kind.metric), "of", "kit", "since")
    marks = base.mark_point(opacity=1, size=85, strokeWidth=2, filled=False)
    fill = alt.Fill("fill:N", scale=None, legend=None)
    return vega.specification(
        *_break_lines(points, x),
        base.mark_line(strokeWidth=1.4, strokeOpacity=0.7, aria=False).encode(y=figure, detail=["segment:N"], opacity=fades),
        base.mark_rule(strokeWidth=2, aria=False).encode(y=alt.Y("low:Q", scale=scale), y2=alt.Y2("high:Q"), opacity=fades),
        marks.encode(y=figure, shape=vega.SHAPE, tooltip=tips, opacity=fades, fill=fill),
        height=HEIGHT_PX,
        sifts=True,
    )


def _break_lines(points: Sequence[MeasuredPoint], x: alt.X) -> list[alt.Chart]:
    """Return a dashed line before each point with changed conditions, half-way from the previous point."""
    rows = [
        {"at": (_moment_ms(points[at - 1]) + _moment_ms(points[at])) / 2, "changed": "; ".join(points[at].changed)}
        for at in segment_starts(points)
    ]
    if not rows:
        return []
    mark = alt.Chart(vega.chart_data(rows)).mark_rule(strokeDash=[5, 4], strokeWidth=1.5, color="var(--FAIL)", aria=False)
    return [mark.encode(x=x, tooltip=vega.tips("changed"))]


def _moment_ms(point: MeasuredPoint) -> float:
    return utc_moment(point.observed_at).timestamp() * 1000


def _point_row(point: MeasuredPoint, kind: ChartTexts) -> dict[str, Any]:
    assert point.figure is not None
    purpose, figure = _race_of(point), percent(point.figure) if kind.metric.unit == "share" else point.figure
    return {
        "at": _moment_ms(point), "figure": figure.estimate, "low": figure.low, "high": figure.high,
        "segment": str(point.segment), "purpose": purpose, "shape": MARK_BY_FIDELITY[point.fidelity].shape,
        "fill": "var(--bg)" if point.new_kit else _COLOURS[purpose], "observed at": point.observed_at,
        metric_name(kind.metric): figure_text(point, kind.metric), "of": sample_text(point), "kit": point.kit[:KIT_SHOWN],
        "since": changes_text(point) or "same conditions",
    }  # fmt: skip
