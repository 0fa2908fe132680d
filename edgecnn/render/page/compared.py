"""The page that compares builds: their figures by candidate, paired differences, and changes of their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import altair as alt

from edgecnn.comparing.facts import MachineGroup, SideBySide
from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.columns import columns_of
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, MEASURED, Dot, Figure, Source, Table, drawn
from edgecnn.render.page.document import document
from edgecnn.render.page.report import figure_cells
from edgecnn.render.plots import far_apart
from edgecnn.render.screens.comparing import (
    NOT_IN_BUILD,
    facts_by_build,
    latency_advice,
    machine_text,
    pairing_sentences,
    unlearned_lines,
)
from edgecnn.values.report import CandidateFacts


def comparison_page(comparison: SideBySide) -> str:
    """Return the page as text, for UTF-8."""
    columns = columns_of([facts for row in comparison.candidates for facts in row.facts if facts is not None], "page")
    shown = {
        "accuracy": drawn((_accuracy_chart(comparison), _difference_chart(comparison))),
        "latency": _machine_charts(comparison, "latency"),
        "cost": (
            *drawn([_size_chart(comparison)]),
            *_machine_charts(comparison, "memory"),
            *_machine_charts(comparison, "energy"),
        ),
    }
    return document(
        "compare.html.j2",
        [figure for section in shown.values() for figure in section],
        found=comparison,
        figures=shown,
        cells_of=partial(figure_cells, columns=columns),
        verdict_of=figures.verdict,
        unlearned=unlearned_lines(comparison),
        columns=[(column.title, column.unit) for column in columns],
        changes=comparison.changed,
        advice=[line.strip() for line in latency_advice(comparison)],
        unmeasured=[name for name in ("memory", "energy") if not any(figure.id.startswith(name) for figure in shown["cost"])],
    )


def _dots(comparison: SideBySide, labels: Sequence[str], metric: Metric) -> list[Dot]:
    lines = []
    for name, label, facts in facts_by_build(comparison, labels):
        if facts is None or (figure := metric.value(facts)) is None:
            continue
        measurement = metric.measurement(facts)
        mark = MEASURED if measurement is None else MARK_BY_FIDELITY[measurement.fidelity]
        shown = figures.percent(figure) if metric.unit == "share" else figure
        text = figures.number(figure, 1) if metric.unit == "mJ" else figures.metric_text(metric, figure)
        text_with_unit = text if metric.unit == "share" else f"{text} {metric.unit}"
        lines.append(Dot(name, mark, shown, text_with_unit, label, _detail(metric, facts)))
    return lines


def _accuracy_chart(comparison: SideBySide) -> Figure | None:
    metric, labels = SHOWN[comparison.accuracy], [build.label for build in comparison.builds]
    return build_chart(
        _dots(comparison, labels, metric),
        ChartTexts(
            id="top1",
            title=f"{metric.title} on each build's test split",
            says="Further right is better. Bars are 95 % intervals of each build alone. If they overlap, the paired difference "
            "below may still show a difference.",
            axis=f"{metric.words}, %",
            caption=f"{metric.title} of each candidate in each build, with its 95 % interval",
            of="accuracy on each build's test split",
            notes=_absent_notes(comparison, labels, metric, "not evaluated"),
        ),
    )


def _difference_chart(comparison: SideBySide) -> Figure | None:
    lines = []
    for pair in comparison.paired:
        if pair.drop_pp is not None:
            detail = f"{pair.images or 0:,} images"
            detail += "" if pair.lost is None else f": {pair.lost} lost, {pair.gained} gained against {pair.base}"
            mark, text = MARK_BY_FIDELITY[pair.fidelity], figures.points(pair.drop_pp)
            lines.append(Dot(pair.candidate, mark, pair.drop_pp, text, pair.head, detail))
    base, metric = comparison.builds[0].label, SHOWN[comparison.accuracy]
    absent = [pair for pair in comparison.paired if pair.absent]
    return build_chart(
        lines,
        ChartTexts(
            id="paired",
            title=f"{metric.title} lost against {base}, paired by image",
            says="Further right is worse. Bars are 90 % intervals. An interval that contains 0 shows no difference.",
            axis=f"{metric.words} lost against {base}, pp",
            caption=f"{metric.title} lost against {base}, paired on the same images, with its 90 % interval",
            of="stored predictions of both builds for the same images",
            notes=(
                *(f"{pair.candidate}, {pair.head} against {pair.base}: missing, {pair.absent}" for pair in absent),
                *pairing_sentences(comparison),
            ),
            zero=True,
        ),
    )


_MACHINE_METRICS = {"latency": "p50_ms", "memory": "peak_memory_mib", "energy": "energy_mj"}
_SAYS = {"latency": "Further left is faster", "memory": "Further left is less", "energy": "Further left is less"}


def _machine_charts(comparison: SideBySide, source: str) -> tuple[Figure, ...]:
    return drawn(_machine_chart(comparison, group, number, source) for number, group in enumerate(comparison.machines))


def _machine_chart(comparison: SideBySide, group: MachineGroup, number: int, source: str) -> Figure | None:
    metric = SHOWN[_MACHINE_METRICS[source]]
    alone = len(comparison.machines) == 1
    where = "" if alone else f": {machine_text(group, number)}"
    apart = "" if alone else " Each machine, and each state of a machine, has a separate chart."
    return build_chart(
        _dots(comparison, group.labels, metric),
        ChartTexts(
            id=f"{source}-{number}",
            title=metric.title + where,
            says=f"{_SAYS[source]}. Bars are 98 % intervals over process runs.{apart}",
            axis=metric.axis_title,
            caption=f"{metric.title} of each candidate in each build{where}",
            of=f"on {group.machine}",
            notes=_absent_notes(comparison, group.labels, metric, f"no {source}"),
        ),
    )


def _size_chart(comparison: SideBySide) -> Figure | None:
    metric = SHOWN["size_mib"]
    return build_chart(
        _dots(comparison, [build.label for build in comparison.builds], metric),
        ChartTexts(
            id="sizes",
            title=metric.title,
            says="Further left is smaller. Bytes are exact, so there is no interval.",
            axis=metric.unit,
            caption=f"{metric.title} in each build",
            of="size of the model files in each kit",
        ),
    )


def _detail(metric: Metric, facts: CandidateFacts) -> str:
    """Return the number of images or runs, and the conditions of the figure."""
    latency, memory, energy = facts.latency, facts.memory, facts.energy
    if metric.source == "accuracy" and facts.test:
        return f"{facts.test.images:,} images"
    if metric.source == "latency" and latency:
        return f"{latency.runs} runs of {latency.observed_at}{figures.disturbance(latency)}"
    if metric.source == "memory" and memory:
        own = f", {memory.baseline_mib.estimate:.1f} MiB of it for the runtime" if memory.baseline_mib else ""
        return f"{memory.runs} runs{own}"
    if metric.source == "energy" and energy:
        return f"{energy.meter}: {energy.covers}, {energy.runs} runs"
    return "model files"


def _absent_notes(comparison: SideBySide, labels: Sequence[str], metric: Metric, otherwise: str) -> tuple[str, ...]:
    notes = []
    for name, label, facts in facts_by_build(comparison, labels):
        if facts is None or metric.value(facts) is None:
            raced = facts.latency if facts is not None and metric.source == "latency" else None
            reason = NOT_IN_BUILD if facts is None else raced.reason if raced else None
            notes.append(f"{name} of {label} is not drawn: {reason or otherwise}")
    return tuple(notes)


COLOURS = 6
"""Number of colours. Additional builds repeat them, since the letter identifies a build."""
LINE_PX, CANDIDATE_GAP_PX = 19, 12


@dataclass(frozen=True)
class ChartTexts:
    """The texts of a chart of builds."""

    id: str
    title: str
    says: str
    axis: str
    caption: str
    of: str
    """Source of the figures."""
    notes: tuple[str, ...] = ()
    zero: bool = False
    """True if the axis contains 0 and a rule marks 0."""


def build_chart(lines: Sequence[Dot], texts: ChartTexts) -> Figure | None:
    """Return the chart of these figures; None without figures."""
    if not lines:
        return None
    return Figure(
        id=texts.id,
        title=texts.title,
        says=texts.says,
        sources=tuple(Source(mark, texts.of) for mark in dict.fromkeys(line.mark for line in lines)),
        spec=_chart_spec(lines, texts),
        legend=tuple(sorted({line.lane for line in lines})),
        sifts=True,
        table=Table(
            caption=texts.caption,
            columns=("candidate", "build", texts.axis, "source", "based on"),
            rows=tuple((line.candidate, line.lane, line.text, line.mark.word, line.detail) for line in lines),
        ),
        notes=texts.notes,
    )


def _chart_spec(lines: Sequence[Dot], texts: ChartTexts) -> dict[str, Any]:
    names = list(dict.fromkeys(line.candidate for line in lines))
    builds = sorted({line.lane for line in lines})
    offset = alt.YOffset("build:N", scale=alt.Scale(domain=builds, paddingInner=0.1, paddingOuter=0.1))
    low, high = min(line.figure.low for line in lines), max(line.figure.high for line in lines)
    apart = far_apart(0.0 if texts.zero else low, high)
    scale = alt.Scale(padding=18, nice=False, type="log") if apart else alt.Scale(padding=18, nice=False, zero=texts.zero)
    colours = [f"var(--build-{(ord(build) - ord('A')) % COLOURS + 1})" for build in builds]
    fades = vega.opacity("indexof(hidden, datum.build) < 0", 1.0, 0.08)
    rows = [
        {
            **line.row,
            "label": line.candidate,
            "build": line.lane,
            "figure": line.text,
            "from": line.mark.word,
            "of": line.detail,
        }
        for line in lines
    ]
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down(names, gap=0.18),
        yOffset=offset,
        color=alt.Color("build:N", legend=None, scale=alt.Scale(domain=builds, range=colours)),
        opacity=fades,
    )
    tips = vega.tips("candidate", "build", "figure", "from", "of")
    start = alt.X("low:Q", title=texts.axis + (", logarithmic" if apart else ""), scale=scale, axis=alt.Axis(tickCount=6))
    zero = alt.Chart(vega.chart_data([{"at": 0.0}])).mark_rule(color="var(--soft)", strokeWidth=1.2, aria=False)
    points = base.mark_point(filled=True, opacity=1, size=95, stroke="var(--bg)", strokeWidth=1.5)
    return vega.specification(
        *([zero.encode(x=alt.X("at:Q"))] if texts.zero else []),
        base.mark_rule(strokeWidth=2.5, strokeCap="round", aria=False).encode(x=start, x2=vega.HIGH),
        points.encode(x=alt.X("at:Q", scale=scale), shape=vega.SHAPE, tooltip=tips),
        base.mark_text(align="left", dx=8, fontWeight=600, aria=False).encode(x=alt.X("high:Q", scale=scale), text="build:N"),
        height=len(names) * (LINE_PX * len(builds) + CANDIDATE_GAP_PX),
        sifts=True,
    )
