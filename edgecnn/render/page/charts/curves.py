"""Training curves: loss, accuracy and learning rate of each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MEASURED, Figure, Source, tabled
from edgecnn.training.history import EpochFacts, History

HEIGHT_PX = 220
_SOURCE = Source(MEASURED, "recorded during training; accuracy on the validation split")


def _columns(name: str) -> dict[str, str]:
    return {
        "epoch": "epoch", "loss": "loss, training", f"{name} on validation": "judged", "learning rate": "rate",
        "resolution, px": "px",
    }  # fmt: skip


def curves(history: History) -> tuple[Figure, ...]:
    """Training loss, and accuracy on the validation split; empty without epochs."""
    epochs = [(phase.name, epoch) for phase in history.phases for epoch in phase.epochs]
    if not epochs:
        return ()
    rows = [_row(count, phase, epoch, history) for count, (phase, epoch) in enumerate(epochs, start=1)]
    judged, name = [row for row in rows if row["top1"] is not None], _metric(history)
    loss = Figure(
        id="loss",
        title="Training loss",
        says=f"From {epochs[0][1].train_loss:.3f} to {epochs[-1][1].train_loss:.3f} in {len(epochs)} epochs; {history.stopped}.",
        sources=(_SOURCE,),
        spec=_spec(rows, "loss", "loss on the training images", name),
        table=tabled("Training by epoch", _columns(name), rows),
        half=True,
    )
    if not judged:
        return (loss,)
    best, says = history.best, "No epoch was evaluated."
    if best is not None:
        share = best.validation_top1 if best.validation_map is None else best.validation_map
        says = f"The build keeps epoch {best.number} of {best.phase} (ringed): {(share or 0.0) * 100:.1f} %."
    spec = _spec(judged, "top1", f"{name} on the validation split, %", name)
    return (loss, replace(loss, id="validation-accuracy", title="Accuracy during training", says=says, spec=spec))


def _metric(history: History) -> str:
    """The metric that ranks epochs."""
    return "mAP" if any(epoch.validation_map is not None for phase in history.phases for epoch in phase.epochs) else "top-1"


def _row(count: int, phase: str, epoch: EpochFacts, history: History) -> dict[str, Any]:
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


def _spec(rows: Sequence[dict[str, Any]], field: str, title: str, name: str) -> dict[str, Any]:
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
    return vega.specification(line, points, *([] if field == "loss" else [ring]), height=HEIGHT_PX)
