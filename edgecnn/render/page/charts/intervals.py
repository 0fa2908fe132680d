"""Charts with one row per candidate: a point, its interval and its figure as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import altair as alt

from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, Dot, Figure, Table, absence, labelled, sources_of
from edgecnn.render.page.charts.vega import Extent
from edgecnn.render.tables import missing_intervals_note
from edgecnn.render.wording import lines_by_reason
from edgecnn.values.figures import Accuracy, Energy, MultiLabelAccuracy
from edgecnn.values.report import MEDIAN, PERCENTILES, BuildReport, CandidateFacts, EndToEnd, Latency, percentile_name
from edgecnn.values.verdict import Interval

Answered = Accuracy | MultiLabelAccuracy
_STARTS = {"opening": "load_ms", "first": "first_ms", "cold start": "cold_start_ms"}


def _dot(
    facts: CandidateFacts, of: Accuracy | MultiLabelAccuracy | Latency | Energy, figure: Interval, digits: int, lane: str = ""
) -> Dot:
    text = f"{figure.estimate:.{digits}f}"
    return Dot(facts.candidate.id, MARK_BY_FIDELITY[of.fidelity], figure, text, lane, coloured_by=vega.row_of(facts))


def metric_chart(metric: Metric, report: BuildReport) -> Figure | None:
    """The chart of one metric; None if no candidate has a figure."""
    known: list[tuple[CandidateFacts, Any, Interval]] = [
        (facts, metric.measurement(facts), figure) for facts in report.candidates if (figure := metric.value(facts)) is not None
    ]
    if not known:
        return None
    share = metric.unit == "share"
    level = next((figure.confidence for *_, figure in known if figure.confidence), None)
    confidence = "" if level is None else f"{100 * level:.3g} %"
    quality = [(facts, facts.test.quality) for facts in report.candidates if facts.test and facts.test.quality]
    digits = figures.digits_of(metric)
    dots = [_dot(facts, of, figures.percent(figure) if share else figure, digits) for facts, of, figure in known]
    of_images = metric.source == "accuracy"
    return Figure(
        id=f"{'quality' if of_images else metric.source}-{metric.name.replace('_', '-')}",
        title=metric.title,
        says=f"{metric.says} {f'Intervals at {confidence}.' if confidence else ''}".strip(),
        sources=sources_of(
            (of for _, of, _ in known),
            lambda of: f"predictions for {figures.images_of(of)}, on {of.machine}" if of_images else f"on {of.machine}",
        ),
        spec=dots_spec(dots, Axis(metric.signs)),
        legend=vega.legend_of(facts for facts, *_ in known),
        table=Table(
            caption=f"{metric.title} on the test split, with its {confidence} interval"
            if of_images and confidence
            else metric.title,
            columns=("candidate", metric.title),
            rows=tuple((facts.candidate.id, figures.metric_text(metric, figure)) for facts, _, figure in known),
        ),
        notes=(
            *lines_by_reason(
                {facts.candidate.id: value.absent[metric.name] for facts, value in quality if metric.name in value.absent}
            ),
            *filter(None, [missing_intervals_note(facts.test for facts, _, figure in known if not figure.confidence)]),
            *(f"{facts.candidate.id} was disturbed: {why}" for facts, of, _ in known if (why := getattr(of, "disturbed", None))),
        ),
        half=True,
    )


def drops(report: BuildReport) -> Figure | None:
    """The accuracy drop of each candidate, with the bound of its gate; None if no candidate has a drop."""
    several = any(facts.multi_label for facts in report.candidates)
    metric = SHOWN["map_drop_pp" if several else "drop_pp"]
    known = [(facts, of, figure) for facts in report.candidates if (of := facts.answered) and (figure := metric.value(facts))]
    if not known:
        return None
    bound = next((gate.gate.bound for facts, *_ in known for gate in facts.gates if gate.gate.metric == metric.name), None)
    gate = [] if bound is None else [Rule(bound, f"gate: at most {bound:g} pp", gate=True)]
    dots = [
        Dot(
            facts.candidate.id,
            MARK_BY_FIDELITY[of.fidelity],
            figure,
            figures.points(figure).estimate,
            coloured_by=vega.row_of(facts),
        )
        for facts, of, figure in known
    ]
    return Figure(
        id="drops",
        title=f"{'mAP' if several else 'Accuracy'} drop against fp32",
        says=_drops_sentence({facts.candidate.id: figure for facts, _, figure in known}, bound),
        sources=sources_of(
            (of for _, of, _ in known),
            lambda of: f"predictions of both networks for the same {figures.images_of(of)}, on {of.machine}",
        ),
        spec=dots_spec(dots, Axis(title=metric.axis_title, rules=[Rule(0.0), *gate])),
        legend=vega.legend_of(facts for facts, *_ in known),
        table=Table(
            caption=f"{metric.title}, paired by image, with its 90 % interval",
            columns=("candidate", "drop", *(() if several else ("wrong where fp32 is right", "right where fp32 is wrong"))),
            rows=tuple((facts.candidate.id, figures.points(figure), *_discordant(of)) for facts, of, figure in known),
        ),
    )


def _discordant(of: Answered) -> tuple[str, ...]:
    return (figures.count(of.lost), figures.count(of.gained)) if isinstance(of, Accuracy) else ()


def _drops_sentence(known: dict[str, Interval], bound: float | None) -> str:
    axis = "Further right is worse. Bars are 90 % intervals, paired by image."
    if bound is None:
        return axis
    inside = [name for name, drop in known.items() if drop.high <= bound]
    other = [name for name in known if name not in inside]
    if not other:
        return f"{axis} Every interval is within the bound of {bound:g} pp."
    return f"{axis} Interval within the bound of {bound:g} pp: {', '.join(inside) or 'none'}. Not within: {', '.join(other)}."


def startup(report: BuildReport) -> Figure | None:
    """Load time, first inference and cold start; None if no candidate has a figure."""
    starts = [SHOWN[name] for name in _STARTS.values()]
    raced = [(facts, facts.latency) for facts in report.candidates if facts.latency and facts.latency.runs]
    dots = [
        _dot(facts, latency, figure, 1, lane)
        for facts, latency in raced
        for lane, name in _STARTS.items()
        if (figure := SHOWN[name].value(facts)) is not None
    ]
    if not dots:
        return None
    drawn = [(facts, latency) for facts, latency in raced if any(dot.candidate == facts.candidate.id for dot in dots)]
    absent = {
        facts.candidate.id: "; ".join(f"no figure: {line}" for line in lines_by_reason(whys))
        for facts, latency in raced
        if (whys := {lane: latency.absent[name] for lane, name in _STARTS.items() if name in latency.absent})
    }
    return Figure(
        id="startup",
        title="Start-up",
        says="Time of opening the model, of the first inference, and of a cold start. A cold start is the time from the start of"
        " a process to its first prediction, with imports and file checks. Points are medians over process runs, bars intervals.",
        sources=sources_of((of for _, of in drawn), lambda of: f"process runs of the race, on {of.machine}"),
        spec=dots_spec(dots, Axis("milliseconds", spread=spread_of(dots, "fitting"))),
        legend=vega.legend_of(facts for facts, _ in drawn),
        table=Table(
            caption="Start-up in milliseconds: medians over process runs with their intervals",
            columns=("candidate", *(start.title.lower() for start in starts)),
            rows=tuple((f.candidate.id, *(figures.milliseconds(start.value(f)) for start in starts)) for f, _ in drawn),
        ),
        notes=lines_by_reason(absent),
    )


def end_to_end(report: BuildReport) -> Figure | None:
    """Time from an image file to logits, and of the network alone; None if no candidate has a figure."""
    timed = [(facts, facts.end_to_end) for facts in report.candidates if facts.end_to_end]
    known = [(facts, value) for facts, value in timed if value.latency.p50_ms]
    if not known:
        return None
    dots = [dot for facts, value in known for dot in _ways(facts, value)]
    pictures = {id(value.latency): value.picture for _, value in known}
    absent = {facts.candidate.id: value.latency.reason or "not timed" for facts, value in timed if not value.latency.p50_ms}
    words = {percentile_name(percent): SHOWN[percentile_name(percent)].words for percent in PERCENTILES}
    times = {f"end to end, {text}" if name == percentile_name(MEDIAN) else text: name for name, text in words.items()}
    return Figure(
        id="end-to-end",
        title="End to end",
        says="Time from a JPEG on disk to logits: read, decode, resize, run the network. The time of the network alone comes from"
        f" the final race. {_ways_sentence(known)}",
        sources=sources_of(
            (value.latency for _, value in known),
            lambda of: f"from the file of a {pictures[id(of)]}, on {of.machine}",
            absent,
        ),
        spec=dots_spec(dots, Axis("median milliseconds", spread=spread_of(dots, "from zero"))),
        legend=vega.legend_of(facts for facts, _ in known),
        table=Table(
            caption="Milliseconds from an image file to logits, and of the network alone, with their intervals",
            columns=("candidate", *times, "network alone, p50"),
            rows=tuple(
                (
                    facts.candidate.id,
                    *(figures.milliseconds(getattr(value.latency, name)) for name in times.values()),
                    figures.p50(facts.latency),
                )
                for facts, value in known
            ),
        ),
        notes=tuple(
            f"{facts.candidate.id} was disturbed: {value.latency.disturbed}" for facts, value in known if value.latency.disturbed
        ),
    )


def _ways(facts: CandidateFacts, value: EndToEnd) -> list[Dot]:
    timings = (("end to end", value.latency), ("network", facts.latency))
    return [_dot(facts, of, of.p50_ms, 2, lane) for lane, of in timings if of and of.p50_ms]


def _ways_sentence(known: Sequence[tuple[CandidateFacts, EndToEnd]]) -> str:
    both = [
        (facts, value.latency.p50_ms.estimate, alone.estimate)
        for facts, value in known
        if value.latency.p50_ms and (alone := SHOWN["p50_ms"].value(facts)) is not None
    ]
    shown = next((row for row in both if row[0].chosen), next(iter(both), None))
    if shown is None:
        return ""
    facts, whole, alone_ms = shown
    return f"{facts.candidate.id} takes {whole:.2f} ms end to end and {alone_ms:.2f} ms for the network."


def energy(report: BuildReport) -> Figure | None:
    """Energy per image, in total and above idle power; None if no candidate has a figure."""
    metric = SHOWN["energy_mj"]
    known = [
        (facts, value, figure)
        for facts in report.candidates
        if (value := facts.energy) and (figure := metric.value(facts)) and value.above_idle_mj
    ]
    if not known:
        return None
    absent = {facts.candidate.id: absence(facts, "energy") for facts in report.candidates if metric.value(facts) is None}
    dots = [
        _dot(facts, value, figure, 2, lane)
        for facts, value, _ in known
        for lane, figure in (("all", value.total_mj), ("above idle", value.above_idle_mj))
        if figure is not None
    ]
    least, _, cheapest = min(known, key=lambda row: row[2].estimate)
    return Figure(
        id="energy",
        title=metric.title,
        says="Energy that the meter records for one image, in total and above idle power. Bars are intervals over runs."
        f" {least.candidate.id} needs the least energy in total: {figures.metric_text(metric, cheapest)} mJ.",
        sources=sources_of(
            (value for _, value, _ in known), lambda of: f"by {of.meter}, which covers {of.covers}, on {of.machine}", absent
        ),
        spec=dots_spec(dots, Axis("millijoules per image", spread=spread_of(dots, "from zero"))),
        legend=vega.legend_of(facts for facts, *_ in known),
        table=Table(
            caption="Millijoules per image, and idle power in watts: medians over process runs with their intervals",
            columns=("candidate", "all", "above idle", "idle, W", "runs", "images"),
            rows=tuple((facts.candidate.id, *_energy_cells(value)) for facts, value, _ in known),
        ),
        notes=tuple(f"{facts.candidate.id}: {value.disturbed}" for facts, value, _ in known if value.disturbed),
        half=True,
    )


def _energy_cells(value: Energy) -> tuple[str, ...]:
    shown = (figures.number(figure, 2) for figure in (value.total_mj, value.above_idle_mj, value.idle_w))
    return (*shown, str(value.runs), f"{value.images:,}")


ROW_PX, LANE_PX, GAP_PX = 34, 21, 16
ROOM, TEXT_ROOM = 0.05, 0.13
"""Free share of the axis on the left and on the right, where the figure of the widest interval is."""
NARROW = "width < 420"
"""True on a phone, where a figure has no room next to its point and is only in the table."""
LOG_FROM = 6.0
"""If the largest figure is this many times the smallest, the axis is logarithmic."""


Spread = Literal["fitting", "from zero", "logarithmic"]
"""``from zero`` is for figures that add up."""


@dataclass(frozen=True)
class Rule:
    """A line across all rows."""

    at: float
    text: str = ""
    gate: bool = False


@dataclass(frozen=True)
class Axis:
    """The title, the rules and the range of an axis."""

    title: str
    spread: Spread = "fitting"
    rules: Sequence[Rule] = field(default=())


def spread_of(dots: Sequence[Dot], otherwise: Spread) -> Spread:
    """Return the range of the axis; logarithmic if the figures are far apart."""
    low, high = min(dot.figure.low for dot in dots), max(dot.figure.high for dot in dots)
    return "logarithmic" if low > 0 and high / low > LOG_FROM else otherwise


def dots_spec(dots: Sequence[Dot], axis: Axis) -> dict[str, Any]:
    """The chart of at least one figure, in the given order."""
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
    ends = [end for interval in drawn for end in (interval.low, interval.high)] + [rule.at for rule in axis.rules]
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
    text = f"{dot.lane} {dot.text}".strip()
    return {
        **dot.row, "label": labelled(dot.candidate, dot.mark), "lane": dot.lane, "said": text, "figure": text,
        "side": "right" if right >= min(left, TEXT_ROOM * 0.8) else "left",
    }  # fmt: skip


def _text(base: alt.Chart, side: str, field: str) -> alt.Chart:
    """A phone shows the name of a lane without its figure. A wider screen shows both."""
    align: Literal["left", "right"] = "left" if side == "right" else "right"
    right, ends = (9, "high:Q") if side == "right" else (-9, "low:Q")
    there = base.transform_filter(alt.datum.side == side)
    text = there.mark_text(align=align, baseline="middle", dx=right, aria=False, fontSize=11.5)
    fits = f"!({NARROW})" if field == "said" else NARROW
    shown: alt.Chart = text.encode(x=alt.X(ends), text=alt.Text(f"{field}:N"), color=vega.INK, opacity=vega.opacity(fits))
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
