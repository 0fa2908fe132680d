"""The frontier of a search inside budgets: multiply-adds against parameters and against memory, the budgets as lines."""

from __future__ import annotations

from typing import Any

import altair as alt

from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, Mark, Source, Table
from edgecnn.render.page.document import document
from edgecnn.render.page.frontier_chart import HEIGHT_PX, PANELS, PARAMETERS, Panel, budget_lines, chart_layers, near, scale_text
from edgecnn.render.screens.studies import MIB, limit_text, search_lines
from edgecnn.studies.facts import BudgetName, ScaleSearch

TEMPLATE = "scale.html.j2"
PICTURE_WIDTH_PX, KEY_LINE_PX = 900, 20
COUNTED = Mark("counted", "▣", "added up from the layers' shapes; nothing ran")
SIGNS = "Numbers are the frontier, dots are others inside every budget, rings are outside of one."
_KEY_AT = (0, 40, 330, 470, 600, 720)


def frontier_page(found: ScaleSearch) -> str:
    """The whole file as text, to be written in UTF-8."""
    figures = frontier_figures(found)
    return document(
        TEMPLATE,
        figures,
        figures=figures,
        found=found,
        said=search_lines(found),
        limits=_limits(found),
    )


def frontier_figures(found: ScaleSearch) -> list[Figure]:
    """A chart of parameters and one of memory."""
    far = len(found.others) - len(near(found))
    return [
        Figure(
            id=panel.id,
            title=panel.title,
            says=_says(found, panel),
            sources=(Source(COUNTED, "for one image in float32, with the head that the network was published with"),),
            spec=vega.specification(*chart_layers(found, panel), height=HEIGHT_PX),
            table=Table(caption="The frontier, best first", columns=("number", *COLUMNS[1:]), rows=_cells(found)),
            notes=(*_beyond(found, panel), *([f"Left out, because far from the best: {far} counted."] if far else [])),
        )
        for panel in PANELS
    ]


def frontier_picture(found: ScaleSearch) -> dict[str, Any]:
    """Vega-Lite of both charts and the key of their numbers, one above the other, at a width of its own."""
    drawn = [
        alt.layer(*chart_layers(found, panel)).properties(width=PICTURE_WIDTH_PX, height=HEIGHT_PX, title=_title(panel.title))
        for panel in PANELS
    ]
    beyond = [note for panel in PANELS for note in _beyond(found, panel)]
    said = [*beyond, f"{SIGNS} Counted; nothing was measured."]
    title = _title(f"{found.arch} inside {_limits(found)}").copy()
    title.subtitle, title.fontSize, title.offset = said, 16, 16
    chart: dict[str, Any] = alt.vconcat(*drawn, _key(found), title=title, spacing=34).to_dict(validate=False)
    return chart


# ---------------------------------------------------------------------------------------------------------------------


def _title(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, anchor="start", frame="group", fontSize=13, offset=12)


def _limits(found: ScaleSearch) -> str:
    return ", ".join(limit_text(name, most) for name, most in found.budgets.items())


def _says(found: ScaleSearch, panel: Panel) -> str:
    best = found.best
    budget = panel.budget(found)
    inside = "no budget" if budget is None else f"the budget of {budget:,.1f}"
    unit = "million parameters" if panel is PARAMETERS else "MiB"
    return (
        f"The best (number 1, a diamond) is {scale_text(best)}: {best.macs / 1e6:,.1f} million multiply-adds and "
        f"{panel.of(best):,.1f} {unit}, with {inside}. {len(found.frontier)} networks are on the frontier. {SIGNS}"
    )


def _beyond(found: ScaleSearch, panel: Panel) -> list[str]:
    """Budgets without a line, those of multiply-adds with the first chart."""
    names: tuple[BudgetName, ...] = ("macs", "params") if panel is PARAMETERS else ("memory",)
    lines = budget_lines(found, panel)
    absent = [name for name in names if name in found.budgets and name not in lines]
    return [f"{limit_text(name, found.budgets[name])} is far beyond what is drawn" for name in absent]


COLUMNS = ("", "scale", "multiply-adds", "parameters", "memory", "apart, φ")


def _cells(found: ScaleSearch) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            str(number), scale_text(point) + (" (best)" if number == 1 else ""), f"{point.macs:,}", f"{point.parameters:,}",
            f"{point.memory_bytes / MIB:.1f} MiB", f"{point.imbalance:.2f}",
        )
        for number, point in enumerate(found.frontier, start=1)
    )  # fmt: skip


def _key(found: ScaleSearch) -> alt.LayerChart | alt.FacetChart:
    """The frontier's numbers as text, since a picture has no table beside it."""
    lines = [COLUMNS, *_cells(found)]
    cells = [
        {"text": cell, "x": at, "y": KEY_LINE_PX * line, "weight": 600 if line == 0 else 400}
        for line, row in enumerate(lines)
        for at, cell in zip(_KEY_AT, row, strict=True)
    ]
    height = KEY_LINE_PX * len(lines)
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, PICTURE_WIDTH_PX]))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0]))
    layers = [
        alt.Chart(vega.chart_data([cell for cell in cells if cell["weight"] == weight]))
        .mark_text(align="left", baseline="middle", fontSize=12, fontWeight=weight)
        .encode(text="text:N", x=x, y=y)
        for weight in (600, 400)
    ]
    return alt.layer(*layers).properties(width=PICTURE_WIDTH_PX, height=height)
