"""The page of networks for devices: published accuracy against predicted latency with its interval, one chart per device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.errors.wording import bounds_text, counted
from edgecnn.render.figures import forecast_notes, predicted
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MISSING, PREDICTED, PUBLISHED, Figure, Source, Table, drawn
from edgecnn.render.page.charts.vega import ANCHORS, SIDES, Anchor, Extent, Spot, front_of, legible_anchors
from edgecnn.render.page.document import document
from edgecnn.render.screens.catalogue import FOR_DEVICE, cells_for, lines_for, percent
from edgecnn.studies.networks_for import NetworkOnDevice, NetworksFor, NetworksOnDevice
from edgecnn.values.forecast import MARK

TEMPLATE = "networks.html.j2"
HEIGHT_PX = 420
FILL = {"yes": "var(--build-1)", "unsure": "transparent", "no": "var(--line)"}
STROKE = {"yes": "var(--build-1)", "unsure": "var(--build-1)", "no": "var(--soft)"}
"""The stroke of a point by whether its network fits."""


def networks_page(study: NetworksFor) -> str:
    """Return the page as text, for UTF-8."""
    shown = [device_figure(number, device, study) for number, device in enumerate(study.devices)]
    figures = drawn(shown)
    undrawn = [device for device, figure in zip(study.devices, shown, strict=True) if figure is None]
    notes = [f"{device.device}: {line}" for device in undrawn for line in lines_for(device, study)]
    return document(TEMPLATE, figures, found=study, figures=figures, notes=notes, limits=bounds_text(study.within))


def device_figure(number: int, device: NetworksOnDevice, study: NetworksFor) -> Figure | None:
    """Every network that has both figures; None where none has."""
    points = [row for row in device.networks if row.accuracy_top1 is not None]
    if not points:
        return None
    front = front_of(points, lambda row: row.forecast.p50_ms.estimate, lambda row: row.accuracy_top1 or 0.0)
    names = ", ".join(row.name for row in front)
    without = sum(map(len, device.without_forecast.values()))
    return Figure(
        id=f"networks-{number}",
        title=f"Published accuracy against predicted latency: {device.device}",
        says=f"{len(points)} networks. Filled: fits; hollow: the interval contains the bound; grey: does not fit. "
        f"On the front (dashed), from the fastest: {names}.",
        sources=(
            Source(PUBLISHED, "top-1 of the float network on ImageNet-1k"),
            *(Source(PREDICTED, line.removeprefix(f"{MARK} ")) for line in forecast_notes(row.forecast for row in points)),
            *((Source(MISSING, f"{counted(without, 'network')} without a forecast, listed below"),) if without else ()),
        ),
        spec=_spec(points, front, study.within.get("p50_ms")),
        table=Table(f"Networks on {device.device}", FOR_DEVICE, tuple(cells_for(row) for row in points)),
        notes=tuple(lines_for(device, study)),
    )


def _spec(points: Sequence[NetworkOnDevice], front: Sequence[NetworkOnDevice], bound_ms: float | None) -> dict[str, Any]:
    behind = [row for row in points if row not in front]
    rows = [_row(row, front) for row in (*front, *behind)]
    ends = [row[end] for row in rows for end in ("low", "high")] + ([] if bound_ms is None else [bound_ms])
    across = Extent(min(ends) / 1.1, max(ends) * 1.1, logarithmic=True)
    up = Extent(min(row["y"] for row in rows) - 2, min(100.0, max(row["y"] for row in rows) + 2))
    spots = [Spot(across.share(row["x"]), up.share(row["y"]), row["network"]) for row in rows]
    for row, anchor in zip(rows, legible_anchors(spots, HEIGHT_PX), strict=True):
        row["anchor"] = anchor
    x = alt.X("x:Q", title="predicted p50 in ms, logarithmic", scale=across.scale(), axis=alt.Axis(tickCount=6))
    y = alt.Y("y:Q", title="published top-1, %", scale=up.scale())
    base = alt.Chart(vega.chart_data(rows)).encode(x=x, y=y)
    intervals = base.mark_rule(color="var(--soft)", opacity=0.4, aria=False).encode(
        x=alt.X("low:Q", scale=across.scale()), x2=vega.HIGH
    )
    marks = base.mark_point(shape="triangle-up", strokeWidth=1.4, size=90, opacity=1).encode(
        fill=alt.Fill("fill:N", scale=None, legend=None),
        stroke=alt.Stroke("stroke:N", scale=None, legend=None),
        tooltip=vega.tips("network", "top-1", "p50", "runs in", "fits", "weights here"),
    )
    bound = [] if bound_ms is None else [_bound(bound_ms)]
    on_front = [row for row in rows if row["front"]]
    layers = (*bound, vega.front_line(on_front), intervals, marks, *(_names(base, anchor) for anchor in ANCHORS))
    return vega.specification(*layers, height=HEIGHT_PX)


def _bound(bound_ms: float) -> alt.Chart:
    at = alt.Chart(vega.chart_data([{"at": bound_ms}])).mark_rule(strokeDash=[2, 3], color="var(--ink)", aria=False)
    drawn_bound: alt.Chart = at.encode(x=alt.X("at:Q"))
    return drawn_bound


def _names(base: alt.Chart, anchor: Anchor) -> alt.Chart:
    right, down = SIDES[anchor]
    text = base.transform_filter(alt.datum.anchor == anchor).mark_text(align=anchor, dx=right, dy=down, fontSize=11, aria=False)
    named: alt.Chart = text.encode(text=alt.Text("network:N"), opacity=vega.opacity("width < 520", 0, 1))
    return named


def _row(row: NetworkOnDevice, front: Sequence[NetworkOnDevice]) -> dict[str, Any]:
    p50, forecast = row.forecast.p50_ms, row.forecast
    return {
        "x": p50.estimate, "low": p50.low, "high": p50.high, "y": 100 * (row.accuracy_top1 or 0.0), "fill": FILL[row.fits],
        "stroke": STROKE[row.fits], "front": row in front, "network": row.name, "top-1": f"{percent(row.accuracy_top1)} %",
        "p50": f"{predicted(forecast)} ms", "runs in": f"{forecast.runtime.value} {forecast.precision.value}", "fits": row.fits,
        "weights here": "yes" if row.weights_here else "no",
    }  # fmt: skip
