"""Estimates with their intervals on one axis, a row a candidate: a point, a line, and the figure in text beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import altair as alt

from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Mark, labelled
from edgecnn.render.page.charts.vega import Extent
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Interval

ROW_PX, LANE_PX, GAP_PX = 34, 21, 16
ROOM, TEXT_ROOM = 0.05, 0.13
"""Share of the axis left free at the left, and at the right, where the figure of the widest interval stands."""
NARROW = "width < 420"
"""Of a plot on a phone: the figure's text has no room beside its point there, and stands in the table."""
LOG_FROM = 6.0
"""Figures spread this many times wide are drawn on a logarithmic axis."""


Spread = Literal["fitting", "from zero", "logarithmic"]
"""``from zero``: of figures that add up."""


@dataclass(frozen=True)
class Dot:
    """One figure of one candidate."""

    facts: CandidateFacts
    mark: Mark
    figure: Interval
    said: str
    """The figure as text, which stands beside the point."""
    lane: str = ""
    """Which of several figures of the candidate this is; one name means one line of the row."""


@dataclass(frozen=True)
class Rule:
    """A line across all rows."""

    at: float
    text: str = ""
    gate: bool = False


@dataclass(frozen=True)
class Axis:
    """What is drawn, and from where to where."""

    title: str
    spread: Spread = "fitting"
    rules: Sequence[Rule] = field(default=())


def spread_of(dots: Sequence[Dot], otherwise: Spread) -> Spread:
    """Logarithmic where figures lie far apart, so that the large ones do not squeeze the others into a corner."""
    low, high = min(dot.figure.low for dot in dots), max(dot.figure.high for dot in dots)
    return "logarithmic" if low > 0 and high / low > LOG_FROM else otherwise


def dots_spec(dots: Sequence[Dot], axis: Axis) -> dict[str, Any]:
    """The chart of at least one figure, in the order given."""
    extent = _extent([dot.figure for dot in dots], axis)
    rows = [_row(dot, extent) for dot in dots]
    lanes = list(dict.fromkeys(dot.lane for dot in dots))
    names = list(dict.fromkeys(row["label"] for row in rows))
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down(names, gap=0.3), yOffset=alt.YOffset("lane:N", scale=alt.Scale(domain=lanes)),
        color=vega.precision_colour(), tooltip=vega.tips("candidate", "figure"),
    )  # fmt: skip
    at = alt.X("at:Q", title=axis.title, scale=extent.scale(), axis=alt.Axis(tickCount=5))
    lines = base.mark_rule(strokeWidth=2.5, strokeCap="round", aria=False)
    points = base.mark_point(filled=True, opacity=1, size=105, stroke="var(--bg)", strokeWidth=1.5)
    return vega.specification(
        *(part for rule in axis.rules for part in _rule(rule)),
        lines.encode(x=alt.X("low:Q", title=axis.title, scale=extent.scale()), x2=vega.HIGH),
        points.encode(x=at, shape=vega.SHAPE),
        *(_text(base, side, field) for side in ("right", "left") for field in ("said", "lane")),
        height=len(names) * (ROW_PX if len(lanes) == 1 else len(lanes) * LANE_PX + GAP_PX),
    )


def _extent(drawn: Sequence[Interval], axis: Axis) -> Extent:
    ends = [end for each in drawn for end in (each.low, each.high)] + [rule.at for rule in axis.rules]
    low, high = min(ends), max(ends)
    if axis.spread == "logarithmic" and low > 0:
        wide = max(high / low, 1.5)
        return Extent(low / wide**ROOM, high * wide**TEXT_ROOM, logarithmic=True)
    if axis.spread == "from zero":
        return Extent(min(0.0, low * (1 + ROOM)), max(high, 0.0) * (1 + TEXT_ROOM) or 1.0)
    wide = (high - low) or abs(high) or 1.0
    return Extent(low - ROOM * wide, high + TEXT_ROOM * wide)


def _row(dot: Dot, extent: Extent) -> dict[str, Any]:
    left, right = extent.share(dot.figure.low), 1 - extent.share(dot.figure.high)
    said = f"{dot.lane} {dot.said}".strip()
    return {
        **vega.row_of(dot.facts), "label": labelled(dot.facts.candidate.id, dot.mark), "at": dot.figure.estimate,
        "low": dot.figure.low, "high": dot.figure.high, "shape": dot.mark.shape, "lane": dot.lane, "said": said, "figure": said,
        "side": "right" if right >= min(left, TEXT_ROOM * 0.8) else "left",
    }  # fmt: skip


def _text(base: alt.Chart, side: str, field: str) -> alt.Chart:
    """On a phone a lane is named and its figure is not; elsewhere both are."""
    align: Literal["left", "right"] = "left" if side == "right" else "right"
    right, ends = (9, "high:Q") if side == "right" else (-9, "low:Q")
    there = base.transform_filter(alt.datum.side == side)
    text = there.mark_text(align=align, baseline="middle", dx=right, aria=False, fontSize=11.5)
    fits = f"!({NARROW})" if field == "said" else NARROW
    shown: alt.Chart = text.encode(
        x=ends, text=alt.Text(f"{field}:N"), color=vega.INK, opacity=alt.condition(fits, alt.value(1), alt.value(0))
    )
    return shown


def _rule(rule: Rule) -> list[alt.Chart]:
    colour = "var(--FAIL)" if rule.gate else "var(--soft)"
    dash = [5, 4] if rule.gate else [1, 0]
    line = alt.Chart(vega.chart_data([{"at": rule.at}])).mark_rule(strokeDash=dash, color=colour, strokeWidth=1.2, aria=False)
    drawn = [line.encode(x=alt.X("at:Q"))]
    if rule.text:
        text = alt.Chart(vega.chart_data([{"at": rule.at, "text": rule.text}]))
        mark = text.mark_text(align="right", baseline="bottom", dx=-4, dy=-2, color=colour, aria=False)
        drawn.append(mark.encode(x=alt.X("at:Q"), y=alt.value(0), text=alt.Text("text:N")))
    return drawn
