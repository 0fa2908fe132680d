"""How training went, epoch by epoch, from what it wrote down of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MEASURED, Figure, Source, Table
from edgecnn.training.history import EpochFacts, History

HEIGHT_PX = 220
_SOURCE = Source(MEASURED, "written down while training; accuracy is on the validation split, never on the test split")


def curves(history: History) -> tuple[Figure, ...]:
    """Loss and accuracy on the validation split; nothing where no epoch was asked for."""
    epochs = [(phase.name, epoch) for phase in history.phases for epoch in phase.epochs]
    if not epochs:
        return ()
    rows = [_row(count, phase, epoch, history) for count, (phase, epoch) in enumerate(epochs, start=1)]
    loss = Figure(
        id="loss",
        title="Training loss",
        says=f"From {epochs[0][1].train_loss:.3f} to {epochs[-1][1].train_loss:.3f} in {len(epochs)} epochs; {history.stopped}.",
        sources=(_SOURCE,),
        spec=_spec(rows, "loss", "loss on the training images"),
        table=_table(epochs),
        half=True,
    )
    judged = [row for row in rows if row["top1"] is not None]
    if not judged:
        return (loss,)
    return (
        loss,
        Figure(
            id="validation-accuracy",
            title="Accuracy while training",
            says=_best(history),
            sources=(_SOURCE,),
            spec=_spec(judged, "top1", "top-1 on the validation split, %"),
            table=_table(epochs),
            half=True,
        ),
    )


def _best(history: History) -> str:
    best = history.best
    if best is None:
        return "No epoch was judged."
    return f"The weights are those of epoch {best.epoch + 1} of {best.phase}, at {best.validation_top1 * 100:.1f} % (ringed)."


def _row(count: int, phase: str, epoch: EpochFacts, history: History) -> dict[str, Any]:
    best = history.best
    top1 = None if epoch.validation_top1 is None else epoch.validation_top1 * 100
    return {
        "count": count, "phase": phase, "loss": epoch.train_loss, "top1": top1,
        "best": best is not None and (best.phase, best.epoch) == (phase, epoch.epoch),
        "epoch": f"{epoch.epoch + 1} of {phase}", "loss, training": f"{epoch.train_loss:.4f}",
        "top-1, validation": figures.NONE if top1 is None else f"{top1:.2f} %", "resolution": f"{epoch.resolution_px} px",
        "learning rate": f"{epoch.learning_rate:.2g}",
    }  # fmt: skip


def _spec(rows: Sequence[dict[str, Any]], field: str, title: str) -> dict[str, Any]:
    names = ("epoch", "loss, training", "top-1, validation", "resolution", "learning rate")
    base = alt.Chart(vega.chart_data(list(rows))).encode(
        x=alt.X(
            "count:Q",
            title="epoch",
            axis=alt.Axis(tickMinStep=1, tickCount=8, grid=False),
            scale=alt.Scale(zero=False, padding=14),
        ),
        y=alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False, padding=14), axis=alt.Axis(tickCount=5)),
    )
    line = base.mark_line(strokeWidth=2, color="var(--accent)", aria=False).encode(detail="phase:N")
    points = base.mark_point(filled=True, size=46, color="var(--accent)", opacity=1, aria=False).encode(
        tooltip=vega.tips(*names),
        shape=alt.Shape("phase:N", title="phase", legend=alt.Legend() if len({row["phase"] for row in rows}) > 1 else None),
    )
    if field == "loss":
        return vega.specification(alt.layer(line, points).properties(width="container", height=HEIGHT_PX))
    ring = base.transform_filter("datum.best").mark_point(size=170, color="var(--ink)", strokeWidth=1.5, opacity=1, aria=False)
    return vega.specification(alt.layer(line, points, ring).properties(width="container", height=HEIGHT_PX))


def _table(epochs: Sequence[tuple[str, EpochFacts]]) -> Table:
    rows = tuple(
        (
            f"{epoch.epoch + 1} of {phase}", f"{epoch.train_loss:.4f}",
            "not judged: smaller images" if epoch.validation_top1 is None else f"{epoch.validation_top1 * 100:.2f} %",
            f"{epoch.learning_rate:.3g}", str(epoch.resolution_px),
        )
        for phase, epoch in epochs
    )  # fmt: skip
    columns = ("epoch", "loss", "top-1 on validation", "learning rate", "resolution, px")
    return Table(caption="Training by epoch", columns=columns, rows=rows)
