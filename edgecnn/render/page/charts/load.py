"""Charts of throughput by batch size, and of latency and throughput under sustained load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt

from edgecnn.errors.wording import plural
from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, sources_of, tabled
from edgecnn.render.wording import lines_by_reason
from edgecnn.values.figures import SoakWindow, Throughput
from edgecnn.values.report import BuildReport, CandidateFacts

BATCHES_PX = 280
_BATCH_TIPS = ("candidate", "images per call", "images/s", "ms per call", "from")
_BATCH_COLUMNS = {
    "candidate": "candidate", "images per call": "images per call", "images/s, raced": "in races", "ms per call": "ms per call",
    "images/s, one screening run": "screened", "best": "best", "why not": "why not",
}  # fmt: skip


def throughput(report: BuildReport) -> Figure | None:
    """Throughput against batch size; None if no candidate was measured."""
    measured = [(facts, facts.throughput) for facts in report.candidates if facts.throughput]
    known = [
        (facts, value) for facts, value in measured if value.screened or any(figure.images_per_s for figure in value.figures)
    ]
    if not known:
        return None
    rows = [row for facts, value in known for row in _batch_rows(facts, value)]
    return Figure(
        id="throughput",
        title="Throughput by batch",
        says=_best_batch(known),
        sources=sources_of(
            (value for _, value in known),
            lambda of: f"in the throughput race, on {of.machine}",
            {facts.candidate.id: value.reason for facts, value in measured if value.reason},
        ),
        spec=_batch_spec([row for row in rows if row["rate"] is not None]),
        legend=vega.legend_of(facts for facts, _ in known),
        sifts=True,
        table=tabled("Throughput by batch size with its interval", _BATCH_COLUMNS, rows),
        notes=tuple(f"{facts.candidate.id} was disturbed: {value.disturbed}" for facts, value in known if value.disturbed),
    )


def _best_batch(known: Sequence[tuple[CandidateFacts, Throughput]]) -> str:
    axis = "Filled points: measured in the throughput race, with the interval over runs. Hollow points: one run of the search."
    raced = [(facts, figure, figure.images_per_s) for facts, value in known for figure in value.figures if figure.images_per_s]
    if not raced:
        return f"{axis} No figure has an interval."
    facts, best, rate = max(raced, key=lambda row: row[2].estimate)
    images = plural(best.batch, "image")
    return f"{axis} Best: {facts.candidate.id}, {figures.number(rate, 1)} images/s with {best.batch} {images} per call."


def _batch_rows(facts: CandidateFacts, value: Throughput) -> list[dict[str, Any]]:
    """One row per batch size, from the race if it has a figure, else from the screening run."""
    raced = {batch_figure.batch: batch_figure for batch_figure in value.figures}
    rows = []
    for batch in sorted({*raced, *value.screened}):
        figure, screened_rate = raced.get(batch), value.screened.get(batch)
        rate = figure.images_per_s if figure else None
        drawn = {
            "rate": screened_rate,
            "low": screened_rate,
            "high": screened_rate,
            "images/s": figures.NONE if screened_rate is None else f"{screened_rate:.0f}",
        }
        if rate is not None:
            text = figures.number(rate, 1)
            drawn = {"rate": rate.estimate, "low": rate.low, "high": rate.high, "images/s": text}
        rows.append(
            {
                **vega.row_of(facts), "batch": batch, "images per call": str(batch), **drawn, "raced": rate is not None,
                "ms per call": figures.milliseconds(figure.call_ms if figure else None),
                "from": "one screening run" if rate is None else "races, the best" if figure and figure.best else "races",
                "in races": figures.number(rate, 1),
                "screened": figures.NONE if screened_rate is None else f"{screened_rate:.1f}",
                "best": "the best" if figure and figure.best else "",
                "why not": (figure.reason if figure else None) or "",
            }
        )  # fmt: skip
    return rows


def _batch_spec(rows: list[dict[str, Any]]) -> dict[str, Any]:
    batches = sorted({row["batch"] for row in rows})
    base = alt.Chart(vega.chart_data(rows)).transform_filter(vega.IS_SHOWN)
    base = base.encode(
        x=alt.X("batch:Q", title="images per call", scale=alt.Scale(type="log", base=2, nice=False, padding=18),
                axis=alt.Axis(values=batches, format="d", grid=False)),
        y=alt.Y("rate:Q", title="images/s", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6)),
        color=vega.precision_colour(), tooltip=vega.tips(*_BATCH_TIPS),
    )  # fmt: skip
    lines = base.mark_line(strokeWidth=1.5, opacity=0.6, aria=False)
    return vega.specification(
        lines.encode(detail=alt.Detail("candidate:N"), strokeDash=vega.runtime_dashes(row["runtime"] for row in rows)),
        base.mark_rule(strokeWidth=2, aria=False).encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q")),
        base.transform_filter("!datum.raced").mark_point(size=60, opacity=1, fill="var(--bg)", strokeWidth=1.5),
        base.transform_filter("datum.raced").mark_point(filled=True, size=95, opacity=1, stroke="var(--bg)", strokeWidth=1.2),
        height=BATCHES_PX,
        sifts=True,
    )


WINDOWS_PX = 220
_OBSERVED = {"temperature_c": "°C", "frequency_mhz": "MHz", "steal_percent": "stolen, %", "others_percent": "others, %"}
_FIELDS = ("candidate", "precision", "runtime", "s", "slowed down", "throttled")
"""Fields of a window in addition to the drawn figure."""


def sustained(report: BuildReport) -> tuple[Figure, ...]:
    """Median latency and throughput of each window; empty if no candidate ran under sustained load."""
    known = [(facts, facts.sustained) for facts in report.candidates if facts.sustained and facts.sustained.windows]
    if not known:
        return ()
    rows = [_window_row(facts, window) for facts, value in known for window in value.windows]
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
        spec=_window_spec(rows, "ms", "median milliseconds"),
        legend=vega.legend_of(facts for facts, _ in known),
        table=tabled("Windows of the soak with the state of the machine", {**columns, **slowed}, rows),
        notes=lines_by_reason({facts.candidate.id: value.says for facts, value in known if facts is not first}),
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
        spec=_window_spec(rows, "rate", "images/s"),
        table=tabled("Throughput in each window of the soak", {**columns, "images/s": "images/s"}, rows),
        notes=(),
    )
    return (latency, rate)


def _window_row(facts: CandidateFacts, window: SoakWindow) -> dict[str, Any]:
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


def _window_spec(every: list[dict[str, Any]], field: str, title: str) -> dict[str, Any]:
    rows = [{name: row[name] for name in (*_FIELDS, field) if name in row} for row in every if row[field] is not None]
    base = alt.Chart(vega.chart_data(rows)).encode(
        x=alt.X("s:Q", title="seconds after the start", axis=alt.Axis(tickCount=7, grid=False), scale=alt.Scale(padding=12)),
        y=alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False, padding=14), axis=alt.Axis(tickCount=5)),
        color=vega.precision_colour(), tooltip=[
            alt.Tooltip("candidate:N"), alt.Tooltip("s:Q", title="began, s"), alt.Tooltip("throttled:N"),
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
        height=WINDOWS_PX,
    )
