"""The page of the catalogue: published accuracy against multiply-adds. The area of a point shows its parameters.

Drawn as in A. Canziani, A. Paszke, E. Culurciello, "An Analysis of Deep Neural Network Models for Practical Applications"
(arXiv:1605.07678, Figure 2) and S. Bianco, R. Cadene, L. Celona, P. Napoletano, "Benchmark Analysis of Representative Deep Neural
Network Architectures" (IEEE Access 2018, arXiv:1810.00736, Figure 1), with the user's own builds beside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.render.figures import percent_interval
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MEASURED, PUBLISHED, Figure, Source, Table
from edgecnn.render.page.charts.vega import ANCHORS, SIDES, Anchor, Extent, Spot, front_of, legible_anchors
from edgecnn.render.page.document import document
from edgecnn.render.screens.catalogue import macs_text, percent
from edgecnn.results.finished import OwnBuild
from edgecnn.values.arch import ListedArch

TEMPLATE = "catalogue.html.j2"
HEIGHT_PX = 560
AREA_PER_MILLION = 14.0
"""Square pixels of a point per million parameters."""
AREA_LEAST = 40.0


def catalogue_page(rows: Sequence[ListedArch], own: Sequence[OwnBuild]) -> str:
    """Return the page as text, for UTF-8."""
    figure = published_figure(rows, own)
    unpublished = [row.name for row in rows if row.accuracy_top1 is None]
    return document(
        TEMPLATE,
        [figure],
        figure=figure,
        rows=rows,
        own=own,
        unpublished=unpublished,
    )


def published_figure(rows: Sequence[ListedArch], own: Sequence[OwnBuild]) -> Figure:
    """Accuracy, multiply-adds and parameters of every network with a published figure, and of the builds of the user."""
    points = [row for row in rows if row.accuracy_top1 is not None]
    front = front_of(points, lambda row: row.macs, lambda row: row.accuracy_top1 or 0.0)
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
        spec=_spec(points, front, own),
        table=_table(rows, own),
        notes=tuple(notes),
    )


def _spec(points: Sequence[ListedArch], front: Sequence[ListedArch], own: Sequence[OwnBuild]) -> dict[str, Any]:
    behind = [row for row in points if row not in front]
    every = [*(_own_row(build) for build in own), *(_row(row) for row in (*front, *behind))]
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
    tips = vega.tips("name", "year", "top-1", "parameters", "work", "from")
    return vega.specification(
        vega.front_line([_row(row) for row in front], "macs", "top1"),
        marks.encode(shape=vega.SHAPE, size=vega.AREA, color=vega.COLOUR, tooltip=tips),
        *(_names(base, anchor) for anchor in ANCHORS),
        height=HEIGHT_PX,
    )


def _names(base: alt.Chart, anchor: Anchor) -> alt.Chart:
    right, down = SIDES[anchor]
    text = base.transform_filter(alt.datum.anchor == anchor).mark_text(align=anchor, dx=right, dy=down, fontSize=11, aria=False)
    named: alt.Chart = text.encode(text=alt.Text("name:N"), opacity=vega.opacity("width < 520", 0, 1))
    return named


def _row(row: ListedArch) -> dict[str, Any]:
    return {
        "name": row.name, "year": str(row.year), "macs": row.macs / 1e6, "top1": 100 * (row.accuracy_top1 or math.nan),
        "top-1": f"{percent(row.accuracy_top1)} %", "parameters": f"{row.parameters:,}", "work": macs_text(row.macs),
        "from": f"published: {row.accuracy_source}", "shape": "circle", "colour": "var(--build-1)",
        "area": max(AREA_LEAST, AREA_PER_MILLION * row.parameters / 1e6),
    }  # fmt: skip


def _own_row(own: OwnBuild) -> dict[str, Any]:
    return {
        "name": f"your {own.arch}, {own.resolution_px} px", "year": "", "macs": own.macs / 1e6,
        "top1": 100 * own.accuracy_top1.estimate, "top-1": percent_interval(own.accuracy_top1),
        "parameters": f"{own.parameters:,}", "work": macs_text(own.macs), "from": f"measured: {own.candidate}, {own.folder}",
        "shape": "square", "colour": "var(--build-2)",
        "area": max(AREA_LEAST, AREA_PER_MILLION * own.parameters / 1e6),
    }  # fmt: skip


def _table(rows: Sequence[ListedArch], own: Sequence[OwnBuild]) -> Table:
    published = tuple(
        (
            row.name, str(row.year), f"{row.parameters:,}", macs_text(row.macs), str(row.depth), str(row.resolution_px),
            f"{percent(row.accuracy_top1)} %" if row.accuracy_top1 else "no published figure",
            f"{percent(row.accuracy_top5)} %" if row.accuracy_top5 else "no published figure",
            row.accuracy_source or "",
        )
        for row in rows
    )  # fmt: skip
    mine = tuple(
        (
            f"your {build.arch}", "", f"{build.parameters:,}", macs_text(build.macs), "", str(build.resolution_px),
            percent_interval(build.accuracy_top1), "", f"measured on {build.data}: {build.candidate} in {build.folder}",
        )
        for build in own
    )  # fmt: skip
    return Table(
        caption="Every network of the catalogue, and your builds",
        columns=("network", "year", "parameters", "multiply-adds", "depth", "px", "top-1", "top-5", "source"),
        rows=(*mine, *published),
    )
