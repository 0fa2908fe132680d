"""Images a second by how many go into a call: measured with their intervals, and what the search for the best number saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.errors.wording import plural
from edgecnn.render import figures
from edgecnn.render.page import vega
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.marks import MISSING, OF_FIDELITY
from edgecnn.render.page.reasons import grouped
from edgecnn.values.figures import BatchFigure, Throughput
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Interval

HEIGHT_PX = 280
_TIPS = ("candidate", "images in a call", "images/s", "a call, ms", "from")
_Known = Sequence[tuple[CandidateFacts, Throughput]]


def throughput(report: BuildReport) -> Figure | None:
    """Images a second against images in a call; None where nobody's was measured."""
    asked = [(facts, facts.throughput) for facts in report.candidates if facts.throughput]
    known = [(facts, value) for facts, value in asked if value.screened or any(each.images_per_s for each in value.figures)]
    if not known:
        return None
    marks = dict.fromkeys((OF_FIDELITY[value.fidelity], value.machine) for _, value in known)
    unknown = grouped({facts.candidate.id: value.reason for facts, value in asked if value.reason})
    return Figure(
        id="throughput",
        title="Throughput by batch",
        says=_says(known),
        sources=(
            *(Source(mark, f"in races of their own, on {machine}") for mark, machine in marks),
            *(Source(MISSING, line) for line in unknown),
        ),
        spec=_spec([row for facts, value in known for row in _rows(facts, value)]),
        legend=vega.in_legend(facts.candidate.precision.value for facts, _ in known),
        sifts=True,
        table=_table(known),
        notes=tuple(f"{facts.candidate.id} was disturbed: {value.disturbed}" for facts, value in known if value.disturbed),
    )


def _says(known: _Known) -> str:
    axis = (
        "Filled points were raced, with the interval over runs; hollow ones were seen in one run, while the best was looked for."
    )
    raced = [(facts, each) for facts, value in known for each in value.figures if each.images_per_s]
    if not raced:
        return f"{axis} No figure has an interval."
    facts, best = max(raced, key=lambda pair: pair[1].images_per_s.estimate if pair[1].images_per_s else 0.0)
    images = plural(best.batch, "image")
    return f"{axis} The most: {facts.candidate.id}, {_rate(best.images_per_s)} images/s with {best.batch} {images} a call."


def _rate(figure: Interval | None) -> str:
    return figures.NONE if figure is None else f"{figure.estimate:.1f} [{figure.low:.1f}, {figure.high:.1f}]"


def _rows(facts: CandidateFacts, value: Throughput) -> list[dict[str, Any]]:
    raced = {each.batch: each for each in value.figures if each.images_per_s}
    rows = [_raced(facts, each) for each in raced.values()]
    rows += [_seen(facts, batch, rate) for batch, rate in value.screened.items() if batch not in raced]
    return rows


def _raced(facts: CandidateFacts, each: BatchFigure) -> dict[str, Any]:
    assert each.images_per_s is not None
    found = {"rate": each.images_per_s.estimate, "low": each.images_per_s.low, "high": each.images_per_s.high}
    said = {"images/s": _rate(each.images_per_s), "a call, ms": figures.milliseconds(each.call_ms)}
    return {**_row(facts, each.batch), **found, **said, "raced": True, "from": "races" + (", the best" if each.best else "")}


def _seen(facts: CandidateFacts, batch: int, rate: float) -> dict[str, Any]:
    return {
        **_row(facts, batch), "rate": rate, "low": rate, "high": rate, "images/s": f"{rate:.0f}", "a call, ms": figures.NONE,
        "raced": False, "from": "one screening run",
    }  # fmt: skip


def _row(facts: CandidateFacts, batch: int) -> dict[str, Any]:
    return {
        "candidate": facts.candidate.id, "precision": facts.candidate.precision.value, "runtime": facts.candidate.runtime.value,
        "batch": batch, "images in a call": str(batch),
    }  # fmt: skip


def _spec(rows: list[dict[str, Any]]) -> dict[str, Any]:
    batches = sorted({row["batch"] for row in rows})
    base = alt.Chart(vega.chart_data(rows)).transform_filter(vega.IS_SHOWN)
    base = base.encode(
        x=alt.X("batch:Q", title="images in a call", scale=alt.Scale(type="log", base=2, nice=False, padding=18),
                axis=alt.Axis(values=batches, format="d", grid=False)),
        y=alt.Y("rate:Q", title="images a second", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6)),
        color=vega.precision_colour(), tooltip=[alt.Tooltip(f"{name}:N") for name in _TIPS],
    )  # fmt: skip
    dashes = alt.StrokeDash("runtime:N", scale=vega.runtime_dashes({row["runtime"] for row in rows}), legend=None)
    layers = [
        base.mark_line(strokeWidth=1.5, opacity=0.6, aria=False).encode(detail="candidate:N", strokeDash=dashes),
        base.mark_rule(strokeWidth=2, aria=False).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.transform_filter("!datum.raced").mark_point(size=60, opacity=1, fill="var(--bg)", strokeWidth=1.5),
        base.transform_filter("datum.raced").mark_point(filled=True, size=95, opacity=1, stroke="var(--bg)", strokeWidth=1.2),
    ]
    chart = alt.layer(*layers).properties(width="container", height=HEIGHT_PX).add_params(vega.hidden_precisions())
    return vega.specification(chart)


def _table(known: _Known) -> Table:
    rows: list[tuple[str, ...]] = []
    for facts, value in known:
        raced = {each.batch: each for each in value.figures}
        for batch in sorted({*raced, *value.screened}):
            each, seen = raced.get(batch), value.screened.get(batch)
            rate = _rate(each.images_per_s) if each else figures.NONE
            rows.append(
                (
                    facts.candidate.id, str(batch), rate, figures.milliseconds(each.call_ms) if each else figures.NONE,
                    figures.NONE if seen is None else f"{seen:.1f}", "the best" if each and each.best else "",
                    (each.reason if each else None) or "",
                )
            )  # fmt: skip
    columns = ("candidate", "images in a call", "images/s, raced", "a call, ms", "images/s, one screening run", "best", "why not")
    return Table(caption="Images a second by images in a call, with their intervals", columns=columns, rows=tuple(rows))
