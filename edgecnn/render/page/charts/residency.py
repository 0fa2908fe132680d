"""Charts of the executed precision, as shares and by layer. A candidate's name states only the requested precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import (
    MARK_BY_BASIS,
    Figure,
    Source,
    Table,
    axis_label,
    missing_sources,
    residency_mark,
    table_of,
)
from edgecnn.values.report import BuildReport, CandidateFacts

NAMED = 4
"""Number of candidates below 100 % in the sentence above a chart. The table has all candidates."""
ROW_PX = 30
LAYERS_HEIGHT_PX = 220
TRACED = "a traced run is slower than an untraced run, so its times are only shares"
COUNTED = "counted from the shapes of the inputs, outputs and weights of each layer, without caches"
What = Literal["mac", "time", "bytes"]
_READ = {
    "executed": "read from the runtime on the device",
    "elsewhere": "read from the runtime on another machine",
    "planned": "read from the log of the engine builder",
}
_BASIS: Mapping[What, str] = {"mac": "", "time": ", in one traced process", "bytes": f"; {COUNTED}"}
_LAYER_COLUMNS = {
    "layer": "layer", "operation": "operation", "precision": "runs in", "µs": "microseconds", "of the time": "of the time",
    "multiply-adds": "multiply-adds", "bytes moved": "bytes moved",
}  # fmt: skip
_SHARES: Mapping[What, str] = {"mac": "multiply-adds", "time": "time inside layers", "bytes": "bytes moved"}


def residency_charts(report: BuildReport) -> tuple[Figure, ...]:
    """Return the shares of multiply-adds, time and bytes, then the layers of the chosen candidate and of the baseline."""
    shares = [figure for what in _SHARES if (figure := _share_chart(report, what)) is not None]
    shown = [facts for facts in report.candidates if facts.chosen or facts.is_baseline]
    shown.sort(key=lambda facts: not facts.chosen)
    return (*shares, *(figure for facts in shown if (figure := _layer_chart(facts)) is not None))


def _shares_of(facts: CandidateFacts, what: What) -> Mapping[str, float] | None:
    if facts.residency is None:
        return None
    residency = facts.residency
    return {"mac": residency.mac_share, "time": residency.time_share, "bytes": residency.byte_share}[what]


def _share_chart(report: BuildReport, what: What) -> Figure | None:
    known = [(facts, shares) for facts in report.candidates if (shares := _shares_of(facts, what))]
    if not known:
        return None
    bases = {facts.residency.basis: None for facts, _ in known if facts.residency}
    absent = {}
    for facts in report.candidates:
        if not _shares_of(facts, what):
            unread = facts.residency.bytes_absent if what == "bytes" and facts.residency else None
            why = unread or ("no layer was timed" if what == "time" else "not traced")
            absent[facts.candidate.id] = why
    return Figure(
        id=f"residency-{what}",
        title=f"Share of {_SHARES[what]}",
        says=_requested_share_sentence(known, what),
        sources=(
            *(Source(MARK_BY_BASIS[basis], f"{_READ[basis]}{_BASIS[what]}") for basis in bases),
            *missing_sources(absent),
        ),
        spec=_share_spec(known),
        table=_share_table(known, what),
        legend=vega.ordered_precisions(name for _, shares in known for name in shares),
        half=True,
    )


def _requested_share_sentence(known: list[tuple[CandidateFacts, Mapping[str, float]]], what: What) -> str:
    requested = {facts.candidate.id: shares.get(facts.candidate.precision.value, 0.0) for facts, shares in known}
    full = [name for name, share in requested.items() if share == 1.0]
    less = sorted((share, name) for name, share in requested.items() if share < 1.0)
    parts = [f"100 % for {', '.join(full)}"] if full else []
    parts += [f"{figures.whole_share(share)} for {name}" for share, name in less[:NAMED]]
    return f"Share of {_SHARES[what]} in the requested precision: {'; '.join(parts)}."


def _share_spec(known: list[tuple[CandidateFacts, Mapping[str, float]]]) -> dict[str, Any]:
    rows = [
        {
            "label": axis_label(facts.candidate.id, residency_mark(facts.residency)), "candidate": facts.candidate.id,
            "precision": vega.precision_of(precision),
            "order": vega.PRECISIONS.index(vega.precision_of(precision)),
            "share": share * 100, "runs in": precision, "percent": figures.whole_share(share),
        }
        for facts, shares in known
        for precision, share in shares.items()
    ]  # fmt: skip
    x = alt.X("sum(share):Q", title="%", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=5))
    return vega.stacked_bars(rows, x, vega.precision_colour(), vega.tooltips("candidate", "runs in", "percent"), ROW_PX)


def _share_table(known: list[tuple[CandidateFacts, Mapping[str, float]]], what: What) -> Table:
    every = sorted({name for _, shares in known for name in shares})
    rows = tuple(
        (
            facts.candidate.id,
            residency_mark(facts.residency).word,
            *(figures.whole_share(shares.get(name, 0.0)) for name in every),
        )
        for facts, shares in known
    )
    kind = "element type" if what == "bytes" else "executed precision"
    return Table(caption=f"Share of {_SHARES[what]} by {kind}", columns=("candidate", "basis", *every), rows=rows)


def _layer_chart(facts: CandidateFacts) -> Figure | None:
    if facts.residency is None:
        return None
    timed = [layer for layer in facts.residency.layers if layer.time_us]
    if not timed:
        return None
    total = sum(layer.time_us or 0.0 for layer in timed)
    slowest = max(timed, key=lambda layer: layer.time_us or 0.0)
    share = figures.whole_share((slowest.time_us or 0.0) / total)
    rows = [
        {
            "place": place, "us": layer.time_us, "precision": vega.precision_of(layer.precision),
            "layer": layer.name, "operation": layer.op, "runs in": layer.precision,
            "microseconds": f"{layer.time_us:.1f}", "of the time": figures.whole_share((layer.time_us or 0.0) / total),
            "multiply-adds": f"{layer.macs:,}", "bytes moved": figures.moved_bytes(layer),
        }
        for place, layer in enumerate(timed, start=1)
    ]  # fmt: skip
    return Figure(
        id=f"layers-{'chosen' if facts.chosen else 'baseline'}",
        title=f"Time in each layer of {facts.candidate.id}",
        says=f"{len(timed)} layers in the order of execution. The slowest layer, {slowest.op}, takes {share} of the time in"
        " layers.",
        sources=(Source(residency_mark(facts.residency), TRACED),),
        spec=_layer_spec(rows),
        table=table_of(f"Timed layers of {facts.candidate.id} in the order of execution", _LAYER_COLUMNS, rows),
        legend=vega.ordered_precisions(layer.precision for layer in timed),
        half=True,
    )


def _layer_spec(rows: list[dict[str, Any]]) -> dict[str, Any]:
    bars = alt.Chart(vega.chart_data(rows)).mark_bar(aria=False)
    drawn = bars.encode(
        x=alt.X("place:O", title="layers, in the order of execution", axis=alt.Axis(labels=False, ticks=False)),
        y=alt.Y("us:Q", title="microseconds", axis=alt.Axis(tickCount=5)),
        color=vega.precision_colour(),
        tooltip=vega.tooltips(*_LAYER_COLUMNS.values()),
    )
    return vega.layered_spec(drawn, height=LAYERS_HEIGHT_PX)
