"""The pages of studies: networks within budgets, and doubted labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from edgecnn.errors.wording import counted
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import COUNTED, Figure, Source, Table
from edgecnn.render.page.charts.vega import Extent, Spot, name_anchors
from edgecnn.render.page.document import document
from edgecnn.render.screens.studies import CLASS_COLUMNS, MIB, class_rows, doubt_lines, doubt_next_lines, limit_text, search_lines
from edgecnn.studies.doubt import SHOWN
from edgecnn.studies.facts import BudgetName, LabelDoubt, ScalePoint, ScaleSearch

PICTURE_WIDTH_PX, KEY_LINE_PX = 900, 20
SIGNS = "Numbers: the frontier. Dots: other networks within every budget. Rings: networks over a budget."
_KEY_AT = (0, 40, 330, 470, 600, 720)
HEIGHT_PX = 330
AROUND = 2.0
"""The charts show networks up to this factor above and below the multiply-adds of the best network."""
REACH = 4.0
"""A budget this factor beyond all points is a note instead of a line, because its line would squeeze the points."""
_SIDES = {"left": (13, 13), "right": (-13, 13), "center": (0, 24)}


@dataclass(frozen=True)
class Panel:
    """The quantity on the vertical axis."""

    id: Literal["params", "memory"]
    title: str
    axis: str

    def of(self, point: ScalePoint) -> float:
        """Return the figure of a network."""
        return point.parameters / 1e6 if self.id == "params" else point.memory_bytes / MIB

    def budget(self, search: ScaleSearch) -> float | None:
        """Return the budget, if one is set."""
        most = search.budgets.get(self.id)
        return None if most is None else most / (1e6 if self.id == "params" else MIB)


PARAMETERS = Panel("params", "Parameters against multiply-adds", "million parameters, logarithmic")
MEMORY = Panel("memory", "Memory against multiply-adds", "memory in MiB (weights and activations), logarithmic")
PANELS = (PARAMETERS, MEMORY)


def frontier_page(search: ScaleSearch) -> str:
    """Return the page as text, for UTF-8."""
    figures = frontier_figures(search)
    result, *notes = search_lines(search)
    return document(
        "scale.html.j2", figures, figures=figures, found=search, lead=[result], notes=notes, limits=_budgets_text(search)
    )


def frontier_figures(search: ScaleSearch) -> list[Figure]:
    """Return a chart of parameters and one of memory."""
    far = len(search.others) - len(_shown_others(search))
    return [
        Figure(
            id=panel.id,
            title=panel.title,
            says=_result_sentence(search, panel),
            sources=(Source(COUNTED, "for one image in float32, with the published head of the network"),),
            spec=vega.layered_spec(*_chart_layers(search, panel), height=HEIGHT_PX),
            table=Table(caption="The frontier, best first", columns=("number", *COLUMNS[1:]), rows=_frontier_rows(search)),
            notes=(
                *_far_budget_notes(search, panel),
                *([f"Not drawn: {counted(far, 'network')} far from the best."] if far else []),
            ),
        )
        for panel in PANELS
    ]


def frontier_picture(search: ScaleSearch) -> dict[str, Any]:
    """Return the Vega-Lite of both charts and the key of their numbers, one above the other, at a fixed width."""
    drawn = [
        alt.layer(*_chart_layers(search, panel)).properties(width=PICTURE_WIDTH_PX, height=HEIGHT_PX, title=_title(panel.title))
        for panel in PANELS
    ]
    beyond = [note for panel in PANELS for note in _far_budget_notes(search, panel)]
    subtitle = [*beyond, f"{SIGNS} Counted; nothing was measured."]
    title = _title(f"{search.arch} inside {_budgets_text(search)}").copy()
    title.subtitle, title.fontSize, title.offset = subtitle, 16, 16
    chart: dict[str, Any] = alt.vconcat(*drawn, _number_key(search), title=title, spacing=34).to_dict(validate=False)
    return chart


def _title(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, anchor="start", frame="group", fontSize=13, offset=12)


def _budgets_text(search: ScaleSearch) -> str:
    return ", ".join(limit_text(name, most) for name, most in search.budgets.items())


def _result_sentence(search: ScaleSearch, panel: Panel) -> str:
    best = search.best
    budget = panel.budget(search)
    limit = "no budget" if budget is None else f"budget {budget:,.1f}"
    unit = "million parameters" if panel is PARAMETERS else "MiB"
    return (
        f"The best network (number 1, a diamond) is {scale_text(best)}: {best.macs / 1e6:,.1f} million multiply-adds and "
        f"{panel.of(best):,.1f} {unit} ({limit}). {len(search.frontier)} networks are on the frontier. {SIGNS}"
    )


def _far_budget_notes(search: ScaleSearch, panel: Panel) -> list[str]:
    """Return notes on budgets without a line. The first chart also has the note on multiply-adds."""
    names: tuple[BudgetName, ...] = ("macs", "params") if panel is PARAMETERS else ("memory",)
    lines = _budget_lines(search, panel)
    absent = [name for name in names if name in search.budgets and name not in lines]
    return [f"{limit_text(name, search.budgets[name])} is far outside the chart" for name in absent]


COLUMNS = ("", "scale", "multiply-adds", "parameters", "memory", "difference φ")


def _frontier_rows(search: ScaleSearch) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            str(number), scale_text(point) + (" (best)" if number == 1 else ""), f"{point.macs:,}", f"{point.parameters:,}",
            f"{point.memory_bytes / MIB:.1f} MiB", f"{point.imbalance:.2f}",
        )
        for number, point in enumerate(search.frontier, start=1)
    )  # fmt: skip


def _number_key(search: ScaleSearch) -> alt.LayerChart | alt.FacetChart:
    """Return the numbers of the frontier as text, because a picture has no table."""
    lines = [COLUMNS, *_frontier_rows(search)]
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
        .encode(text=alt.Text("text:N"), x=x, y=y)
        for weight in (600, 400)
    ]
    return alt.layer(*layers).properties(width=PICTURE_WIDTH_PX, height=height)


def _shown_others(search: ScaleSearch) -> list[ScalePoint]:
    """Return the networks behind the frontier that the charts show."""
    return [point for point in search.others if search.best.macs / AROUND <= point.macs <= search.best.macs * AROUND]


def _budget_lines(search: ScaleSearch, panel: Panel) -> dict[BudgetName, float]:
    """Return the budgets with a line in the chart, in the units of its axes."""
    drawn = [*search.frontier, *_shown_others(search)]
    stated = {
        "macs": (search.budgets.get("macs", 0) / 1e6, max(point.macs for point in drawn) / 1e6),
        panel.id: (panel.budget(search) or 0.0, max(panel.of(point) for point in drawn)),
    }
    return {name: at for name, (at, most) in stated.items() if 0 < at < REACH * most}  # type: ignore[misc]


def _chart_layers(search: ScaleSearch, panel: Panel) -> list[alt.Chart]:
    """Return budgets, other networks and the frontier on one pair of axes."""
    lines = _budget_lines(search, panel)
    rows = _marks(search, panel)
    behind = [_point_row(point, panel) for point in _shown_others(search)]
    across = _axis_extent([row["macs"] for row in (*rows, *behind)], lines.get("macs"))
    up = _axis_extent([row["up"] for row in (*rows, *behind)], lines.get(panel.id))
    marks = (*rows, *rows[1:], *rows[1:], *behind)  # a name that covers two dots is better than one that covers a number
    # Anchors are for names above their points, so the chart is turned over. The budget and the networks over it are above.
    spots = [Spot(across.share(row["macs"]), 1 - up.share(row["up"]), "") for row in marks]
    crossed = [Spot(across.share(lines["macs"]), spots[0].up + 12 / HEIGHT_PX, "")] if "macs" in lines else []
    rows[0]["anchor"] = name_anchors([spots[0]._replace(name=rows[0]["label"]), *spots[1:], *crossed])[0]
    x = alt.X(
        "macs:Q", title="million multiply-adds for one image, logarithmic", scale=across.scale(), axis=alt.Axis(tickCount=6)
    )
    y = alt.Y("up:Q", title=panel.axis, scale=up.scale(), axis=alt.Axis(tickCount=5))
    fill = alt.condition(alt.datum.inside, alt.value("var(--fp32)"), alt.value("transparent"))
    points = alt.Chart(vega.chart_data(behind)).mark_point(size=55, strokeWidth=1.4, stroke="var(--fp32)", opacity=0.6)
    dots = points.encode(x=x, y=y, fill=fill, tooltip=vega.tooltips(*TIPS))
    return [*_budget_marks(lines), dots, *_frontier_marks(rows, x, y, panel)]


def _axis_extent(values: Sequence[float], budget: float | None) -> Extent:
    every = [*values, *([] if budget is None else [budget])]
    room = (max(every) / min(every)) ** 0.08 * 1.02
    return Extent(min(every) / room, max(every) * room, logarithmic=True)


def _marks(search: ScaleSearch, panel: Panel) -> list[dict[str, Any]]:
    """Return one row per position. Scales that round to the same network share a mark."""
    places: dict[tuple[int, int, int], dict[str, Any]] = {}
    for number, point in enumerate(search.frontier, start=1):
        row = places.setdefault((point.macs, point.parameters, point.memory_bytes), {**_point_row(point, panel), "numbers": []})
        row["numbers"].append(number)
    for row in places.values():
        first = row["numbers"][0] == 1
        row["number"] = "·".join(str(number) for number in row.pop("numbers"))
        row["label"] = f"best: {row['scale']}" if first else ""
        row["shape"], row["colour"] = ("diamond", "var(--build-2)") if first else ("circle", "var(--build-1)")
        row["area"] = (620 if first else 330) + 150 * (len(row["number"]) - 1)
    return list(places.values())


def _point_row(point: ScalePoint, panel: Panel) -> dict[str, Any]:
    return {
        "macs": point.macs / 1e6, "up": panel.of(point), "scale": scale_text(point), "inside": point.inside,
        "multiply-adds": f"{point.macs:,}", "parameters": f"{point.parameters:,}",
        "memory": f"{point.memory_bytes / MIB:.1f} MiB", "budgets": "within" if point.inside else "over a budget",
    }  # fmt: skip


def scale_text(point: ScalePoint) -> str:
    """Return depth, width and resolution in words."""
    return f"depth {point.depth:g}, width {point.width:g}, {point.resolution} px"


def _budget_marks(lines: Mapping[BudgetName, float]) -> list[alt.Chart]:
    drawn: list[alt.Chart] = []
    for name, at in lines.items():
        text = f"{'multiply-adds' if name == 'macs' else name} ≤ {at:,.4g}{' MiB' if name == 'memory' else ' M'}"
        base = alt.Chart(vega.chart_data([{"at": at, "text": text}]))
        rule = base.mark_rule(strokeDash=[5, 4], color="var(--FAIL)", strokeWidth=1.4, aria=False)
        is_vertical = name == "macs"  # its text is above the line; the text of a horizontal line is at the left
        align: dict[str, Any] = {"align": "center"} if is_vertical else {"align": "left", "dx": 6, "dy": -3}
        label = base.mark_text(color="var(--FAIL)", aria=False, fontSize=11.5, baseline="bottom", **align)
        position = {"x": "at:Q", "y": alt.value(-5)} if is_vertical else {"y": "at:Q", "x": alt.value(0)}
        drawn += [rule.encode(**{("x" if is_vertical else "y"): "at:Q"}), label.encode(text=alt.Text("text:N"), **position)]
    return drawn


TIPS = ("scale", "multiply-adds", "parameters", "memory", "budgets")


def _frontier_marks(rows: list[dict[str, Any]], x: alt.X, y: alt.Y, panel: Panel) -> list[alt.Chart]:
    """Return marks with their numbers, and the name of the best network. More names would overlap."""
    best, *others = rows
    base = alt.Chart(vega.chart_data([*others, best])).encode(x=x, y=y)
    tips = vega.tooltips("number", *TIPS)
    right, down = _SIDES[best["anchor"]]
    named = base.transform_filter("isValid(datum.anchor)")
    numbers = base.mark_text(fontSize=11, fontWeight=700, color="var(--bg)", aria=False)
    name = named.mark_text(align=best["anchor"], dx=right, dy=down, fontSize=12, fontWeight=600, aria=False)
    marks = base.mark_point(filled=True, opacity=1, stroke="var(--bg)", strokeWidth=1.5)
    return [
        marks.encode(shape=vega.SHAPE, size=vega.AREA, color=vega.COLOUR, tooltip=tips),
        numbers.encode(text="number:N").properties(
            name=f"inside_{panel.id}"
        ),  # page.css draws no edge around marks with this name
        name.encode(text=alt.Text("label:N"), opacity=vega.opacity("width < 520", 0, 1)),
    ]


def doubt_page(doubt: LabelDoubt, thumbnails: Mapping[str, str], folder: str) -> str:
    """Return the page as text, for UTF-8. ``thumbnails``: paths to JPEGs in base64."""
    caption = f"Classes by recall, and the gain of {doubt.more_images} more images of one class (90 % interval)"
    result, *notes = doubt_lines(doubt)
    return document(
        "doubt.html.j2",
        [],
        found=doubt,
        thumbnails=thumbnails,
        result=result,
        notes=notes,
        next=doubt_next_lines(doubt, folder),
        doubted=doubt.doubted[:SHOWN],
        near=doubt.near[:SHOWN],
        classes=Table(caption=caption, columns=CLASS_COLUMNS, rows=tuple(class_rows(doubt))),
    )
