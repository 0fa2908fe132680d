"""Sustained load in windows of ten seconds: latency, throughput, and throttling of the machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, sources_of, tabled
from edgecnn.render.wording import grouped
from edgecnn.values.figures import SoakWindow
from edgecnn.values.report import BuildReport, CandidateFacts

HEIGHT_PX = 220
_OBSERVED = {"temperature_c": "°C", "frequency_mhz": "MHz", "steal_percent": "stolen, %", "others_percent": "others, %"}
_FIELDS = ("candidate", "precision", "runtime", "s", "slowed down")
"""Fields of a window in addition to the drawn figure."""


def sustained(report: BuildReport) -> tuple[Figure, ...]:
    """Median latency and throughput of each window; empty if no candidate ran under sustained load."""
    known = [(facts, facts.sustained) for facts in report.candidates if facts.sustained and facts.sustained.windows]
    if not known:
        return ()
    rows = [_row(facts, window) for facts, value in known for window in value.windows]
    first, sentence = next(((facts, value.says) for facts, value in known if facts.chosen), (known[0][0], known[0][1].says))
    flags = " A cross marks a window in which the machine throttled." if any("slowed down" in row for row in rows) else ""
    observed = {unit: name for name, unit in _OBSERVED.items() if any(row[name] != figures.NONE for row in rows)}
    columns = {"candidate": "candidate", "began": "began"}
    slowed = {"inferences": "samples", "median, ms": "median", "throttled": "throttled", **observed}
    latency = Figure(
        id="sustained",
        title="Latency under sustained load",
        says=f"Median latency of every ten seconds. {first.candidate.id}: {sentence}.{flags}",
        sources=sources_of(
            (value for _, value in known), lambda of: f"one process per candidate, so no interval, on {of.machine}"
        ),
        spec=_spec(rows, "ms", "median milliseconds"),
        legend=vega.legend_of(facts for facts, _ in known),
        table=tabled("Windows of the soak with the state of the machine", {**columns, **slowed}, rows),
        notes=grouped({facts.candidate.id: value.says for facts, value in known if facts is not first}),
        half=True,
    )
    paces = [row["rate"] for row in rows if row["rate"] is not None]
    if not paces:
        return (latency,)
    rate = replace(
        latency,
        id="sustained-rate",
        title="Throughput under sustained load",
        says=f"Inferences of a window divided by its duration: from {min(paces):.0f} to {max(paces):.0f} images/s.{flags}",
        spec=_spec(rows, "rate", "images/s"),
        table=tabled("Throughput in each window of the soak", {**columns, "images/s": "images/s"}, rows),
        notes=(),
    )
    return (latency, rate)


def _row(facts: CandidateFacts, window: SoakWindow) -> dict[str, Any]:
    throttled = window.observed.get("throttled", "not available")
    slowed = {} if throttled == "no" or "throttled" not in window.observed else {"slowed down": throttled}
    pace = window.samples / window.seconds if window.seconds else None
    return {
        **vega.row_of(facts), "s": round(window.began_s, 1), "ms": None if window.p50_ms is None else round(window.p50_ms, 5),
        "rate": None if pace is None else round(pace, 2), **slowed, "throttled": throttled, "samples": f"{window.samples:,}",
        "began": f"{window.began_s:.0f} s", "median": figures.NONE if window.p50_ms is None else f"{window.p50_ms:.3f}",
        "images/s": figures.NONE if pace is None else f"{pace:.1f}",
        **{name: window.observed.get(name, figures.NONE) for name in _OBSERVED},
    }  # fmt: skip


def _spec(every: list[dict[str, Any]], field: str, title: str) -> dict[str, Any]:
    rows = [{name: row[name] for name in (*_FIELDS, field) if name in row} for row in every if row[field] is not None]
    base = alt.Chart(vega.chart_data(rows)).encode(
        x=alt.X("s:Q", title="seconds after the start", axis=alt.Axis(tickCount=7, grid=False), scale=alt.Scale(padding=12)),
        y=alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False, padding=14), axis=alt.Axis(tickCount=5)),
        color=vega.precision_colour(), tooltip=[
            alt.Tooltip("candidate:N"), alt.Tooltip("s:Q", title="began, s"), alt.Tooltip("slowed down:N"),
            alt.Tooltip(f"{field}:Q", title=title, format=".5~g"),
        ],
    )  # fmt: skip
    lines = base.mark_line(strokeWidth=2, aria=False)
    slowed = base.transform_filter("isValid(datum['slowed down'])")
    crosses = slowed.mark_point(shape="cross", angle=45, size=190, filled=True, opacity=1, aria=False)
    return vega.specification(
        lines.encode(detail=alt.Detail("candidate:N"), strokeDash=vega.runtime_dashes(row["runtime"] for row in rows)),
        base.mark_point(filled=True, size=48, opacity=1, aria=False),
        crosses.encode(color=alt.ColorValue("var(--FAIL)")),
        height=HEIGHT_PX,
    )
