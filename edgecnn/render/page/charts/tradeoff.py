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
from edgecnn.render.page.charts.vega import ANCHORS, SIDES, Anchor, Extent, Spot, front_of, name_anchors, shortened
from edgecnn.values.report import BaselineFacts, BuildReport, CandidateFacts
from edgecnn.values.verdict import Interval

HEIGHT_PX = 340
ROOM = 0.06
"""Free share of an axis at both ends."""
NARROW = "width < 520"
"""True on a phone, where points show a number instead of a name."""
LOG_FROM = 8.0
"""If the largest cost is this many times the smallest, the axis is logarithmic."""


@dataclass(frozen=True)
class Point:
    """One candidate with both figures."""

    number: int
    facts: CandidateFacts
    cost: Interval
    top1: Interval

    @property
    def name(self) -> str:
        """The name with the role in the comparison."""
        part = " ★ chosen" if self.facts.chosen else " (baseline)" if self.facts.is_baseline else ""
        return shortened(self.facts.candidate.id) + part


DESKTOP_GPU = "desktop-gpu"
"""Its name in legends and colours. ``how`` has the precision."""


@dataclass(frozen=True)
class DesktopPoint:
    """The desktop-GPU baseline with both figures."""

    name: str
    cost: Interval
    top1: Interval
    mark: Mark
    """Mark of its accuracy."""
    timed: str
    """How it was timed, and on which machine."""
    answered: str
    """Source of its accuracy."""


def _desktop_point(report: BuildReport) -> DesktopPoint | None:
    """None if the baseline was not timed or has no accuracy."""
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


def _no_desktop_point(baseline: BaselineFacts) -> str:
    """The reason why the desktop-GPU baseline is not in the chart."""
    why = baseline.latency.reason or ("not timed" if baseline.latency.p50_ms is None else "its accuracy is unknown")
    return f"{baseline.device}, the desktop-GPU baseline, is missing: {why}"


Axis = Literal["latency", "size"]
_METRICS: Mapping[Axis, Metric] = {"latency": SHOWN["p50_ms"], "size": SHOWN["size_mib"]}
_BARS = "Bars are intervals: 95 % for accuracy"


def tradeoff(report: BuildReport) -> Figure | None:
    """Accuracy against latency with both intervals; None if no candidate has an accuracy."""
    axis: Axis = "latency" if any(_cost(facts, "latency") for facts in report.candidates) else "size"
    points = [
        Point(number=number, facts=facts, cost=cost, top1=answered.share)
        for number, facts in enumerate(report.candidates, start=1)
        if (answered := facts.answered) is not None and (cost := _cost(facts, axis)) is not None
    ]
    if not points:
        return None
    front, gpu = pareto(points), _desktop_point(report) if axis == "latency" else None
    precisions = [point.facts.candidate.precision.value for point in points]
    return Figure(
        id="tradeoff",
        title=f"Accuracy against {axis}",
        says=_says(points, front, axis, report),
        sources=_sources(points, axis, gpu),
        spec=_spec(points, front, gpu, axis),
        legend=vega.ordered_precisions([*precisions, *([DESKTOP_GPU] if gpu else [])]),
        sifts=True,
        table=_table(report, axis, front, gpu),
        notes=(*_left_out(report, points, axis), *(() if gpu or axis == "size" else (_no_desktop_point(report.baseline),))),
    )


def _metric(candidates: Iterable[CandidateFacts]) -> Metric:
    """The accuracy metric: top-1, or mAP for several labels per image."""
    return SHOWN["map" if any(facts.multi_label for facts in candidates) else "top1"]


def _cost(facts: CandidateFacts, axis: Axis) -> Interval | None:
    return _METRICS[axis].value(facts)


def pareto(points: Sequence[Point]) -> list[Point]:
    """The Pareto front by estimates, from the cheapest. Intervals may overlap."""
    return front_of(points, lambda point: point.cost.estimate, lambda point: point.top1.estimate)


def _says(points: Sequence[Point], front: Sequence[Point], axis: Axis, report: BuildReport) -> str:
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
    beaten = [point.facts.candidate.id for point in points if point not in front]
    return kept + (f" Behind the front: {', '.join(beaten)}." if beaten else "")


def _cost_text(cost: Interval, axis: Axis) -> str:
    return f"{figures.metric_text(_METRICS[axis], cost)} {_METRICS[axis].unit}"


def _sources(points: Sequence[Point], axis: Axis, gpu: DesktopPoint | None) -> tuple[Source, ...]:
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


def _left_out(report: BuildReport, points: Sequence[Point], axis: Axis) -> tuple[str, ...]:
    drawn = {point.facts.candidate.id for point in points}
    reasons = {f.candidate.id: (f.latency.reason if f.latency and f.answered else "not evaluated") for f in report.candidates}
    notes = [f"{name} is not drawn: {why or f'no {axis}'}" for name, why in reasons.items() if name not in drawn]
    others = [point.facts.candidate.id for point in points if point.facts.latency and point.facts.latency.selecting]
    if axis == "latency" and others:  # who ships and fp32 raced once more, in other minutes of the machine
        notes.append(f"{', '.join(others)}: timed in the first race. Do not compare these times with times from the final race")
    return tuple(notes)


def _table(report: BuildReport, axis: Axis, front: Sequence[Point], gpu: DesktopPoint | None) -> Table:
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
        columns=("candidate", "precision", _metric(report.candidates).words, axis, "on the front"),
        rows=tuple(rows),
    )


def _spec(points: Sequence[Point], front: Sequence[Point], gpu: DesktopPoint | None, axis: Axis) -> dict[str, Any]:
    every: list[Point | DesktopPoint] = [*points, *([gpu] if gpu else [])]
    across, up = _across(every), Extent.around((100 * end for point in every for end in (point.top1.low, point.top1.high)), ROOM)
    anchors = name_anchors(
        [Spot(across.share(point.cost.estimate), up.share(point.top1.estimate * 100), point.name) for point in every]
    )
    rows = [_row(point, anchor) for point, anchor in zip(points, anchors, strict=False)]
    rows += [_gpu_row(gpu, anchors[-1])] if gpu else []
    cost = _METRICS[axis].axis_title
    x = alt.X("x:Q", title=cost, scale=across.scale(), axis=alt.Axis(tickCount=6, grid=False))
    y = alt.Y("y:Q", title=_metric(point.facts for point in points).axis_title, scale=up.scale())
    fades = vega.opacity(vega.IS_SHOWN, 1.0, 0.12)
    base = alt.Chart(vega.chart_data(rows)).encode(y=y, color=vega.precision_colour(), opacity=fades)
    whiskers = base.mark_rule(strokeWidth=1.5, strokeOpacity=0.65, aria=False)
    tips = vega.tips("candidate", "accuracy", "drop", axis, "from")
    return vega.specification(
        vega.front_line([_place(point) for point in front]),
        whiskers.encode(x=alt.X("x_low:Q", title=cost), x2=alt.X2("x_high:Q")),
        whiskers.encode(x=x, y=alt.Y("y_low:Q"), y2=alt.Y2("y_high:Q")),
        base.mark_point(filled=True, opacity=1, stroke="var(--bg)", strokeWidth=1.5).encode(
            x=x, shape=vega.SHAPE, size=vega.AREA, tooltip=tips
        ),
        *(_labels(base, anchor, shown).encode(x=x) for anchor in ANCHORS for shown in ("label", "number")),
        height=HEIGHT_PX,
        sifts=True,
    )


def _labels(base: alt.Chart, anchor: Anchor, shown: str) -> alt.Chart:
    """One layer for each side of a point, because a mark has one anchor. A phone shows numbers, a wider screen names."""
    right, down = SIDES[anchor]
    chosen = base.transform_filter(alt.datum.anchor == anchor)
    text = chosen.mark_text(align=anchor, baseline="alphabetic", dx=right, dy=down, aria=False, fontWeight=500)
    fits = NARROW if shown == "number" else f"!({NARROW})"
    opacity = vega.opacity(f"{vega.IS_SHOWN} && {fits}")
    named: alt.Chart = text.encode(text=alt.Text(f"{shown}:N"), color=vega.INK, opacity=opacity)
    return named


def _across(points: Sequence[Point | DesktopPoint]) -> Extent:
    low, high = min(point.cost.low for point in points), max(point.cost.high for point in points)
    if low > 0 and high / low > LOG_FROM:
        return Extent(low / 1.1, high * 1.1, logarithmic=True)
    extent = Extent.around((low, high), ROOM, 0.1 * high or 1.0)
    return Extent(max(0.0, extent.low), extent.high)


def _place(point: Point | DesktopPoint) -> dict[str, float]:
    cost, top1 = point.cost, point.top1
    up = {"y": top1.estimate * 100, "y_low": top1.low * 100, "y_high": top1.high * 100}
    return {"x": cost.estimate, "x_low": cost.low, "x_high": cost.high, **up}


def _gpu_row(gpu: DesktopPoint, anchor: str) -> dict[str, Any]:
    return {
        "number": "GPU", "candidate": gpu.name, "label": gpu.name, "anchor": anchor, "precision": DESKTOP_GPU,
        **_place(gpu), "shape": "square", "area": 120, "accuracy": figures.percent_interval(gpu.top1), "drop": "desktop GPU",
        "latency": figures.milliseconds(gpu.cost), "from": f"accuracy {gpu.mark.word}; {gpu.timed}",
    }  # fmt: skip


def _row(point: Point, anchor: str) -> dict[str, Any]:
    facts = point.facts
    answered = facts.answered
    assert answered is not None
    mark = MARK_BY_FIDELITY[answered.fidelity]
    return {
        **vega.row_of(facts), "number": str(point.number), "label": point.name, "anchor": anchor, **_place(point),
        "shape": mark.shape, "area": 190 if facts.chosen else 120, "accuracy": figures.percent_interval(point.top1),
        "drop": "baseline" if answered.drop_pp is None else figures.points(answered.drop_pp),
        "latency": figures.p50(facts.latency), "size": f"{figures.size(facts.size_mib)} MiB", "from": f"accuracy {mark.word}",
    }  # fmt: skip
