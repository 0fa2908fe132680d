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
    broken,
    figure_text,
    kind_text,
    reads_text,
    sample_text,
    since_text,
)
from edgecnn.values.base import utc_moment

TEMPLATE = "history.html.j2"
HEIGHT_PX = 230
HOUR_MS = 3_600_000
CLOCK_BELOW_MS = 96 * HOUR_MS
"""A shorter period has hours on its axis, a longer period years."""
ROOM = 0.06
"""Free share of the time axis at both ends."""
_COLOURS = {
    "final race": "var(--build-1)",
    "first race": "var(--build-2)",
    "against": "var(--build-3)",
    "accuracy": "var(--build-4)",
}
"""The colour of each purpose of a race. A first race favours its winner, so the purposes differ in colour."""


@dataclass(frozen=True)
class Told:
    """The metric and the texts of a chart."""

    metric: Metric
    title: str
    says: str


LATENCY = Told(SHOWN["p50_ms"], SHOWN["p50_ms"].title, "Bars are 98 % intervals over process runs.")
ACCURACY = {
    "top1": Told(SHOWN["top1"], "Top-1 on the test split", "Bars are 95 % intervals."),
    "map": Told(SHOWN["map"], "mAP on the test split", "Bars are 95 % intervals."),
}


def history_page(history: MeasuredHistory) -> str:
    """Return the page as text, for UTF-8."""
    sections = []
    for number, series in enumerate(history.series):
        made = (
            _figure(series, series.latency, LATENCY, number),
            _figure(series, series.accuracy, ACCURACY[series.accuracy_of], number),
        )
        sections.append((series, drawn(made)))
    every = [figure for _, figures in sections for figure in figures]
    return document(TEMPLATE, every, found=history, sections=sections, reads=reads_text)


def _figure(series: Series, points: Sequence[MeasuredPoint], kind: Told, number: int) -> Figure | None:
    known = [point for point in points if point.figure is not None]
    if not known:
        return None
    breaks = broken(points)
    purposes = sorted({_purpose(point) for point in known})
    absent = len(points) - len(known)
    lacking = counted(absent, "measurement")
    return Figure(
        id=f"{kind.metric.source}-{number}",
        title=f"{kind.title} over time",
        says=_says(points, kind, breaks),
        sources=(
            *(
                Source(MARK_BY_FIDELITY[fidelity], f"on {series.machine}")
                for fidelity in dict.fromkeys(point.fidelity for point in known)
            ),
            *([Source(MISSING, f"{lacking} without a figure; the table gives the reasons")] if absent else []),
        ),
        spec=_spec(points, kind),
        legend=tuple(purposes) if kind is LATENCY else (),
        sifts=kind is LATENCY,
        half=True,
        table=Table(
            caption=f"{kind.title} of {series.candidate}, oldest first",
            columns=("observed at", kind.metric.axis_title, "of", "kit", "change since the previous"),
            rows=tuple(
                (point.observed_at, figure_text(point, kind.metric), sample_text(point), point.kit[:KIT_SHOWN], since_text(point))
                for point in points
            ),
        ),
        notes=tuple(f"break at {points[place].observed_at}: {'; '.join(points[place].changed)}" for place in breaks),
    )


def _purpose(point: MeasuredPoint) -> str:
    if point.purpose is None:
        return "accuracy" if point.count else PURPOSES["report"]
    return PURPOSES.get(point.purpose, point.purpose)


def _says(points: Sequence[MeasuredPoint], kind: Told, breaks: Sequence[int]) -> str:
    sentences = [kind.says]
    if any(point.new_kit for point in points):
        sentences.append("A hollow point is the first of a new kit.")
    if breaks:
        sentences.append("A dashed line marks a change of conditions. Do not compare figures across a dashed line.")
    if kind is LATENCY and any(point.purpose == "select" for point in points):
        sentences.append("The first race favours its winner, so the winner's times may be too low. The final race is a new race.")
    return " ".join(sentences)


def _spec(points: Sequence[MeasuredPoint], kind: Told) -> dict[str, Any]:
    data = vega.chart_data([_row(point, kind) for point in points if point.figure is not None])
    start, end = _span(points)
    time = alt.Scale(type="utc", domain=[start, end], nice=False)
    clock = "%-d %b %H:%M" if end - start < CLOCK_BELOW_MS else "%-d %b %Y"
    x = alt.X("at:T", title="UTC", scale=time, axis=alt.Axis(tickCount=4, grid=False, labelOverlap=True, format=clock))
    scale = alt.Scale(zero=False, padding=14, nice=False)
    fades = vega.opacity("indexof(hidden, datum.purpose) < 0", 1.0, 0.06)
    names = list(_COLOURS)
    colour = alt.Color("purpose:N", legend=None, scale=alt.Scale(domain=names, range=[_COLOURS[name] for name in names]))
    base = alt.Chart(data).encode(x=x, color=colour)
    figure = alt.Y("figure:Q", title=kind.metric.axis_title, scale=scale, axis=alt.Axis(tickCount=5))
    tips = vega.tips("observed at", kind_text(kind.metric), "of", "kit", "since")
    marks = base.mark_point(opacity=1, size=85, strokeWidth=2, filled=False)
    fill = alt.Fill("fill:N", scale=None, legend=None)
    return vega.specification(
        *_breaks(points, x),
        base.mark_line(strokeWidth=1.4, strokeOpacity=0.7, aria=False).encode(y=figure, detail=["segment:N"], opacity=fades),
        base.mark_rule(strokeWidth=2, aria=False).encode(y=alt.Y("low:Q", scale=scale), y2=alt.Y2("high:Q"), opacity=fades),
        marks.encode(y=figure, shape=vega.SHAPE, tooltip=tips, opacity=fades, fill=fill),
        height=HEIGHT_PX,
        sifts=True,
    )


def _breaks(points: Sequence[MeasuredPoint], x: alt.X) -> list[alt.Chart]:
    """A dashed line before each point with changed conditions, half-way from the previous point."""
    rows = [
        {"at": (_moment_ms(points[at - 1]) + _moment_ms(points[at])) / 2, "changed": "; ".join(points[at].changed)}
        for at in broken(points)
    ]
    if not rows:
        return []
    mark = alt.Chart(vega.chart_data(rows)).mark_rule(strokeDash=[5, 4], strokeWidth=1.5, color="var(--FAIL)", aria=False)
    return [mark.encode(x=x, tooltip=vega.tips("changed"))]


def _span(points: Sequence[MeasuredPoint]) -> tuple[float, float]:
    moments = [_moment_ms(point) for point in points]
    room = ROOM * (max(moments) - min(moments)) or HOUR_MS
    return min(moments) - room, max(moments) + room


def _moment_ms(point: MeasuredPoint) -> float:
    return utc_moment(point.observed_at).timestamp() * 1000


def _row(point: MeasuredPoint, kind: Told) -> dict[str, Any]:
    assert point.figure is not None
    purpose, figure = _purpose(point), percent(point.figure) if kind.metric.unit == "share" else point.figure
    return {
        "at": _moment_ms(point), "figure": figure.estimate, "low": figure.low, "high": figure.high,
        "segment": str(point.segment), "purpose": purpose, "shape": MARK_BY_FIDELITY[point.fidelity].shape,
        "fill": "var(--bg)" if point.new_kit else _COLOURS[purpose], "observed at": point.observed_at,
        kind_text(kind.metric): figure_text(point, kind.metric), "of": sample_text(point), "kit": point.kit[:KIT_SHOWN],
        "since": since_text(point) or "same conditions",
    }  # fmt: skip
