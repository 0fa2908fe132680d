"""The page of a sweep: networks × devices, accuracy against latency for each device, and open builds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, Figure, Source, Table, drawn
from edgecnn.render.page.document import document
from edgecnn.render.screens.sweep import COLUMNS, fleet_lines, row_of, standing_of, unlearned_lines, verdict_caveat
from edgecnn.sweeps.fleet import FleetCell, FleetReport

TEMPLATE = "fleet.html.j2"
HEIGHT_PX = 300
_TABLE_COLUMNS = ("build", "accuracy (95 %)", "p50 ms", "standing")


def fleet_page(fleet: FleetReport) -> str:
    """Return the page as text, for UTF-8."""
    shown = drawn(_front(number, device.device, fleet.cells) for number, device in enumerate(fleet.devices))
    rows = [(cell, row_of(cell), verdict_caveat(cell)) for cell in fleet.cells]
    result, *notes = fleet_lines(fleet)
    return document(
        TEMPLATE,
        shown,
        found=fleet,
        figures=shown,
        columns=COLUMNS,
        rows=rows,
        lead=[*unlearned_lines(fleet), result],
        notes=notes,
    )


def _front(number: int, device: str, cells: Sequence[FleetCell]) -> Figure | None:
    """Accuracy and latency of each build with their intervals; builds on the front are filled."""
    own = [
        cell for cell in cells if cell.device == device and cell.state == "finished" and None not in (cell.accuracy, cell.p50_ms)
    ]
    if not own:
        return None
    rows = [_point(cell) for cell in own]
    x = alt.X("x:Q", title="p50 in ms", scale=alt.Scale(zero=False, nice=True))
    y = alt.Y("y:Q", title="accuracy on the test split, %", scale=alt.Scale(zero=False))
    points = vega.crosses(rows, x, y, vega.tips("build", "accuracy", "p50", "standing"))
    return Figure(
        id=f"front-{number}",
        title=f"Accuracy against latency: {device}",
        says="Further left is faster, further up is more accurate. Filled: no other build for this device with the same test "
        "images is faster and at least as accurate. Times come from separate races: overlapping intervals show no difference.",
        sources=_sources(own),
        spec=vega.specification(*points, height=HEIGHT_PX),
        table=Table(
            caption=f"Builds for {device}",
            columns=_TABLE_COLUMNS,
            rows=tuple((row["build"], row["accuracy"], row["p50"], row["standing"]) for row in rows),
        ),
    )


def _point(cell: FleetCell) -> dict[str, Any]:
    accuracy, p50 = cell.accuracy, cell.p50_ms
    if accuracy is None or p50 is None:
        raise ValueError(f"{cell.name} has no point")
    return {
        "x": p50.estimate, "low": p50.low, "high": p50.high,
        "y": 100 * accuracy.estimate, "lower": 100 * accuracy.low, "upper": 100 * accuracy.high,
        "fill": "var(--build-1)" if cell.is_on_front else "transparent", "area": 140, "front": cell.is_on_front,
        "build": cell.variant, "accuracy": figures.percent_interval(accuracy), "p50": figures.milliseconds(p50),
        "standing": "on the front" if cell.is_on_front else standing_of(cell),
    }  # fmt: skip


def _sources(own: Sequence[FleetCell]) -> tuple[Source, ...]:
    sources = dict.fromkeys(
        (MARK_BY_FIDELITY[cell.facts.latency.fidelity], cell.facts.latency.machine)
        for cell in own
        if cell.facts is not None and cell.facts.latency is not None
    )
    return tuple(Source(mark, f"latency on {machine}") for mark, machine in sources)
