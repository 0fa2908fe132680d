"""From Vega-Lite to what a browser draws, with the names of points placed, and a chart as an SVG or PNG file.

Specifications are compiled here, which leaves the Vega-Lite compiler (a third of the JavaScript) out of the page. Colours are
CSS variables, so that charts follow light, dark and print without being drawn again. A file has the colours of the light page
on white.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

import altair as alt
import vl_convert
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import edgecnn
from edgecnn.render.page.charts import vega
from edgecnn.render.page.style import asset_text, tokens
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import Runtime
from edgecnn.values.report import CandidateFacts

PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int32", "desktop-gpu", "overhead", "unknown")
"""What has a colour of its own in the page, in the order of every legend."""
_INK, _SOFT, _LINE = "var(--ink)", "var(--soft)", "var(--line)"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "padding": 2,
    "view": {"stroke": None},
    "axis": {
        "labelColor": _SOFT, "titleColor": _SOFT, "gridColor": _LINE, "domainColor": _LINE, "tickColor": _LINE,
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500, "titlePadding": 8, "labelLimit": 220, "titleLimit": 800,
        "labelSeparation": 6,
    },
    "axisY": {
        "titleAnchor": "end", "titleAngle": 0, "titleAlign": "left", "titleX": 0, "titleY": -10, "domain": False, "ticks": False,
    },
    "legend": {"labelColor": _SOFT, "titleColor": _SOFT, "labelFontSize": 12},
    "text": {"color": _INK, "fontSize": 12},
    "rule": {"color": _SOFT},
    "line": {"color": _INK},
}  # fmt: skip
_GLOBALS = 'import {{View, parse}} from "/npm/vega@{version}/+esm"; window.vega = {{View, parse}};'
"""The two names that the page uses. vl-convert offers Vega ready-made too, but that name is null in 1.9, and its whole default
bundle is half as large again; what it carries under this path is what its own modules import."""


def precision_of(name: str) -> str:
    """What a precision is drawn as: itself, or ``unknown`` where no colour is known for it."""
    return name if name in PRECISIONS else "unknown"


def ordered_precisions(names: Iterable[str]) -> tuple[str, ...]:
    """Those that occur, in the order of every legend."""
    present = {precision_of(name) for name in names}
    return tuple(name for name in PRECISIONS if name in present)


def precision_colour() -> alt.Color:
    """Colour by precision. The legend is HTML beside the chart: it wraps on a phone, and its entries are buttons."""
    scale = alt.Scale(domain=list(PRECISIONS), range=[f"var(--{name})" for name in PRECISIONS])
    return alt.Color("precision:N", scale=scale, legend=None)


def runtime_dashes(names: Iterable[str]) -> alt.StrokeDash:
    """Dashes by runtime."""
    runtimes = sorted(set(names))
    scale = alt.Scale(domain=runtimes, range=[list(backend_for(Runtime(name)).line.dashes) for name in runtimes])
    return alt.StrokeDash("runtime:N", scale=scale, legend=None)


HIDDEN = "hidden"
"""The signal that the legend's buttons set: names of precisions."""
IS_SHOWN = f"indexof({HIDDEN}, datum.precision) < 0"


def legend_of(candidates: Iterable[CandidateFacts]) -> tuple[str, ...]:
    """The precisions of these."""
    return ordered_precisions(facts.candidate.precision.value for facts in candidates)


def row_of(facts: CandidateFacts) -> dict[str, Any]:
    """What the row of a candidate's mark begins with."""
    candidate = facts.candidate
    return {"candidate": candidate.id, "precision": candidate.precision.value, "runtime": candidate.runtime.value}


def tips(*names: str) -> list[alt.Tooltip]:
    """What is told of a mark that is pointed at."""
    return [alt.Tooltip(f"{name}:N") for name in names]


SHAPE = alt.Shape("shape:N", scale=None, legend=None)
AREA = alt.Size("area:Q", scale=None, legend=None)
COLOUR = alt.Color("colour:N", scale=None, legend=None)
"""Where a row says itself how its mark is drawn."""
HIGH, INK = alt.X2("high:Q"), alt.ColorValue("var(--ink)")  # as objects: for a text altair looks through all of its schema


def opacity(test: str, shown: float = 1, hidden: float = 0) -> alt.OpacityValue:
    """``shown`` where an expression holds, as an object: altair spends 40 ms on the dictionary of ``alt.condition``."""
    return alt.OpacityValue(hidden, condition={"test": test, "value": shown})


def chart_data(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Rows inside the specification: no chart loads anything."""
    return alt.InlineData(values=rows)


def names_down(names: Sequence[str], gap: float = 0.35) -> alt.Y:
    """An axis of names from top to bottom in the order given."""
    return alt.Y("label:N", title=None, scale=alt.Scale(domain=list(names), paddingInner=gap, paddingOuter=0.15))


def specification(*layers: alt.Chart, height: float, sifts: bool = False) -> dict[str, Any]:
    """The Vega-Lite of layers on the same axes, as wide as their place on the page.

    Args:
        layers: drawn one over another.
        height: in pixels.
        sifts: whether the legend's buttons hide what ``HIDDEN`` names; nothing is hidden at first.
    """
    chart = (alt.layer(*layers) if len(layers) > 1 else layers[0]).properties(width="container", height=height)
    chart = chart.add_params(alt.param(name=HIDDEN, value=[])) if sifts else chart
    spec: dict[str, Any] = chart.to_dict(validate=False)  # the tests hold every chart against the schema
    return {**spec, "config": CONFIG, "autosize": {"type": "fit-x", "contains": "padding"}}


def stacked(rows: list[dict[str, Any]], x: alt.X, color: alt.Color, tooltip: list[alt.Tooltip], row_px: int) -> dict[str, Any]:
    """Bars of parts in the rows' ``order``, a bar a ``label``."""
    names = list(dict.fromkeys(row["label"] for row in rows))
    bars = alt.Chart(chart_data(rows)).mark_bar(aria=False, stroke="var(--bg)", strokeWidth=1)
    drawn = bars.encode(y=names_down(names), x=x, color=color, order=alt.Order("order:O"), tooltip=tooltip)
    return specification(drawn, height=row_px * len(names))


def front_line(rows: Sequence[Mapping[str, Any]], x: str = "x", y: str = "y") -> alt.Chart:
    """Dashed steps through those that nothing cheaper reaches."""
    line = alt.Chart(chart_data([{x: row[x], y: row[y]} for row in rows])).mark_line(
        interpolate="step-after", strokeDash=[4, 4], strokeWidth=1.5, color="var(--soft)", opacity=0.7, aria=False
    )
    drawn: alt.Chart = line.encode(x=alt.X(f"{x}:Q"), y=alt.Y(f"{y}:Q"))
    return drawn


def crosses(rows: list[dict[str, Any]], x: alt.X, y: alt.Y, tooltip: list[alt.Tooltip]) -> tuple[alt.Chart, ...]:
    """Points with what both figures may be across (``low``, ``high``) and up (``lower``, ``upper``, None where that is not
    known), over the front line of those that are on it; ``x``, ``y``, ``fill`` and ``area`` say where and how each is drawn."""
    base = alt.Chart(chart_data(rows)).encode(x=x, y=y)
    across = base.mark_rule(color="var(--soft)", aria=False).encode(x=alt.X("low:Q"), x2=HIGH)
    known = [row for row in rows if row["upper"] is not None]
    up = alt.Chart(chart_data(known)).mark_rule(color="var(--soft)", aria=False)
    up = up.encode(x=x, y=alt.Y("lower:Q", scale=alt.Scale(zero=False)), y2=alt.Y2("upper:Q"))
    points = base.mark_point(strokeWidth=1.8, stroke="var(--build-1)", opacity=1).encode(
        fill=alt.Fill("fill:N", scale=None, legend=None), size=AREA, tooltip=tooltip
    )
    return front_line(sorted((row for row in rows if row["front"]), key=lambda row: row["x"])), across, up, points


def compiled(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The Vega of a Vega-Lite specification."""
    vega_spec: dict[str, Any] = vl_convert.vegalite_to_vega(dict(spec), vl_version=vega_lite())
    return vega_spec


@lru_cache(maxsize=1)
def library() -> str:
    """JavaScript that draws Vega, as one script without imports: 581 kB."""
    bundled: str = vl_convert.javascript_bundle(_GLOBALS.format(version=vl_convert.get_vega_version()), vl_version=vega_lite())
    return bundled


def vega_lite() -> str:
    """The newest Vega-Lite that altair writes and vl-convert reads."""
    wanted = alt.SCHEMA_VERSION.rpartition(".")[0].lstrip("v")
    known: list[str] = vl_convert.get_vegalite_versions()
    return wanted if wanted in known else known[-1]


@dataclass(frozen=True)
class Extent:
    """From the lowest to the highest value that is drawn."""

    low: float
    high: float
    logarithmic: bool = False

    @classmethod
    def around(cls, values: Iterable[float], room: float, otherwise: float = 1.0) -> Extent:
        """From the lowest to the highest of these, a share left free at either end, or ``otherwise`` where they are one."""
        every = list(values)
        free = room * (max(every) - min(every)) or otherwise
        return cls(min(every) - free, max(every) + free)

    def share(self, value: float) -> float:
        """Where a value lies on the axis, 0…1."""
        low, high, at = (math.log(number) if self.logarithmic else number for number in (self.low, self.high, value))
        return (at - low) / (high - low)

    def scale(self) -> alt.Scale:
        """As every layer of the chart must state it."""
        if self.logarithmic:
            return alt.Scale(type="log", domain=[self.low, self.high], nice=False)
        return alt.Scale(domain=[self.low, self.high], nice=False, zero=False)


Drawn = TypeVar("Drawn")
Anchor = Literal["left", "right", "center"]
ANCHORS: tuple[Anchor, ...] = ("left", "right", "center")
"""The text's own anchor: the best side first."""
SIDES: Mapping[Anchor, tuple[int, int]] = {"left": (9, -8), "right": (-9, -8), "center": (0, -14)}
"""How far right of its point and below it a text begins."""
WIDTH_PX, HEIGHT_PX = 900.0, 320.0
"""The plot that names are placed for; a phone shows numbers instead."""
CHARACTER_PX, LINE_PX, GAP_PX = 6.8, 16.0, 11.0


class Spot(NamedTuple):
    """Where a point stands in its plot, 0…1 from the left and from the bottom, and its name."""

    right: float
    up: float
    name: str


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom


def front_of(points: Sequence[Drawn], cost: Callable[[Drawn], float], worth: Callable[[Drawn], float]) -> list[Drawn]:
    """Those that nothing cheaper reaches in worth, from the cheapest."""
    front: list[Drawn] = []
    for point in sorted(points, key=lambda item: (cost(item), -worth(item))):
        if not front or worth(point) > worth(front[-1]):
            front.append(point)
    return front


def name_anchors(spots: Sequence[Spot]) -> list[Anchor]:
    """For each spot the side of its name, as the text's anchor: ``left`` means that the name begins right of the point."""
    at = [(spot.right * WIDTH_PX, (1 - spot.up) * HEIGHT_PX) for spot in spots]
    taken = [_Box(x - 7, y - 7, x + 7, y + 7) for x, y in at]
    anchors: list[Anchor] = []
    for spot, (x, y) in zip(spots, at, strict=True):
        choices = {anchor: _box(x, y, len(spot.name) * CHARACTER_PX, anchor) for anchor in ANCHORS}
        clashes = {anchor: sum(box.meets(other) for other in taken) + 2 * _outside(box) for anchor, box in choices.items()}
        best = min(ANCHORS, key=lambda anchor: clashes[anchor])
        taken.append(choices[best])
        anchors.append(best)
    return anchors


def legible_anchors(spots: Sequence[Spot], height_px: float) -> list[Anchor | None]:
    """As ``name_anchors``, for a crowd: None where a name would lie over another, which the table and the pointer tell instead.

    ``spots``: those that must be named come first.
    """
    taken: list[_Box] = []
    anchors: list[Anchor | None] = []
    for spot in spots:
        x, y = spot.right * WIDTH_PX, (1 - spot.up) * height_px
        choices = {anchor: _box(x, y, len(spot.name) * CHARACTER_PX, anchor) for anchor in ANCHORS}
        free = [anchor for anchor, box in choices.items() if not _outside(box) and not any(box.meets(other) for other in taken)]
        anchors.append(free[0] if free else None)
        taken += [choices[free[0]]] if free else []
    return anchors


def _box(x: float, y: float, width: float, anchor: str) -> _Box:
    if anchor == "left":
        return _Box(x + GAP_PX, y - LINE_PX - 4, x + GAP_PX + width, y - 4)
    if anchor == "right":
        return _Box(x - GAP_PX - width, y - LINE_PX - 4, x - GAP_PX, y - 4)
    return _Box(x - width / 2, y - 2 * LINE_PX - 4, x + width / 2, y - LINE_PX - 4)


def _outside(box: _Box) -> bool:
    return box.left < 0 or box.right > WIDTH_PX


def shortened(name: str, characters: int = 34) -> str:
    """A name that fits beside a point."""
    return name if len(name) <= characters else name[: characters - 1] + "…"


PNG_SCALE = 2.0
"""Pixels of a PNG for one of the chart's."""
_VARIABLE = re.compile(r"var\((--[\w-]+)\)")
_DECLARED = re.compile(r"(--[\w-]+):\s*([^;]+);")


def svg_of(spec: Mapping[str, Any]) -> bytes:
    """A Vega-Lite chart as an SVG file; text stays text."""
    drawn: str = vl_convert.vegalite_to_svg(_spec_with_colours(spec), vl_version=vega.vega_lite())
    opening, rest = drawn.split(">", 1)
    return f"{opening}><metadata>{_author()}</metadata>{rest}".encode()


def png_of(spec: Mapping[str, Any]) -> bytes:
    """A Vega-Lite chart as a PNG file at twice its size."""
    drawn: bytes = vl_convert.vegalite_to_png(_spec_with_colours(spec), vl_version=vega.vega_lite(), scale=PNG_SCALE)
    metadata, packed = PngInfo(), io.BytesIO()
    metadata.add_text("Software", _author())
    with Image.open(io.BytesIO(drawn)) as picture:  # what the library writes is several times as large
        picture.convert("RGB").save(packed, "PNG", optimize=True, pnginfo=metadata)
    return packed.getvalue()


def _author() -> str:
    return f"generated by edgecnn {edgecnn.__version__}"


def _spec_with_colours(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the names of colours by the colours, because only a page defines the names."""
    coloured: dict[str, Any] = _resolved({**spec, "config": {**vega.CONFIG, "background": "var(--bg)", "padding": 16}})
    return coloured


def _resolved(part: Any) -> Any:
    if isinstance(part, str):
        return _VARIABLE.sub(lambda match: _light_colours()[match.group(1)], part)
    if isinstance(part, Mapping):
        return {name: _resolved(value) for name, value in part.items()}
    return [_resolved(value) for value in part] if isinstance(part, list | tuple) else part


@lru_cache(maxsize=1)
def _light_colours() -> dict[str, str]:
    """Each variable's value on a light page, whose declarations come first."""
    colours: dict[str, str] = {}
    for name, value in _DECLARED.findall(tokens() + asset_text("page.css")):
        colours.setdefault(name, _VARIABLE.sub(lambda match: colours[match.group(1)], value))
    return colours
