"""Minutes without a pause, ten seconds at a time: how fast it still is at the end, and where the machine slowed itself down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, Table, sources_of
from edgecnn.render.wording import grouped
from edgecnn.values.figures import SoakWindow, Sustained
from edgecnn.values.report import BuildReport, CandidateFacts

HEIGHT_PX = 220
_UNKNOWN = "cannot be read here"
_OBSERVED = (("temperature_c", "°C"), ("frequency_mhz", "MHz"), ("steal_percent", "stolen, %"), ("others_percent", "others, %"))
_Known = Sequence[tuple[CandidateFacts, Sustained]]


def sustained(report: BuildReport) -> tuple[Figure, ...]:
    """Median latency and images a second by window; nothing where nobody was soaked."""
    known = [(facts, facts.sustained) for facts in report.candidates if facts.sustained and facts.sustained.windows]
    if not known:
        return ()
    rows = [_row(facts, window) for facts, value in known for window in value.windows]
    sources = sources_of(
        (value for _, value in known), lambda of: f"one process of each candidate, so no interval, on {of.machine}"
    )
    legend = vega.legend_of(facts for facts, _ in known)
    first = next((each for each in known if each[0].chosen), known[0])
    says = f"{first[0].candidate.id}: {first[1].says}"
    flags = " Crosses are windows in which the machine slowed itself down." if any("slowed down" in row for row in rows) else ""
    latency = Figure(
        id="sustained",
        title="Latency without a pause",
        says=f"The median of every ten seconds. {says}.{flags}",
        sources=sources,
        spec=_spec(rows, "ms", "median milliseconds"),
        legend=legend,
        table=_table(known),
        notes=grouped({facts.candidate.id: value.says for facts, value in known if facts is not first[0]}),
        half=True,
    )
    paces = [row["rate"] for row in rows if row["rate"] is not None]
    if not paces:
        return (latency,)
    low, high = min(paces), max(paces)
    rate = Figure(
        id="sustained-rate",
        title="Images a second without a pause",
        says=f"All inferences of a window over its seconds, pauses too: from {low:.0f} to {high:.0f} images a second.{flags}",
        sources=sources,
        spec=_spec(rows, "rate", "images a second"),
        legend=legend,
        table=_rates(known),
        half=True,
    )
    return (latency, rate)


def _slowed(window: SoakWindow) -> str | None:
    said = window.observed.get("throttled")
    return None if said in (None, "no") else said


def _pace(window: SoakWindow) -> float | None:
    return window.samples / window.seconds if window.seconds else None


def _row(facts: CandidateFacts, window: SoakWindow) -> dict[str, Any]:
    slowed, pace = _slowed(window), _pace(window)
    return {
        "candidate": facts.candidate.id, "precision": facts.candidate.precision.value, "runtime": facts.candidate.runtime.value,
        "s": round(window.began_s, 1), "ms": None if window.p50_ms is None else round(window.p50_ms, 5),
        "rate": None if pace is None else round(pace, 2), **({"slowed down": slowed} if slowed else {}),
    }  # fmt: skip


def _spec(every: list[dict[str, Any]], field: str, title: str) -> dict[str, Any]:
    other = "rate" if field == "ms" else "ms"
    rows = [{name: value for name, value in row.items() if name != other} for row in every if row[field] is not None]
    base = alt.Chart(vega.chart_data(rows)).encode(
        x=alt.X("s:Q", title="seconds after the start", axis=alt.Axis(tickCount=7, grid=False), scale=alt.Scale(padding=12)),
        y=alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False, padding=14), axis=alt.Axis(tickCount=5)),
        color=vega.precision_colour(), tooltip=[
            alt.Tooltip("candidate:N"), alt.Tooltip("s:Q", title="began, s"), alt.Tooltip("slowed down:N"),
            alt.Tooltip(f"{field}:Q", title=title, format=".5~g"),
        ],
    )  # fmt: skip
    dashes = alt.StrokeDash("runtime:N", scale=vega.runtime_dashes({row["runtime"] for row in rows}), legend=None)
    slowed = base.transform_filter("isValid(datum['slowed down'])")
    layers = [
        base.mark_line(strokeWidth=2, aria=False).encode(detail="candidate:N", strokeDash=dashes),
        base.mark_point(filled=True, size=48, opacity=1, aria=False),
        slowed.mark_point(shape="cross", angle=45, size=190, filled=True, opacity=1, aria=False).encode(
            color=alt.value("var(--FAIL)")
        ),
    ]
    return vega.specification(alt.layer(*layers).properties(width="container", height=HEIGHT_PX))


def _table(known: _Known) -> Table:
    seen = [(name, unit) for name, unit in _OBSERVED if any(name in w.observed for _, value in known for w in value.windows)]
    rows = tuple(
        (
            facts.candidate.id, f"{window.began_s:.0f} s", f"{window.samples:,}",
            figures.NONE if window.p50_ms is None else f"{window.p50_ms:.3f}", window.observed.get("throttled", _UNKNOWN),
            *(window.observed.get(name, figures.NONE) for name, _ in seen),
        )
        for facts, value in known
        for window in value.windows
    )  # fmt: skip
    columns = ("candidate", "began", "inferences", "median, ms", "slowed itself down", *(unit for _, unit in seen))
    return Table(caption="Each window of the soak, with what the machine did in it", columns=columns, rows=rows)


def _rates(known: _Known) -> Table:
    rows = tuple(
        (facts.candidate.id, f"{window.began_s:.0f} s", figures.NONE if pace is None else f"{pace:.1f}")
        for facts, value in known
        for window in value.windows
        for pace in (_pace(window),)
    )
    return Table(caption="Images a second in each window of the soak", columns=("candidate", "began", "images/s"), rows=rows)
