"""The pages of studies: networks within budgets, and doubted labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from edgecnn.errors.wording import counted
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import COUNTED, Figure, Source, Table
from edgecnn.render.page.charts.vega import Anchor, Extent, Spot, name_anchors
from edgecnn.render.page.document import document
from edgecnn.render.screens.studies import CLASS_COLUMNS, MIB, class_rows, doubt_lines, limit_text, search_lines
from edgecnn.studies.doubt import SHOWN
from edgecnn.studies.doubt_facts import LabelDoubt
from edgecnn.studies.facts import BudgetName, ScalePoint, ScaleSearch

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
        """The figure of a network."""
        return point.parameters / 1e6 if self.id == "params" else point.memory_bytes / MIB

    def budget(self, search: ScaleSearch) -> float | None:
        """The budget, if one is set."""
        most = search.budgets.get(self.id)
        return None if most is None else most / (1e6 if self.id == "params" else MIB)


PARAMETERS = Panel("params", "Parameters against multiply-adds", "million parameters, logarithmic")
MEMORY = Panel("memory", "Memory against multiply-adds", "memory in MiB (weights and activations), logarithmic")
PANELS = (PARAMETERS, MEMORY)


def frontier_page(search: ScaleSearch) -> str:
    """Return the page as text, for UTF-8."""
    figures = frontier_figures(search)
    result, *notes = search_lines(search)
    return document("scale.html.j2", figures, figures=figures, found=search, lead=[result], notes=notes, limits=_limits(search))


def frontier_figures(search: ScaleSearch) -> list[Figure]:
    """A chart of parameters and one of memory."""
    far = len(search.others) - len(_near(search))
    return [
        Figure(
            id=panel.id,
            title=panel.title,
            says=_says(search, panel),
            sources=(Source(COUNTED, "for one image in float32, with the published head of the network"),),
            spec=vega.specification(*_chart_layers(search, panel), height=HEIGHT_PX),
            table=Table(caption="The frontier, best first", columns=("number", *COLUMNS[1:]), rows=_cells(search)),
            notes=(*_beyond(search, panel), *([f"Not drawn: {counted(far, 'network')} far from the best."] if far else [])),
        )
        for panel in PANELS
    ]


def frontier_picture(search: ScaleSearch) -> dict[str, Any]:
    """Vega-Lite of both charts and the key of their numbers, one above the other, at a fixed width."""
    drawn = [
        alt.layer(*_chart_layers(search, panel)).properties(width=PICTURE_WIDTH_PX, height=HEIGHT_PX, title=_title(panel.title))
        for panel in PANELS
    ]
    beyond = [note for panel in PANELS for note in _beyond(search, panel)]
    subtitle = [*beyond, f"{SIGNS} Counted; nothing was measured."]
    title = _title(f"{search.arch} inside {_limits(search)}").copy()
    title.subtitle, title.fontSize, title.offset = subtitle, 16, 16
    chart: dict[str, Any] = alt.vconcat(*drawn, _key(search), title=title, spacing=34).to_dict(validate=False)
    return chart


def _title(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, anchor="start", frame="group", fontSize=13, offset=12)


def _limits(search: ScaleSearch) -> str:
    return ", ".join(limit_text(name, most) for name, most in search.budgets.items())


def _says(search: ScaleSearch, panel: Panel) -> str:
    best = search.best
    budget = panel.budget(search)
    limit = "no budget" if budget is None else f"budget {budget:,.1f}"
    unit = "million parameters" if panel is PARAMETERS else "MiB"
    return (
        f"The best network (number 1, a diamond) is {scale_text(best)}: {best.macs / 1e6:,.1f} million multiply-adds and "
        f"{panel.of(best):,.1f} {unit} ({limit}). {len(search.frontier)} networks are on the frontier. {SIGNS}"
    )


def _beyond(search: ScaleSearch, panel: Panel) -> list[str]:
    """Notes on budgets without a line. The budget of multiply-adds is with the first chart."""
    names: tuple[BudgetName, ...] = ("macs", "params") if panel is PARAMETERS else ("memory",)
    lines = _budget_lines(search, panel)
    absent = [name for name in names if name in search.budgets and name not in lines]
    return [f"{limit_text(name, search.budgets[name])} is far outside the chart" for name in absent]


COLUMNS = ("", "scale", "multiply-adds", "parameters", "memory", "difference φ")


def _cells(search: ScaleSearch) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            str(number), scale_text(point) + (" (best)" if number == 1 else ""), f"{point.macs:,}", f"{point.parameters:,}",
            f"{point.memory_bytes / MIB:.1f} MiB", f"{point.imbalance:.2f}",
        )
        for number, point in enumerate(search.frontier, start=1)
    )  # fmt: skip


def _key(search: ScaleSearch) -> alt.LayerChart | alt.FacetChart:
    """The numbers of the frontier as text, because a picture has no table."""
    lines = [COLUMNS, *_cells(search)]
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


def _near(search: ScaleSearch) -> list[ScalePoint]:
    """The other counted networks that the charts show."""
    return [point for point in search.others if search.best.macs / AROUND <= point.macs <= search.best.macs * AROUND]


def _budget_lines(search: ScaleSearch, panel: Panel) -> dict[BudgetName, float]:
    """The budgets with a line in the chart, in its units."""
    drawn = [*search.frontier, *_near(search)]
    stated = {
        "macs": (search.budgets.get("macs", 0) / 1e6, max(point.macs for point in drawn) / 1e6),
        panel.id: (panel.budget(search) or 0.0, max(panel.of(point) for point in drawn)),
    }
    return {name: at for name, (at, most) in stated.items() if 0 < at < REACH * most}  # type: ignore[misc]


def _chart_layers(search: ScaleSearch, panel: Panel) -> list[alt.Chart]:
    """Budgets, other networks and the frontier on one pair of axes."""
    lines = _budget_lines(search, panel)
    rows = _numbered(search, panel)
    behind = [_row(point, panel) for point in _near(search)]
    across = _extent([row["macs"] for row in (*rows, *behind)], lines.get("macs"))
    up = _extent([row["up"] for row in (*rows, *behind)], lines.get(panel.id))
    marks = (*rows, *rows[1:], *rows[1:], *behind)  # a name had better lie on two dots than on a number
    rows[0]["anchor"] = _side_of_name(
        [(across.share(row["macs"]), up.share(row["up"])) for row in marks],
        rows[0]["label"],
        across.share(lines["macs"]) if "macs" in lines else None,
    )
    x = alt.X(
        "macs:Q", title="million multiply-adds for one image, logarithmic", scale=across.scale(), axis=alt.Axis(tickCount=6)
    )
    y = alt.Y("up:Q", title=panel.axis, scale=up.scale(), axis=alt.Axis(tickCount=5))
    return [*_drawn_lines(lines, panel), _dots(behind, x, y), *_frontier(rows, x, y, panel)]


def _side_of_name(points: Sequence[tuple[float, float]], name: str, line: float | None) -> Anchor:
    """The side of the first name, below its point: the budget ``line`` and the networks outside it are above."""
    spots = [Spot(right, 1 - up, "") for right, up in points]  # names are placed above, so the chart is turned over
    crossed = [] if line is None else [Spot(line, spots[0].up + 12 / HEIGHT_PX, "")]
    return name_anchors([spots[0]._replace(name=name), *spots[1:], *crossed])[0]


def _extent(values: Sequence[float], budget: float | None) -> Extent:
    every = [*values, *([] if budget is None else [budget])]
    room = (max(every) / min(every)) ** 0.08 * 1.02
    return Extent(min(every) / room, max(every) * room, logarithmic=True)


def _numbered(search: ScaleSearch, panel: Panel) -> list[dict[str, Any]]:
    """One row per position. Scales that round to the same network share a mark."""
    places: dict[tuple[int, int, int], dict[str, Any]] = {}
    for number, point in enumerate(search.frontier, start=1):
        row = places.setdefault((point.macs, point.parameters, point.memory_bytes), {**_row(point, panel), "numbers": []})
        row["numbers"].append(number)
    for row in places.values():
        first = row["numbers"][0] == 1
        row["number"] = "·".join(str(number) for number in row.pop("numbers"))
        row["label"] = f"best: {row['scale']}" if first else ""
        row["shape"], row["colour"] = ("diamond", "var(--build-2)") if first else ("circle", "var(--build-1)")
        row["area"] = (620 if first else 330) + 150 * (len(row["number"]) - 1)
    return list(places.values())


def _row(point: ScalePoint, panel: Panel) -> dict[str, Any]:
    return {
        "macs": point.macs / 1e6, "up": panel.of(point), "scale": scale_text(point), "inside": point.inside,
        "multiply-adds": f"{point.macs:,}", "parameters": f"{point.parameters:,}",
        "memory": f"{point.memory_bytes / MIB:.1f} MiB", "budgets": "within" if point.inside else "over a budget",
    }  # fmt: skip


def scale_text(point: ScalePoint) -> str:
    """Depth, width and resolution in words."""
    return f"depth {point.depth:g}, width {point.width:g}, {point.resolution} px"


def _drawn_lines(lines: Mapping[BudgetName, float], panel: Panel) -> list[alt.Chart]:
    drawn: list[alt.Chart] = []
    for name, at in lines.items():
        text = f"{'multiply-adds' if name == 'macs' else name} ≤ {at:,.4g}{' MiB' if name == 'memory' else ' M'}"
        base = alt.Chart(vega.chart_data([{"at": at, "text": text}]))
        rule = base.mark_rule(strokeDash=[5, 4], color="var(--FAIL)", strokeWidth=1.4, aria=False)
        stands = name == "macs"  # its words are above it, and on a line that lies they are at the left
        beside: dict[str, Any] = {"align": "center"} if stands else {"align": "left", "dx": 6, "dy": -3}
        word = base.mark_text(color="var(--FAIL)", aria=False, fontSize=11.5, baseline="bottom", **beside)
        where = {"x": "at:Q", "y": alt.value(-5)} if stands else {"y": "at:Q", "x": alt.value(0)}
        drawn += [rule.encode(**{("x" if stands else "y"): "at:Q"}), word.encode(text=alt.Text("text:N"), **where)]
    return drawn


TIPS = ("scale", "multiply-adds", "parameters", "memory", "budgets")


def _dots(rows: list[dict[str, Any]], x: alt.X, y: alt.Y) -> alt.Chart:
    fill = alt.condition(alt.datum.inside, alt.value("var(--fp32)"), alt.value("transparent"))
    points = alt.Chart(vega.chart_data(rows)).mark_point(size=55, strokeWidth=1.4, stroke="var(--fp32)", opacity=0.6)
    dots: alt.Chart = points.encode(x=x, y=y, fill=fill, tooltip=vega.tips(*TIPS))
    return dots


def _frontier(rows: list[dict[str, Any]], x: alt.X, y: alt.Y, panel: Panel) -> list[alt.Chart]:
    """Marks with their numbers, and the name of the best network. More names would overlap."""
    best, *others = rows
    base = alt.Chart(vega.chart_data([*others, best])).encode(x=x, y=y)
    tips = vega.tips("number", *TIPS)
    right, down = _SIDES[best["anchor"]]
    beside = base.transform_filter("isValid(datum.anchor)")
    numbers = base.mark_text(fontSize=11, fontWeight=700, color="var(--bg)", aria=False)
    name = beside.mark_text(align=best["anchor"], dx=right, dy=down, fontSize=12, fontWeight=600, aria=False)
    marks = base.mark_point(filled=True, opacity=1, stroke="var(--bg)", strokeWidth=1.5)
    return [
        marks.encode(shape=vega.SHAPE, size=vega.AREA, color=vega.COLOUR, tooltip=tips),
        numbers.encode(text="number:N").properties(name=f"inside_{panel.id}"),  # so named, page.css draws no edge around them
        name.encode(text=alt.Text("label:N"), opacity=vega.opacity("width < 520", 0, 1)),
    ]


def doubt_page(doubt: LabelDoubt, thumbnails: Mapping[str, str], folder: str) -> str:
    """Return the page as text, for UTF-8. ``thumbnails``: paths to JPEGs in base64."""
    caption = f"Classes by recall, and the gain of {doubt.more_images} more images of one class (90 % interval)"
    result, *notes = doubt_lines(doubt, folder)
    return document(
        "doubt.html.j2",
        [],
        found=doubt,
        thumbnails=thumbnails,
        result=result,
        notes=notes,
        doubted=doubt.doubted[:SHOWN],
        near=doubt.near[:SHOWN],
        classes=Table(caption=caption, columns=CLASS_COLUMNS, rows=tuple(class_rows(doubt))),
    )
