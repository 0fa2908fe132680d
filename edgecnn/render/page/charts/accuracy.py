"""Charts of accuracy: the classes that lose against fp32, and the training by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt

from edgecnn.errors.wording import counted, plural
from edgecnn.render import figures, tables
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MEASURED, Figure, Source, sources_of, tabled
from edgecnn.render.page.charts.vega import Extent, shortened
from edgecnn.training.history import EpochFacts, History
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
_CLASS_TIPS = ("class", "paired drop", "images", "lost", "gained", "p after Holm")
_CLASS_COLUMNS = {
    "class": "class", "images": "images", "drop, 90 %": "paired drop", "lost": "lost", "gained": "gained",
    "p after Holm": "p after Holm", "loss": "loss",
}  # fmt: skip


def classes_lost(report: BuildReport) -> tuple[Figure, ...]:
    """The losses of each class for the chosen candidate; empty if the classes were not compared."""
    chosen = next((facts for facts in report.candidates if facts.chosen and not facts.is_baseline and facts.test), None)
    figure = None if chosen is None or chosen.test is None else _classes(chosen, chosen.test)
    return () if figure is None else (figure,)


def _classes(facts: CandidateFacts, accuracy: Accuracy) -> Figure | None:
    classes = accuracy.shown_quality.classes if accuracy.shown_quality else None
    listed = (
        [class_figures for class_figures in tables.largest_losses(classes) if class_figures.drop_pp is not None]
        if classes
        else []
    )
    if classes is None or not listed:
        return None
    rows, alone = _class_rows(listed), tables.lacks_intervals(classes)
    columns = {"drop" if alone and of == "paired drop" else name: of for name, of in _CLASS_COLUMNS.items()}
    names = ", ".join(class_figures.name for class_figures in classes.shown())
    small = len(classes.too_small())
    few = f" {small} {plural(small, 'has', 'have')} too few {classes.unit}s to show a loss." if small else ""
    over = counted(classes.compared, "class", "classes") + (f" of {classes.candidates} candidates" * (classes.candidates > 1))
    return Figure(
        id="classes-lost",
        title=f"Accuracy loss of each class with {facts.candidate.id}",
        says=f"Classes with a significant loss (Holm correction across {over}): {names or 'none'}.{few} Further right is"
        f" worse. {tables.class_intervals(classes)}.",
        sources=sources_of(
            [accuracy], lambda of: f"predictions of both networks for the same {figures.images_of(of)}, on {of.machine}"
        ),
        spec=_classes_spec(rows),
        table=tabled("Accuracy loss of each class against fp32, paired by image", columns, rows),
        notes=tuple(filter(None, [tables.unlisted_classes(classes), tables.missing_intervals_note([accuracy]) if alone else ""])),
    )


def _class_rows(listed: Sequence[ClassFigures]) -> list[dict[str, Any]]:
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


def _classes_spec(rows: list[dict[str, Any]]) -> dict[str, Any]:
    present = [state for state in _STATES if any(row["state"] == state for row in rows)]
    colours, shapes = (alt.Scale(domain=present, range=[_STATES[state][what] for state in present]) for what in (0, 1))
    scale = Extent.around([0.0, *(row[end] for row in rows for end in ("low", "high"))], room=0.04).scale()
    legend = alt.Legend(orient="bottom", title=None, labelLimit=220) if len(present) > 1 else None
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([row["label"] for row in rows]),
        color=alt.Color("state:N", scale=colours, legend=legend),
        tooltip=vega.tips(*_CLASS_TIPS),
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


CURVE_PX = 220
_RECORDED = Source(MEASURED, "recorded during training; accuracy on the validation split")


def _epoch_columns(name: str) -> dict[str, str]:
    return {
        "epoch": "epoch", "loss": "loss, training", f"{name} on validation": "judged", "learning rate": "rate",
        "resolution, px": "px",
    }  # fmt: skip


def curves(history: History) -> tuple[Figure, ...]:
    """Training loss, and accuracy on the validation split; empty without epochs."""
    epochs = [(phase.name, epoch) for phase in history.phases for epoch in phase.epochs]
    if not epochs:
        return ()
    rows = [_epoch_row(count, phase, epoch, history) for count, (phase, epoch) in enumerate(epochs, start=1)]
    judged, name = [row for row in rows if row["top1"] is not None], _metric(history)
    loss = Figure(
        id="loss",
        title="Training loss",
        says=f"From {epochs[0][1].train_loss:.3f} to {epochs[-1][1].train_loss:.3f} in {len(epochs)} epochs; {history.stopped}.",
        sources=(_RECORDED,),
        spec=_curve_spec(rows, "loss", "loss on the training images", name),
        table=tabled("Training by epoch", _epoch_columns(name), rows),
        half=True,
    )
    if not judged:
        return (loss,)
    best, says = history.best, "No epoch was evaluated."
    if best is not None:
        share = best.validation_top1 if best.validation_map is None else best.validation_map
        says = f"The build keeps epoch {best.number} of {best.phase} (ringed): {(share or 0.0) * 100:.1f} %."
    spec = _curve_spec(judged, "top1", f"{name} on the validation split, %", name)
    return (loss, replace(loss, id="validation-accuracy", title="Accuracy during training", says=says, spec=spec))


def _metric(history: History) -> str:
    """The metric that ranks epochs."""
    return "mAP" if any(epoch.validation_map is not None for phase in history.phases for epoch in phase.epochs) else "top-1"


def _epoch_row(count: int, phase: str, epoch: EpochFacts, history: History) -> dict[str, Any]:
    best = history.best
    share = epoch.validation_top1 if epoch.validation_map is None else epoch.validation_map
    top1 = None if share is None else share * 100
    percent = None if top1 is None else f"{top1:.2f} %"
    return {
        "count": count, "phase": phase, "loss": epoch.train_loss, "top1": top1,
        "best": best is not None and (best.phase, best.epoch) == (phase, epoch.epoch),
        "epoch": f"{epoch.number} of {phase}", "loss, training": f"{epoch.train_loss:.4f}",
        f"{_metric(history)}, validation": percent or figures.NONE, "judged": percent or "not evaluated: smaller images",
        "resolution": f"{epoch.resolution_px} px", "px": str(epoch.resolution_px),
        "learning rate": f"{epoch.learning_rate:.2g}", "rate": f"{epoch.learning_rate:.3g}",
    }  # fmt: skip


def _curve_spec(rows: Sequence[dict[str, Any]], field: str, title: str, name: str) -> dict[str, Any]:
    epoch = alt.Axis(tickMinStep=1, tickCount=8, grid=False)
    base = alt.Chart(vega.chart_data(list(rows))).encode(
        x=alt.X("count:Q", title="epoch", axis=epoch, scale=alt.Scale(zero=False, padding=14)),
        y=alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False, padding=14), axis=alt.Axis(tickCount=5)),
    )
    legend = alt.Legend() if len({row["phase"] for row in rows}) > 1 else None
    line = base.mark_line(strokeWidth=2, color="var(--accent)", aria=False).encode(detail=alt.Detail("phase:N"))
    points = base.mark_point(filled=True, size=46, color="var(--accent)", opacity=1, aria=False).encode(
        tooltip=vega.tips("epoch", "loss, training", f"{name}, validation", "resolution", "learning rate"),
        shape=alt.Shape("phase:N", title="phase", legend=legend),
    )
    ring = base.transform_filter("datum.best").mark_point(size=170, color="var(--ink)", strokeWidth=1.5, opacity=1, aria=False)
    return vega.specification(line, points, *([] if field == "loss" else [ring]), height=CURVE_PX)
