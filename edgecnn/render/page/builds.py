"""Figures of several builds in one chart: a line a candidate and build, the build's letter at its end, its colour besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, Mark, Source, Table
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
    of: str
    """Where its numbers come from, in a sentence."""
    notes: tuple[str, ...] = ()
    zero: bool = False
    """True where the axis holds 0 and a rule stands there."""


def by_build(lines: Sequence[Line], drawn: Drawn) -> Figure | None:
    """A chart of these; None where there is nothing to draw."""
    if not lines:
        return None
    return Figure(
        id=drawn.id,
        title=drawn.title,
        says=drawn.says,
        sources=tuple(Source(mark, drawn.of) for mark in dict.fromkeys(line.mark for line in lines)),
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
    offset = alt.YOffset("build:N", scale=alt.Scale(domain=builds, paddingInner=0.1, paddingOuter=0.1))
    low, high = min(line.figure.low for line in lines), max(line.figure.high for line in lines)
    apart = far_apart(0.0 if drawn.zero else low, high)
    scale = alt.Scale(padding=18, nice=False, type="log") if apart else alt.Scale(padding=18, nice=False, zero=drawn.zero)
    colours = [f"var(--build-{(ord(build) - ord('A')) % COLOURS + 1})" for build in builds]
    fades = alt.condition("indexof(hidden, datum.build) < 0", alt.value(1.0), alt.value(0.08))
    base = alt.Chart(vega.chart_data([_row(line) for line in lines])).encode(
        y=vega.names_down(names, gap=0.18),
        yOffset=offset,
        color=alt.Color("build:N", legend=None, scale=alt.Scale(domain=builds, range=colours)),
        opacity=fades,
    )
    tips = vega.tips("candidate", "build", "figure", "from", "of")
    start = alt.X("low:Q", title=drawn.axis + (", logarithmic" if apart else ""), scale=scale, axis=alt.Axis(tickCount=6))
    zero = alt.Chart(vega.chart_data([{"at": 0.0}])).mark_rule(color="var(--soft)", strokeWidth=1.2, aria=False)
    points = base.mark_point(filled=True, opacity=1, size=95, stroke="var(--bg)", strokeWidth=1.5)
    return vega.specification(
        *([zero.encode(x=alt.X("at:Q"))] if drawn.zero else []),
        base.mark_rule(strokeWidth=2.5, strokeCap="round", aria=False).encode(x=start, x2=vega.HIGH),
        points.encode(x=alt.X("at:Q", scale=scale), shape=vega.SHAPE, tooltip=tips),
        base.mark_text(align="left", dx=8, fontWeight=600, aria=False).encode(x=alt.X("high:Q", scale=scale), text="build:N"),
        height=len(names) * (LINE_PX * len(builds) + BETWEEN_PX),
        sifts=True,
    )


def _row(line: Line) -> dict[str, Any]:
    return {
        "label": line.candidate, "candidate": line.candidate, "build": line.build, "at": line.figure.estimate,
        "low": line.figure.low, "high": line.figure.high, "shape": line.mark.shape, "figure": line.text,
        "from": line.mark.word, "of": line.detail,
    }  # fmt: skip
