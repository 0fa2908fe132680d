"""Accuracy that each class of the chosen candidate loses against fp32, and which losses are significant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.errors.wording import counted, plural
from edgecnn.render import figures
from edgecnn.render import quality as spelt
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, sources_of, tabled
from edgecnn.render.page.charts.vega import Extent, shortened
from edgecnn.values.figures import TOO_FEW, Accuracy, ClassFigures
from edgecnn.values.report import BuildReport, CandidateFacts

CLASS_PX = 24
LEAST_PX = 96
_STATES = {
    "shown": ("var(--FAIL)", "triangle-right"),
    "not shown": ("var(--accent)", "circle"),
    **dict.fromkeys(TOO_FEW, ("var(--soft)", "stroke")),
}
"""The colour and the shape of a class by the result of its test."""
_TIPS = ("class", "paired drop", "images", "lost", "gained", "p after Holm")
_COLUMNS = {
    "class": "class", "images": "images", "drop, 90 %": "paired drop", "lost": "lost", "gained": "gained",
    "p after Holm": "p after Holm", "loss": "loss",
}  # fmt: skip


def classes_lost(report: BuildReport) -> tuple[Figure, ...]:
    """The losses of each class for the chosen candidate; empty if the classes were not compared."""
    chosen = next((facts for facts in report.candidates if facts.chosen and not facts.is_baseline and facts.test), None)
    figure = None if chosen is None or chosen.test is None else _classes(chosen, chosen.test)
    return () if figure is None else (figure,)


def _classes(facts: CandidateFacts, accuracy: Accuracy) -> Figure | None:
    classes = quality.classes if (quality := accuracy.shown_quality) else None
    listed = (
        [class_figures for class_figures in spelt.largest_losses(classes) if class_figures.drop_pp is not None] if classes else []
    )
    if classes is None or not listed:
        return None
    rows, alone = _rows(listed), spelt.lacks_intervals(classes)
    columns = {"drop" if alone and of == "paired drop" else name: of for name, of in _COLUMNS.items()}
    names = ", ".join(class_figures.name for class_figures in classes.shown())
    small = len(classes.too_small())
    few = f" {small} {plural(small, 'has', 'have')} too few {classes.unit}s to show a loss." if small else ""
    over = counted(classes.compared, "class", "classes") + (f" of {classes.candidates} candidates" * (classes.candidates > 1))
    return Figure(
        id="classes-lost",
        title=f"Accuracy loss of each class with {facts.candidate.id}",
        says=f"Classes with a significant loss (Holm correction across {over}): {names or 'none'}.{few} Further right is"
        f" worse. {spelt.class_intervals(classes)}.",
        sources=sources_of(
            [accuracy], lambda of: f"predictions of both networks for the same {figures.images_of(of)}, on {of.machine}"
        ),
        spec=_spec(rows),
        table=tabled("Accuracy loss of each class against fp32, paired by image", columns, rows),
        notes=tuple(filter(None, [spelt.unlisted_classes(classes), spelt.missing_intervals_note([accuracy]) if alone else ""])),
    )


def _rows(listed: Sequence[ClassFigures]) -> list[dict[str, Any]]:
    """Rows with names that fit an axis. A number is added to names that are cut to the same text or are blank."""
    names = [shortened(figure.name, 24) for figure in listed]
    return [
        {
            "label": name if names.count(name) == 1 else f"{name} {place}", "drop": drop.estimate, "low": drop.low,
            "high": drop.high, "state": figure.regression or "not shown",
            "class": figure.name, "paired drop": figures.points(drop),
            "images": f"{figure.images:,}",
            "lost": figures.count(figure.lost), "gained": figures.count(figure.gained),
            "p after Holm": _p(figure.p_adjusted), "loss": figure.regression or figures.NONE,
        }
        for place, (name, figure) in enumerate(zip(names, listed, strict=True), start=1)
        if (drop := figure.drop_pp)
    ]  # fmt: skip


def _p(adjusted: float | None) -> str:
    return figures.NONE if adjusted is None else "< 0.001" if adjusted < 0.001 else f"{adjusted:.3f}"


def _spec(rows: list[dict[str, Any]]) -> dict[str, Any]:
    present = [state for state in _STATES if any(row["state"] == state for row in rows)]
    colours, shapes = (alt.Scale(domain=present, range=[_STATES[state][what] for state in present]) for what in (0, 1))
    scale = Extent.around([0.0, *(row[end] for row in rows for end in ("low", "high"))], room=0.04).scale()
    legend = alt.Legend(orient="bottom", title=None, labelLimit=220) if len(present) > 1 else None
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([row["label"] for row in rows]),
        color=alt.Color("state:N", scale=colours, legend=legend),
        tooltip=vega.tips(*_TIPS),
    )
    x = alt.X("drop:Q", title="top-1 lost against fp32, pp of the class's images", scale=scale, axis=alt.Axis(tickCount=7))
    points = base.mark_point(filled=True, size=85, opacity=1, aria=False)
    zero = alt.Chart(vega.chart_data([{"drop": 0}])).mark_rule(color="var(--soft)", strokeWidth=1.2, aria=False)
    return vega.specification(
        zero.encode(x=alt.X("drop:Q", scale=scale)),
        base.mark_rule(strokeWidth=2, aria=False).encode(x=alt.X("low:Q", scale=scale), x2=vega.HIGH),
        points.encode(x=x, shape=alt.Shape("state:N", scale=shapes, legend=legend)),
        height=max(LEAST_PX, CLASS_PX * len(rows)),
    )
