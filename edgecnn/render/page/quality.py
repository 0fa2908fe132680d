"""What top-1 does not say: top-5, macro-F1, calibration, agreement with fp32, and the classes that lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from edgecnn.errors.wording import plural
from edgecnn.render import figures
from edgecnn.render import quality as spelt
from edgecnn.render.page import vega
from edgecnn.render.page.dots import Axis, Dot, dots_spec
from edgecnn.render.page.extent import Extent
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.labels import shortened
from edgecnn.render.page.marks import OF_FIDELITY
from edgecnn.render.page.reasons import grouped
from edgecnn.values.figures import ClassFigures, Quality
from edgecnn.values.report import Accuracy, BuildReport, CandidateFacts
from edgecnn.values.verdict import Interval

CLASS_PX = 24
LEAST_PX = 96
_STATES = {
    "shown": ("var(--FAIL)", "triangle-right"),
    "not shown": ("var(--accent)", "circle"),
    "too few images": ("var(--soft)", "stroke"),
}
"""Whether a loss was shown to its colour and its shape."""


@dataclass(frozen=True)
class _Metric:
    field: str
    title: str
    says: str


_METRICS = (
    _Metric("top5", "Top-5", "Images whose class is among the five largest logits; higher is better."),
    _Metric("macro_f1", "Macro-F1", "Mean F1 over classes, so that small classes weigh as much as large ones; higher is better."),
    _Metric(
        "ece", "Calibration error", "How far confidence and accuracy are apart, over 15 bins of equal width; lower is better."
    ),
    _Metric("agreement", "Agreement with fp32", "Images that get the same first answer, right or wrong; higher is better."),
)
_Known = Sequence[tuple[CandidateFacts, Accuracy, Quality]]


def quality(report: BuildReport) -> tuple[Figure, ...]:
    """One chart a metric, then the classes of the chosen candidate; nothing where no answers were looked at so."""
    known = [(row, row.report, row.report.quality) for row in report.candidates if row.report and row.report.quality]
    found = [_metric(metric, known) for metric in _METRICS]
    losing = next((_classes(*each) for each in known if each[0].chosen and not each[0].is_baseline), None)
    return tuple(figure for figure in (*found, losing) if figure is not None)


def _sources(accuracies: Sequence[Accuracy], what: str) -> tuple[Source, ...]:
    marks = dict.fromkeys((OF_FIDELITY[each.fidelity], each.images, each.machine) for each in accuracies)
    return tuple(Source(mark, f"{what} {images:,} images, on {machine}") for mark, images, machine in marks)


def _metric(metric: _Metric, known: _Known) -> Figure | None:
    drawn = [(facts, accuracy, figure) for facts, accuracy, value in known if (figure := _of(value, metric)) is not None]
    if not drawn:
        return None
    dots = [
        Dot(facts, OF_FIDELITY[accuracy.fidelity], _percent(figure), f"{figure.estimate * 100:.1f}")
        for facts, accuracy, figure in drawn
    ]
    why = {facts.candidate.id: value.absent[metric.field] for facts, _, value in known if metric.field in value.absent}
    return Figure(
        id=f"quality-{metric.field.replace('_', '-')}",
        title=metric.title,
        says=f"{metric.says} Intervals at 90 %.",
        sources=_sources([accuracy for _, accuracy, _ in drawn], "the answers to"),
        spec=dots_spec(dots, Axis("%")),
        legend=vega.in_legend(facts.candidate.precision.value for facts, _, _ in drawn),
        table=Table(
            caption=f"{metric.title} on the report split, with its 90 % interval",
            columns=("candidate", metric.title),
            rows=tuple((facts.candidate.id, figures.percent_interval(figure)) for facts, _, figure in drawn),
        ),
        notes=grouped(why),
        half=True,
    )


def _of(value: Quality, metric: _Metric) -> Interval | None:
    found: Interval | None = getattr(value, metric.field)
    return found


def _percent(share: Interval) -> Interval:
    return share.model_copy(update={end: 100 * getattr(share, end) for end in ("estimate", "low", "high")})


def _classes(facts: CandidateFacts, accuracy: Accuracy, value: Quality) -> Figure | None:
    """Of the candidate that ships: a reader wants to know what their classes will be like."""
    told = [each for each in spelt.most_telling(value.classes) if each.drop_pp is not None]
    if not told:
        return None
    losers = value.classes.shown()
    names = ", ".join(each.name for each in losers)
    said = f"Shown to lose, after Holm's adjustment over {value.classes.compared} classes: {names or 'none'}."
    small = value.classes.too_small()
    few = "" if not small else f" {len(small)} {plural(len(small), 'has', 'have')} too few images for a loss to show."
    return Figure(
        id="classes-lost",
        title=f"What each class lost with {facts.candidate.id}",
        says=f"{said}{few} Further right is worse; each interval is 90 % for its class alone.",
        sources=_sources([accuracy], "both networks' answers to the same"),
        spec=_classes_spec(told),
        table=_classes_table(told),
        notes=(left,) if (left := spelt.left_out(value.classes)) else (),
    )


def _classes_spec(told: Sequence[ClassFigures]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {
            "label": label, "drop": drop.estimate, "low": drop.low, "high": drop.high,
            "state": each.regression or "not shown", "class": each.name, "paired drop": figures.points(drop),
            "images": f"{each.images:,}", "lost": _count(each.lost), "gained": _count(each.gained), "p after Holm": _p(each),
        }
        for label, each in zip(_labels(told), told, strict=True)
        if (drop := each.drop_pp)
    ]  # fmt: skip
    present = [state for state in _STATES if any(row["state"] == state for row in rows)]
    colours, shapes = (alt.Scale(domain=present, range=[_STATES[each][what] for each in present]) for what in (0, 1))
    scale = _extent(rows).scale()
    legend = alt.Legend(orient="bottom", title=None, labelLimit=220) if len(present) > 1 else None
    tips = ("class", "paired drop", "images", "lost", "gained", "p after Holm")
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([row["label"] for row in rows]),
        color=alt.Color("state:N", scale=colours, legend=legend),
        tooltip=[alt.Tooltip(f"{name}:N") for name in tips],
    )
    x = alt.X("drop:Q", title="top-1 lost against fp32, pp of the class's images", scale=scale, axis=alt.Axis(tickCount=7))
    zero = alt.Chart(vega.chart_data([{"drop": 0}])).mark_rule(color="var(--soft)", strokeWidth=1.2, aria=False)
    layers = [
        zero.encode(x=alt.X("drop:Q", scale=scale)),
        base.mark_rule(strokeWidth=2, aria=False).encode(x=alt.X("low:Q", scale=scale), x2="high:Q"),
        base.mark_point(filled=True, size=85, opacity=1, aria=False).encode(
            x=x, shape=alt.Shape("state:N", scale=shapes, legend=legend)
        ),
    ]
    height = max(LEAST_PX, CLASS_PX * len(rows))
    return vega.specification(alt.layer(*layers).properties(width="container", height=height))


def _labels(told: Sequence[ClassFigures]) -> list[str]:
    """Names that fit an axis; where two are cut to the same, or blank, their place tells them apart."""
    names = [shortened(each.name, 24) for each in told]
    return [name if names.count(name) == 1 else f"{name} {place}" for place, name in enumerate(names, start=1)]


def _extent(rows: Sequence[dict[str, Any]]) -> Extent:
    low, high = min(0.0, *(row["low"] for row in rows)), max(0.0, *(row["high"] for row in rows))
    room = 0.04 * (high - low) or 1.0
    return Extent(low - room, high + room)


def _classes_table(told: Sequence[ClassFigures]) -> Table:
    rows = tuple(
        (
            each.name, f"{each.images:,}", figures.NONE if each.drop_pp is None else figures.points(each.drop_pp),
            _count(each.lost), _count(each.gained), _p(each), each.regression or figures.NONE,
        )
        for each in told
    )  # fmt: skip
    columns = ("class", "images", "drop, 90 %", "lost", "gained", "p after Holm", "loss")
    return Table(caption="What each class lost against fp32, paired image by image", columns=columns, rows=rows)


def _count(value: int | None) -> str:
    return figures.NONE if value is None else f"{value:,}"


def _p(each: ClassFigures) -> str:
    if each.p_adjusted is None:
        return figures.NONE
    return "< 0.001" if each.p_adjusted < 0.001 else f"{each.p_adjusted:.3f}"
