"""Figures of several builds in one chart: a line a candidate and build, the build's letter at its end, its colour besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MEASURED, Figure, Mark, Source, Table
from edgecnn.render.plots import far_apart
from edgecnn.values.verdict import Interval

COLOURS = 6
"""After these they begin again: the letter tells builds apart, the colour only helps."""
LINE_PX, BETWEEN_PX = 19, 12


@dataclass(frozen=True)
class Line:
    """One figure of one candidate in one build."""

    candidate: str
    build: str
    """Its letter."""
    figure: Interval
    text: str
    mark: Mark
    detail: str = ""


@dataclass(frozen=True)
class Drawn:
    """What a chart of lines is about."""

    id: str
    title: str
    says: str
    axis: str
    caption: str
    sources: tuple[Source, ...]
    notes: tuple[str, ...] = ()
    zero: bool = False
    """True where the axis holds 0 and a rule stands there."""


def colour_of(build: str) -> str:
    """A build's colour, by its letter."""
    return f"var(--build-{(ord(build) - ord('A')) % COLOURS + 1})"


def by_build(lines: Sequence[Line], drawn: Drawn) -> Figure | None:
    """A chart of these; None where there is nothing to draw."""
    if not lines:
        return None
    return Figure(
        id=drawn.id,
        title=drawn.title,
        says=drawn.says,
        sources=drawn.sources,
        spec=_spec(lines, drawn),
        legend=tuple(sorted({line.build for line in lines})),
        sifts=True,
        table=Table(
            caption=drawn.caption,
            columns=("candidate", "build", drawn.axis, "where it comes from", "of"),
            rows=tuple((line.candidate, line.build, line.text, line.mark.word, line.detail) for line in lines),
        ),
        notes=drawn.notes,
    )


def _spec(lines: Sequence[Line], drawn: Drawn) -> dict[str, Any]:
    names = list(dict.fromkeys(line.candidate for line in lines))
    builds = sorted({line.build for line in lines})
    rows = [_row(line) for line in lines]
    offset = alt.YOffset("build:N", scale=alt.Scale(domain=builds, paddingInner=0.1, paddingOuter=0.1))
    low, high = min(line.figure.low for line in lines), max(line.figure.high for line in lines)
    apart = far_apart(0.0 if drawn.zero else low, high)
    scale = alt.Scale(padding=18, nice=False, type="log") if apart else alt.Scale(padding=18, nice=False, zero=drawn.zero)
    fades = alt.condition("indexof(hidden, datum.build) < 0", alt.value(1.0), alt.value(0.08))
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down(names, gap=0.18),
        yOffset=offset,
        color=alt.Color("build:N", legend=None, scale=alt.Scale(domain=builds, range=[colour_of(build) for build in builds])),
        opacity=fades,
    )
    tips = vega.tips("candidate", "build", "figure", "from", "of")
    start = alt.X("low:Q", title=drawn.axis + (", logarithmic" if apart else ""), scale=scale, axis=alt.Axis(tickCount=6))
    layers: list[Any] = [*([_zero()] if drawn.zero else [])]
    layers += [
        base.mark_rule(strokeWidth=2.5, strokeCap="round", aria=False).encode(x=start, x2="high:Q"),
        base.mark_point(filled=True, opacity=1, size=95, stroke="var(--bg)", strokeWidth=1.5).encode(
            x=alt.X("at:Q", scale=scale), shape=alt.Shape("shape:N", scale=None, legend=None), tooltip=tips
        ),
        base.mark_text(align="left", dx=8, fontWeight=600, aria=False).encode(x=alt.X("high:Q", scale=scale), text="build:N"),
    ]
    height = len(names) * (LINE_PX * len(builds) + BETWEEN_PX)
    chart = alt.layer(*layers).properties(width="container", height=height).add_params(vega.hidden_precisions())
    return vega.specification(chart)


def _zero() -> alt.Chart:
    mark = alt.Chart(vega.chart_data([{"at": 0.0}])).mark_rule(color="var(--soft)", strokeWidth=1.2, aria=False)
    drawn: alt.Chart = mark.encode(x="at:Q")
    return drawn


def _row(line: Line) -> dict[str, Any]:
    return {
        "label": line.candidate,
        "candidate": line.candidate,
        "build": line.build,
        "at": line.figure.estimate,
        "low": line.figure.low,
        "high": line.figure.high,
        "shape": "circle" if line.mark is MEASURED else "diamond",
        "figure": line.text,
        "from": line.mark.word,
        "of": line.detail,
    }
