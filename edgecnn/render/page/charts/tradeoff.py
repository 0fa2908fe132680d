"""Accuracy of each candidate against its latency, or against its size if no candidate was timed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import EMULATED, MARK_BY_FIDELITY, MEASURED, MISSING, Figure, Mark, Source, Table
from edgecnn.render.page.charts.vega import ANCHORS, SIDES, Anchor, Extent, Spot, name_anchors, pareto_front, shorten
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Interval

HEIGHT_PX = 340
ROOM = 0.06
"""Free share of an axis at both ends."""
NARROW = "width < 520"
"""Vega expression that is true on a phone, where points show a number instead of a name."""
LOG_FROM = 8.0
"""If the largest cost is this many times the smallest, the axis is logarithmic."""


@dataclass(frozen=True)
class Point:
    """One candidate with both figures."""

    number: int
    facts: CandidateFacts
    cost: Interval
    top1: Interval
    selecting: bool = False
    """Whether the cost is a time of the first race, which cannot be compared with times of the final race."""

    @property
    def name(self) -> str:
        """Name of the candidate with its role and its race."""
        part = " ★ chosen" if self.facts.chosen else " (baseline)" if self.facts.is_baseline else ""
        return shorten(self.facts.candidate.id) + part + (figures.SELECTING if self.selecting else "")


DESKTOP_GPU = "desktop-gpu"
"""Name of the desktop-GPU baseline in legends and colours."""


@dataclass(frozen=True)
class DesktopPoint:
    """The desktop-GPU baseline with both figures."""

    name: str
    cost: Interval
    top1: Interval
    mark: Mark
    """Mark of the accuracy."""
    timed: str
    """Precision and machine of the timing."""
    answered: str
    """Source of the accuracy."""


def _desktop_point(report: BuildReport) -> DesktopPoint | None:
    """Return the desktop-GPU baseline; None if it was not timed or has no accuracy."""
    baseline = report.baseline
    accuracy = baseline.accuracy or next((facts.answered for facts in report.candidates if facts.is_baseline), None)
    if baseline.latency.p50_ms is None or accuracy is None:
        return None
    own = baseline.accuracy is not None
    return DesktopPoint(
        name=baseline.device,
        cost=baseline.latency.p50_ms,
        top1=accuracy.share,
        mark=MARK_BY_FIDELITY[accuracy.fidelity] if own else EMULATED,
        timed=f"{baseline.how or 'precision unknown'}, on {baseline.latency.machine}",
        answered=f"accuracy from predictions of {accuracy.machine}" if own else baseline.accuracy_from,
    )


Axis = Literal["latency", "size"]
_METRICS: Mapping[Axis, Metric] = {"latency": SHOWN["p50_ms"], "size": SHOWN["size_mib"]}
_BARS = "Bars are intervals: 95 % for accuracy"


def tradeoff_chart(report: BuildReport) -> Figure | None:
    """Return accuracy against latency with both intervals; None if no candidate has an accuracy."""
    axis: Axis = "latency" if any(_cost(facts, "latency") for facts in report.candidates) else "size"
    points = [
        Point(number=number, facts=facts, cost=cost, top1=answered.share, selecting=axis == "latency" and _is_first_race(facts))
        for number, facts in enumerate(report.candidates, start=1)
        if (answered := facts.answered) is not None and (cost := _cost(facts, axis)) is not None
    ]
    if not points:
        return None
    front = front_points([point for point in points if not point.selecting] or points)
    gpu = _desktop_point(report) if axis == "latency" else None
    precisions = [point.facts.candidate.precision.value for point in points]
    notes = _left_out_notes(report, points, axis)
    if gpu is None and axis == "latency":
        baseline = report.baseline
        why = baseline.latency.reason or ("not timed" if baseline.latency.p50_ms is None else "its accuracy is unknown")
        notes.append(f"{baseline.device}, the desktop-GPU baseline, is missing: {why}")
    return Figure(
        id="tradeoff",
        title=f"Accuracy against {axis}",
        says=_front_sentence(points, front, axis, report),
        sources=_figure_sources(points, axis, gpu),
        spec=_tradeoff_spec(points, front, gpu, axis),
        legend=vega.ordered_precisions([*precisions, *([DESKTOP_GPU] if gpu else [])]),
        sifts=True,
        table=_front_table(report, axis, front, gpu),
        notes=tuple(notes),
    )


def _accuracy_metric(candidates: Iterable[CandidateFacts]) -> Metric:
    """Return the metric of accuracy: top-1, or mAP for several labels per image."""
    return SHOWN["map" if any(facts.multi_label for facts in candidates) else "top1"]


def _cost(facts: CandidateFacts, axis: Axis) -> Interval | None:
    return _METRICS[axis].value(facts)


def _is_first_race(facts: CandidateFacts) -> bool:
    return facts.latency is not None and facts.latency.selecting


def front_points(points: Sequence[Point]) -> list[Point]:
    """Return the Pareto front by estimates, from the cheapest. Intervals may overlap."""
    return pareto_front(points, lambda point: point.cost.estimate, lambda point: point.top1.estimate)


def _front_sentence(points: Sequence[Point], front: Sequence[Point], axis: Axis, report: BuildReport) -> str:
    shown = [
        f"{point.facts.candidate.id} ({figures.percent_interval(point.top1)}, {_cost_text(point.cost, axis)})" for point in front
    ]
    level = next((point.cost.confidence for point in points if point.cost.confidence), None)
    timed = f", {level * 100:.0f} % for latency over process runs" if axis == "latency" and level is not None else ""
    front_is = "front" if len(front) < 2 else "front (dashed)"
    best = "fastest" if axis == "latency" else "smallest"
    kept = f"{_BARS}{timed}. On the {front_is}, from the {best}: {'; '.join(shown)}."
    if axis == "size":
        kept += f" Latency on {report.build.device} is unknown, so the chart shows size. Size does not predict speed."
    beaten = [point.facts.candidate.id for point in points if point not in front and (not point.selecting or front[0].selecting)]
    if any(point.selecting for point in points) and not front[0].selecting:
        kept += f" Pale points with {figures.SELECTING} were timed in the first race, so the front does not include them."
    return kept + (f" Behind the front: {', '.join(beaten)}." if beaten else "")


def _cost_text(cost: Interval, axis: Axis) -> str:
    return f"{figures.metric_text(_METRICS[axis], cost)} {_METRICS[axis].unit}"


def _figure_sources(points: Sequence[Point], axis: Axis, gpu: DesktopPoint | None) -> tuple[Source, ...]:
    accuracies = {MARK_BY_FIDELITY[of.fidelity]: of.machine for p in points if (of := p.facts.answered)}
    sources = [Source(mark, f"accuracy, on {machine}") for mark, machine in accuracies.items()]
    if axis == "size":
        return (*sources, Source(MEASURED, "size of the model files"), Source(MISSING, "latency"))
    timed = {MARK_BY_FIDELITY[p.facts.latency.fidelity]: p.facts.latency.machine for p in points if p.facts.latency}
    sources += [Source(mark, f"latency, on {machine}") for mark, machine in timed.items()]
    if gpu is not None:
        sources.append(Source(MEASURED, f"{gpu.name} (square), another machine: {gpu.timed}"))
        sources.append(Source(gpu.mark, f"{gpu.name}: {gpu.answered}"))
    return tuple(sources)


def _left_out_notes(report: BuildReport, points: Sequence[Point], axis: Axis) -> list[str]:
    drawn = {point.facts.candidate.id for point in points}
    reasons = {f.candidate.id: (f.latency.reason if f.latency and f.answered else "not evaluated") for f in report.candidates}
    notes = [f"{name} is not drawn: {why or f'no {axis}'}" for name, why in reasons.items() if name not in drawn]
    others = [point.facts.candidate.id for point in points if point.selecting]
    if others:  # the final race ran later, when the machine may have been in another state
        notes.append(f"{', '.join(others)}: timed in the first race. Do not compare these times with times from the final race")
    return notes


def _front_table(report: BuildReport, axis: Axis, front: Sequence[Point], gpu: DesktopPoint | None) -> Table:
    on_front = [point.facts for point in front]
    rows = [
        (
            facts.candidate.id,
            facts.candidate.precision.value,
            figures.percent_interval(facts.answered.share) if facts.answered else "missing",
            _cost_text(cost, axis) if (cost := _cost(facts, axis)) else "missing",
            "yes" if facts in on_front else "no",
        )
        for facts in report.candidates
    ]
    if gpu is not None:
        rows.append((gpu.name, "desktop GPU", figures.percent_interval(gpu.top1), _cost_text(gpu.cost, axis), "not compared"))
    return Table(
        caption=f"Accuracy with its 95 % interval, {axis}, and whether the candidate is on the front",
        columns=("candidate", "precision", _accuracy_metric(report.candidates).words, axis, "on the front"),
        rows=tuple(rows),
    )


def _tradeoff_spec(points: Sequence[Point], front: Sequence[Point], gpu: DesktopPoint | None, axis: Axis) -> dict[str, Any]:
    every: list[Point | DesktopPoint] = [*points, *([gpu] if gpu else [])]
    across, up = (
        _cost_extent(every),
        Extent.around((100 * end for point in every for end in (point.top1.low, point.top1.high)), ROOM),
    )
    anchors = name_anchors(
        [Spot(across.share(point.cost.estimate), up.share(point.top1.estimate * 100), point.name) for point in every]
    )
    rows = [_candidate_row(point, anchor) for point, anchor in zip(points, anchors, strict=False)]
    if gpu:
        rows.append({
            "number": "GPU", "candidate": gpu.name, "label": gpu.name, "anchor": anchors[-1], "precision": DESKTOP_GPU,
            **_coordinates(gpu), "shape": "square", "area": 120, "fill": 1.0, "accuracy": figures.percent_interval(gpu.top1),
            "drop": "desktop GPU", "latency": figures.milliseconds(gpu.cost), "from": f"accuracy {gpu.mark.word}; {gpu.timed}",
        })  # fmt: skip
    cost = _METRICS[axis].axis_title
    x = alt.X("x:Q", title=cost, scale=across.scale(), axis=alt.Axis(tickCount=6, grid=False))
    y = alt.Y("y:Q", title=_accuracy_metric(point.facts for point in points).axis_title, scale=up.scale())
    fades = vega.opacity(vega.IS_SHOWN, 1.0, 0.12)
    base = alt.Chart(vega.chart_data(rows)).encode(y=y, color=vega.precision_colour(), opacity=fades)
    whiskers = base.mark_rule(strokeWidth=1.5, strokeOpacity=0.65, aria=False)
    tips = vega.tooltips("candidate", "accuracy", "drop", axis, "from")
    return vega.layered_spec(
        vega.front_line([_coordinates(point) for point in front]),
        whiskers.encode(x=alt.X("x_low:Q", title=cost), x2=alt.X2("x_high:Q")),
        whiskers.encode(x=x, y=alt.Y("y_low:Q"), y2=alt.Y2("y_high:Q")),
        base.mark_point(filled=True, opacity=1, stroke="var(--bg)", strokeWidth=1.5).encode(
            x=x, shape=vega.SHAPE, size=vega.AREA, tooltip=tips, fillOpacity=alt.FillOpacity("fill:Q", scale=None)
        ),
        *(_label_layer(base, anchor, shown).encode(x=x) for anchor in ANCHORS for shown in ("label", "number")),
        height=HEIGHT_PX,
        sifts=True,
    )


def _label_layer(base: alt.Chart, anchor: Anchor, shown: str) -> alt.Chart:
    """Return the labels on one side of their points. A phone shows numbers, a wider screen names."""
    right, down = SIDES[anchor]
    chosen = base.transform_filter(alt.datum.anchor == anchor)
    text = chosen.mark_text(align=anchor, baseline="alphabetic", dx=right, dy=down, aria=False, fontWeight=500)
    fits = NARROW if shown == "number" else f"!({NARROW})"
    opacity = vega.opacity(f"{vega.IS_SHOWN} && {fits}")
    named: alt.Chart = text.encode(text=alt.Text(f"{shown}:N"), color=vega.INK, opacity=opacity)
    return named


def _cost_extent(points: Sequence[Point | DesktopPoint]) -> Extent:
    low, high = min(point.cost.low for point in points), max(point.cost.high for point in points)
    if low > 0 and high / low > LOG_FROM:
        return Extent(low / 1.1, high * 1.1, logarithmic=True)
    extent = Extent.around((low, high), ROOM, 0.1 * high or 1.0)
    return Extent(max(0.0, extent.low), extent.high)


def _coordinates(point: Point | DesktopPoint) -> dict[str, float]:
    cost, top1 = point.cost, point.top1
    up = {"y": top1.estimate * 100, "y_low": top1.low * 100, "y_high": top1.high * 100}
    return {"x": cost.estimate, "x_low": cost.low, "x_high": cost.high, **up}


def _candidate_row(point: Point, anchor: str) -> dict[str, Any]:
    facts = point.facts
    answered = facts.answered
    assert answered is not None
    mark = MARK_BY_FIDELITY[answered.fidelity]
    return {
        **vega.row_of(facts), "number": str(point.number), "label": point.name, "anchor": anchor, **_coordinates(point),
        "shape": mark.shape,
        "fill": 0.35 if point.selecting else 1.0, "area": 190 if facts.chosen else 120,
        "accuracy": figures.percent_interval(point.top1),
        "drop": "baseline" if answered.drop_pp is None else figures.points(answered.drop_pp),
        "latency": figures.p50(facts.latency), "size": f"{figures.size(facts.size_mib)} MiB", "from": f"accuracy {mark.word}",
    }  # fmt: skip
