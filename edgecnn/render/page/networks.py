"""The pages of networks: published accuracy against multiply-adds, and against the predicted latency on each device.

Points are drawn as in A. Canziani, A. Paszke, E. Culurciello, "An Analysis of Deep Neural Network Models for Practical
Applications" (arXiv:1605.07678, Figure 2) and S. Bianco, R. Cadene, L. Celona, P. Napoletano, "Benchmark Analysis of
Representative Deep Neural Network Architectures" (IEEE Access 2018, arXiv:1810.00736, Figure 1): the area of a point shows the
parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.errors.wording import counted
from edgecnn.judging.metrics import budgets_text
from edgecnn.render.figures import forecast_notes, multiply_adds, percent_interval, predicted
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MEASURED, MISSING, PREDICTED, PUBLISHED, Figure, Source, Table, drop_missing
from edgecnn.render.page.charts.vega import ANCHORS, SIDES, Anchor, Extent, Spot, legible_anchors, pareto_front
from edgecnn.render.page.document import document
from edgecnn.render.screens.networks import device_columns, device_lines, device_row, percent
from edgecnn.results.finished import OwnBuild
from edgecnn.studies.networks_for import NetworkOnDevice, NetworksFor, NetworksOnDevice
from edgecnn.values.arch import ListedArch
from edgecnn.values.forecast import MARK

HEIGHT_PX = 560
AREA_PER_MILLION = 14.0
"""Square pixels of a point per million parameters."""
AREA_LEAST = 40.0


def catalogue_page(rows: Sequence[ListedArch], own: Sequence[OwnBuild]) -> str:
    """Return the page as text, for UTF-8."""
    figure = published_figure(rows, own)
    unpublished = [row.name for row in rows if row.accuracy_top1 is None]
    return document(
        "catalogue.html.j2",
        [figure],
        figure=figure,
        rows=rows,
        own=own,
        unpublished=unpublished,
    )


def published_figure(rows: Sequence[ListedArch], own: Sequence[OwnBuild]) -> Figure:
    """Return the chart of every network with a published accuracy, and of the user's builds."""
    points = [row for row in rows if row.accuracy_top1 is not None]
    front = pareto_front(points, lambda row: row.macs, lambda row: row.accuracy_top1 or 0.0)
    names = ", ".join(row.name for row in front)
    sources = [Source(PUBLISHED, "by the page, paper or package in the table, on the validation images of ImageNet-1k")]
    notes = ["The chart names only some of the points that are crowded. Hover over a point for its name; the table has all."]
    if own:
        sources.append(Source(MEASURED, "your builds (squares), each on its own test split"))
        notes.append("Your builds have different images and classes from ImageNet. Compare multiply-adds, but not accuracy.")
    return Figure(
        id="published",
        title="Published accuracy against multiply-adds, area by parameters",
        says=f"{len(points)} networks. On the front (dashed), from the least work: {names}.",
        sources=tuple(sources),
        spec=_catalogue_spec(points, front, own),
        table=_catalogue_table(rows, own),
        notes=tuple(notes),
    )


def _catalogue_spec(points: Sequence[ListedArch], front: Sequence[ListedArch], own: Sequence[OwnBuild]) -> dict[str, Any]:
    behind = [row for row in points if row not in front]
    every = [*(_own_point(build) for build in own), *(_catalogue_point(row) for row in (*front, *behind))]
    across = Extent(min(r["macs"] for r in every) / 1.5, max(r["macs"] for r in every) * 1.5, logarithmic=True)
    up = Extent(min(r["top1"] for r in every) - 2, min(100.0, max(r["top1"] for r in every) + 2))
    spots = [Spot(across.share(r["macs"]), up.share(r["top1"]), r["name"]) for r in every]
    for row, anchor in zip(every, legible_anchors(spots, HEIGHT_PX), strict=True):
        row["anchor"] = anchor
    x = alt.X(
        "macs:Q", title="million multiply-adds for one image, logarithmic", scale=across.scale(), axis=alt.Axis(tickCount=6)
    )
    y = alt.Y("top1:Q", title="top-1, %", scale=up.scale())
    base = alt.Chart(vega.chart_data(every)).encode(x=x, y=y)
    marks = base.mark_point(filled=True, fillOpacity=0.55, stroke="var(--bg)", strokeWidth=1)
    tips = vega.tooltips("name", "year", "top-1", "parameters", "work", "from")
    return vega.layered_spec(
        vega.front_line([_catalogue_point(row) for row in front], "macs", "top1"),
        marks.encode(shape=vega.SHAPE, size=vega.AREA, color=vega.COLOUR, tooltip=tips),
        *(_name_labels(base, anchor, "name") for anchor in ANCHORS),
        height=HEIGHT_PX,
    )


def _name_labels(base: alt.Chart, anchor: Anchor, field: str) -> alt.Chart:
    right, down = SIDES[anchor]
    text = base.transform_filter(alt.datum.anchor == anchor).mark_text(align=anchor, dx=right, dy=down, fontSize=11, aria=False)
    named: alt.Chart = text.encode(text=alt.Text(f"{field}:N"), opacity=vega.opacity("width < 520", 0, 1))
    return named


def _catalogue_point(row: ListedArch) -> dict[str, Any]:
    return {
        "name": row.name, "year": str(row.year), "macs": row.macs / 1e6, "top1": 100 * (row.accuracy_top1 or math.nan),
        "top-1": f"{percent(row.accuracy_top1)} %", "parameters": f"{row.parameters:,}", "work": multiply_adds(row.macs),
        "from": f"published: {row.accuracy_source}", "shape": "circle", "colour": "var(--build-1)",
        "area": max(AREA_LEAST, AREA_PER_MILLION * row.parameters / 1e6),
    }  # fmt: skip


def _own_point(own: OwnBuild) -> dict[str, Any]:
    return {
        "name": f"your {own.arch}, {own.resolution_px} px", "year": "", "macs": own.macs / 1e6,
        "top1": 100 * own.accuracy_top1.estimate, "top-1": percent_interval(own.accuracy_top1),
        "parameters": f"{own.parameters:,}", "work": multiply_adds(own.macs), "from": f"measured: {own.candidate}, {own.folder}",
        "shape": "square", "colour": "var(--build-2)",
        "area": max(AREA_LEAST, AREA_PER_MILLION * own.parameters / 1e6),
    }  # fmt: skip


def _catalogue_table(rows: Sequence[ListedArch], own: Sequence[OwnBuild]) -> Table:
    published = tuple(
        (
            row.name, str(row.year), f"{row.parameters:,}", multiply_adds(row.macs), str(row.depth), str(row.resolution_px),
            f"{percent(row.accuracy_top1)} %" if row.accuracy_top1 else "no published figure",
            f"{percent(row.accuracy_top5)} %" if row.accuracy_top5 else "no published figure",
            row.accuracy_source or "",
        )
        for row in rows
    )  # fmt: skip
    mine = tuple(
        (
            f"your {build.arch}", "", f"{build.parameters:,}", multiply_adds(build.macs), "", str(build.resolution_px),
            percent_interval(build.accuracy_top1), "", f"measured on {build.data}: {build.candidate} in {build.folder}",
        )
        for build in own
    )  # fmt: skip
    return Table(
        caption="Every network of the catalogue, and your builds",
        columns=("network", "year", "parameters", "multiply-adds", "depth", "px", "top-1", "top-5", "source"),
        rows=(*mine, *published),
    )


DEVICE_HEIGHT_PX = 420
FILL = {"yes": "var(--build-1)", "unsure": "transparent", "no": "var(--line)"}
STROKE = {"yes": "var(--build-1)", "unsure": "var(--build-1)", "no": "var(--soft)"}
"""The stroke of a point by whether its network fits."""


def networks_page(study: NetworksFor) -> str:
    """Return the page as text, for UTF-8."""
    shown = [device_figure(number, device, study) for number, device in enumerate(study.devices)]
    figures = drop_missing(shown)
    undrawn = [device for device, figure in zip(study.devices, shown, strict=True) if figure is None]
    notes = [f"{device.device}: {line}" for device in undrawn for line in device_lines(device, study)]
    return document("networks.html.j2", figures, found=study, figures=figures, notes=notes, limits=budgets_text(study.stated))


def device_figure(number: int, device: NetworksOnDevice, study: NetworksFor) -> Figure | None:
    """Return the chart of every network with both figures; None if no network has both."""
    points = [row for row in device.networks if row.accuracy_top1 is not None]
    if not points:
        return None
    front = pareto_front(points, lambda row: row.forecast.p50_ms.estimate, lambda row: row.accuracy_top1 or 0.0)
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
        spec=_device_spec(points, front, study.within.get("p50_ms")),
        table=Table(f"Networks on {device.device}", device_columns(study), tuple(device_row(row, study) for row in points)),
        notes=tuple(device_lines(device, study)),
    )


def _device_spec(points: Sequence[NetworkOnDevice], front: Sequence[NetworkOnDevice], bound_ms: float | None) -> dict[str, Any]:
    behind = [row for row in points if row not in front]
    rows = [_device_point(row, front) for row in (*front, *behind)]
    ends = [row[end] for row in rows for end in ("low", "high")] + ([] if bound_ms is None else [bound_ms])
    across = Extent(min(ends) / 1.1, max(ends) * 1.1, logarithmic=True)
    up = Extent(min(row["y"] for row in rows) - 2, min(100.0, max(row["y"] for row in rows) + 2))
    spots = [Spot(across.share(row["x"]), up.share(row["y"]), row["network"]) for row in rows]
    for row, anchor in zip(rows, legible_anchors(spots, DEVICE_HEIGHT_PX), strict=True):
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
        tooltip=vega.tooltips("network", "top-1", "p50", "kit", "fits", "weights here"),
    )
    bound = []
    if bound_ms is not None:
        line = alt.Chart(vega.chart_data([{"at": bound_ms}])).mark_rule(strokeDash=[2, 3], color="var(--ink)", aria=False)
        bound.append(line.encode(x=alt.X("at:Q")))
    on_front = [row for row in rows if row["front"]]
    layers = (*bound, vega.front_line(on_front), intervals, marks, *(_name_labels(base, anchor, "network") for anchor in ANCHORS))
    return vega.layered_spec(*layers, height=DEVICE_HEIGHT_PX)


def _device_point(row: NetworkOnDevice, front: Sequence[NetworkOnDevice]) -> dict[str, Any]:
    p50, forecast = row.forecast.p50_ms, row.forecast
    return {
        "x": p50.estimate, "low": p50.low, "high": p50.high, "y": 100 * (row.accuracy_top1 or 0.0), "fill": FILL[row.fits],
        "stroke": STROKE[row.fits], "front": row in front, "network": row.name, "top-1": f"{percent(row.accuracy_top1)} %",
        "p50": f"{predicted(forecast)} ms", "kit": row.kit, "fits": row.fits,
        "weights here": "yes" if row.weights_here else "no",
    }  # fmt: skip
