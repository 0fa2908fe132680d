"""What each class of the candidate that ships lost against fp32, and which losses were shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.errors.wording import plural
from edgecnn.render import figures
from edgecnn.render import quality as spelt
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, Table, sources_of
from edgecnn.render.page.charts.labels import shortened
from edgecnn.render.page.charts.vega import Extent
from edgecnn.values.figures import ClassFigures, Quality
from edgecnn.values.report import Accuracy, BuildReport, CandidateFacts

CLASS_PX = 24
LEAST_PX = 96
_STATES = {
    "shown": ("var(--FAIL)", "triangle-right"),
    "not shown": ("var(--accent)", "circle"),
    "too few images": ("var(--soft)", "stroke"),
}
"""Whether a loss was shown to its colour and its shape."""


def classes_lost(report: BuildReport) -> tuple[Figure, ...]:
    """The classes of the candidate that ships; nothing where no answers were looked at so."""
    chosen = (facts for facts in report.candidates if facts.chosen and not facts.is_baseline and facts.test)
    found = [_classes(facts, facts.test, facts.test.quality) for facts in chosen if facts.test and facts.test.quality]
    return tuple(figure for figure in found[:1] if figure is not None)


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
        sources=sources_of([accuracy], lambda of: f"both networks' answers to the same {of.images:,} images, on {of.machine}"),
        spec=_classes_spec(told),
        table=_classes_table(told),
        notes=(left,) if (left := spelt.left_out(value.classes)) else (),
    )


def _classes_spec(told: Sequence[ClassFigures]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {
            "label": label, "drop": drop.estimate, "low": drop.low, "high": drop.high,
            "state": each.regression or "not shown", "class": each.name, "paired drop": figures.points(drop),
            "images": f"{each.images:,}", "lost": figures.count(each.lost), "gained": figures.count(each.gained),
            "p after Holm": _p(each),
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
        tooltip=vega.tips(*tips),
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
            figures.count(each.lost), figures.count(each.gained), _p(each), each.regression or figures.NONE,
        )
        for each in told
    )  # fmt: skip
    columns = ("class", "images", "drop, 90 %", "lost", "gained", "p after Holm", "loss")
    return Table(caption="What each class lost against fp32, paired image by image", columns=columns, rows=rows)


def _p(each: ClassFigures) -> str:
    if each.p_adjusted is None:
        return figures.NONE
    return "< 0.001" if each.p_adjusted < 0.001 else f"{each.p_adjusted:.3f}"
