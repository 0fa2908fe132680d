"""Vega for the browser from Vega-Lite, places for the names of points, and charts as SVG or PNG files.

edgecnn compiles the specifications, so a page does not need the Vega-Lite compiler (a third of the JavaScript). Colours are CSS
variables, so charts follow light, dark and print without a new drawing. A file has the colours of the light page on white.
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
from edgecnn.render.page.style import asset_text, tokens
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import Runtime
from edgecnn.values.report import CandidateFacts

PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int32", "desktop-gpu", "overhead", "unknown")
"""Precisions and parts with separate colours, in the order of every legend."""
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
"""The two names that the page uses. The ready-made Vega of vl-convert 1.9 is null under its name, and the default bundle is
half as large again. The modules of vl-convert import Vega from this path."""


def precision_of(name: str) -> str:
    """The precision, or ``unknown`` if it has no colour."""
    return name if name in PRECISIONS else "unknown"


def ordered_precisions(names: Iterable[str]) -> tuple[str, ...]:
    """The given precisions, in the order of every legend."""
    present = {precision_of(name) for name in names}
    return tuple(name for name in PRECISIONS if name in present)


def precision_colour() -> alt.Color:
    """Colour by precision. The legend is HTML, so that it wraps on a phone and its entries are buttons."""
    scale = alt.Scale(domain=list(PRECISIONS), range=[f"var(--{name})" for name in PRECISIONS])
    return alt.Color("precision:N", scale=scale, legend=None)


def runtime_dashes(names: Iterable[str]) -> alt.StrokeDash:
    """Dashes by runtime."""
    runtimes = sorted(set(names))
    scale = alt.Scale(domain=runtimes, range=[list(backend_for(Runtime(name)).line.dashes) for name in runtimes])
    return alt.StrokeDash("runtime:N", scale=scale, legend=None)


HIDDEN = "hidden"
"""The signal that the buttons of the legend set: names of hidden precisions."""
IS_SHOWN = f"indexof({HIDDEN}, datum.precision) < 0"


def legend_of(candidates: Iterable[CandidateFacts]) -> tuple[str, ...]:
    """The precisions of the candidates."""
    return ordered_precisions(facts.candidate.precision.value for facts in candidates)


def row_of(facts: CandidateFacts) -> dict[str, Any]:
    """The first fields of the row of a candidate."""
    candidate = facts.candidate
    return {"candidate": candidate.id, "precision": candidate.precision.value, "runtime": candidate.runtime.value}


def tips(*names: str) -> list[alt.Tooltip]:
    """The fields that a tooltip shows."""
    return [alt.Tooltip(f"{name}:N") for name in names]


SHAPE = alt.Shape("shape:N", scale=None, legend=None)
AREA = alt.Size("area:Q", scale=None, legend=None)
COLOUR = alt.Color("colour:N", scale=None, legend=None)
"""Encodings that a row sets."""
HIGH, INK = alt.X2("high:Q"), alt.ColorValue("var(--ink)")  # as objects: for a text altair looks through all of its schema


def opacity(test: str, shown: float = 1, hidden: float = 0) -> alt.OpacityValue:
    """``shown`` if an expression is true. Written as an object, because ``alt.condition`` takes 40 ms in altair."""
    return alt.OpacityValue(hidden, condition={"test": test, "value": shown})


def chart_data(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Rows inside the specification, so that a chart loads nothing."""
    return alt.InlineData(values=rows)


def names_down(names: Sequence[str], gap: float = 0.35) -> alt.Y:
    """An axis of names from top to bottom in the given order."""
    return alt.Y("label:N", title=None, scale=alt.Scale(domain=list(names), paddingInner=gap, paddingOuter=0.15))


def specification(*layers: alt.Chart, height: float, sifts: bool = False) -> dict[str, Any]:
    """The Vega-Lite of layers on the same axes, as wide as the container on the page.

    Args:
        layers: drawn one over another.
        height: in pixels.
        sifts: whether the buttons of the legend hide entries.
    """
    chart = (alt.layer(*layers) if len(layers) > 1 else layers[0]).properties(width="container", height=height)
    chart = chart.add_params(alt.param(name=HIDDEN, value=[])) if sifts else chart
    spec: dict[str, Any] = chart.to_dict(validate=False)  # the tests hold every chart against the schema
    return {**spec, "config": CONFIG, "autosize": {"type": "fit-x", "contains": "padding"}}


def stacked(rows: list[dict[str, Any]], x: alt.X, color: alt.Color, tooltip: list[alt.Tooltip], row_px: int) -> dict[str, Any]:
    """Stacked bars, one per ``label``, with the parts in the ``order`` of the rows."""
    names = list(dict.fromkeys(row["label"] for row in rows))
    bars = alt.Chart(chart_data(rows)).mark_bar(aria=False, stroke="var(--bg)", strokeWidth=1)
    drawn = bars.encode(y=names_down(names), x=x, color=color, order=alt.Order("order:O"), tooltip=tooltip)
    return specification(drawn, height=row_px * len(names))


def front_line(rows: Sequence[Mapping[str, Any]], x: str = "x", y: str = "y") -> alt.Chart:
    """Dashed steps through the points on the front."""
    line = alt.Chart(chart_data([{x: row[x], y: row[y]} for row in rows])).mark_line(
        interpolate="step-after", strokeDash=[4, 4], strokeWidth=1.5, color="var(--soft)", opacity=0.7, aria=False
    )
    drawn: alt.Chart = line.encode(x=alt.X(f"{x}:Q"), y=alt.Y(f"{y}:Q"))
    return drawn


def crosses(rows: list[dict[str, Any]], x: alt.X, y: alt.Y, tooltip: list[alt.Tooltip]) -> tuple[alt.Chart, ...]:
    """Points with intervals across (``low``, ``high``) and up (``lower``, ``upper``; None if unknown), over the front line.

    ``x`` and ``y`` give the place of a point, ``fill`` and ``area`` its look.
    """
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
    """The range of an axis."""

    low: float
    high: float
    logarithmic: bool = False

    @classmethod
    def around(cls, values: Iterable[float], room: float, otherwise: float = 1.0) -> Extent:
        """From the lowest to the highest value, with a free share at both ends; ``otherwise`` if all values are equal."""
        every = list(values)
        free = room * (max(every) - min(every)) or otherwise
        return cls(min(every) - free, max(every) + free)

    def share(self, value: float) -> float:
        """The position of a value on the axis, 0…1."""
        low, high, at = (math.log(number) if self.logarithmic else number for number in (self.low, self.high, value))
        return (at - low) / (high - low)

    def scale(self) -> alt.Scale:
        """The scale that every layer of the chart needs."""
        if self.logarithmic:
            return alt.Scale(type="log", domain=[self.low, self.high], nice=False)
        return alt.Scale(domain=[self.low, self.high], nice=False, zero=False)


Drawn = TypeVar("Drawn")
Anchor = Literal["left", "right", "center"]
ANCHORS: tuple[Anchor, ...] = ("left", "right", "center")
"""The anchor of the text, the best side first."""
SIDES: Mapping[Anchor, tuple[int, int]] = {"left": (9, -8), "right": (-9, -8), "center": (0, -14)}
"""Distance of a text from its point, to the right and down."""
WIDTH_PX, HEIGHT_PX = 900.0, 320.0
"""Width of the plot for which names are placed. A phone shows numbers."""
CHARACTER_PX, LINE_PX, GAP_PX = 6.8, 16.0, 11.0


class Spot(NamedTuple):
    """The position of a point in its plot, 0…1 from the left and from the bottom, and its name."""

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
    """The Pareto front, from the cheapest."""
    front: list[Drawn] = []
    for point in sorted(points, key=lambda item: (cost(item), -worth(item))):
        if not front or worth(point) > worth(front[-1]):
            front.append(point)
    return front


def name_anchors(spots: Sequence[Spot]) -> list[Anchor]:
    """The anchor of each name. ``left`` means that the name begins to the right of the point."""
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
    """As ``name_anchors``, for many points: None for a name that would overlap another.

    ``spots``: the points that need a name come first.
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
    """A name cut to the room next to a point."""
    return name if len(name) <= characters else name[: characters - 1] + "…"


PNG_SCALE = 2.0
"""Pixels of a PNG per pixel of the chart."""
_VARIABLE = re.compile(r"var\((--[\w-]+)\)")
_DECLARED = re.compile(r"(--[\w-]+):\s*([^;]+);")


def svg_of(spec: Mapping[str, Any]) -> bytes:
    """A Vega-Lite chart as an SVG file; text stays text."""
    drawn: str = vl_convert.vegalite_to_svg(_spec_with_colours(spec), vl_version=vega_lite())
    opening, rest = drawn.split(">", 1)
    return f"{opening}><metadata>{_author()}</metadata>{rest}".encode()


def png_of(spec: Mapping[str, Any]) -> bytes:
    """A Vega-Lite chart as a PNG file at twice its size."""
    drawn: bytes = vl_convert.vegalite_to_png(_spec_with_colours(spec), vl_version=vega_lite(), scale=PNG_SCALE)
    metadata, packed = PngInfo(), io.BytesIO()
    metadata.add_text("Software", _author())
    with Image.open(io.BytesIO(drawn)) as picture:  # what the library writes is several times as large
        picture.convert("RGB").save(packed, "PNG", optimize=True, pnginfo=metadata)
    return packed.getvalue()


def _author() -> str:
    return f"generated by edgecnn {edgecnn.__version__}"


def _spec_with_colours(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the names of colours by the colours, because only a page defines the names."""
    coloured: dict[str, Any] = _resolved({**spec, "config": {**CONFIG, "background": "var(--bg)", "padding": 16}})
    return coloured


def _resolved(part: Any) -> Any:
    if isinstance(part, str):
        return _VARIABLE.sub(lambda match: _light_colours()[match.group(1)], part)
    if isinstance(part, Mapping):
        return {name: _resolved(value) for name, value in part.items()}
    return [_resolved(value) for value in part] if isinstance(part, list | tuple) else part


@lru_cache(maxsize=1)
def _light_colours() -> dict[str, str]:
    """The value of each variable on a light page. The declarations for light come first."""
    colours: dict[str, str] = {}
    for name, value in _DECLARED.findall(tokens() + asset_text("page.css")):
        colours.setdefault(name, _VARIABLE.sub(lambda match: colours[match.group(1)], value))
    return colours
