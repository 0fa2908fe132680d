"""The pages of a network search and of a sweep: accuracy against latency, with the front of each device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from edgecnn.errors.wording import bound_text
from edgecnn.judging.metrics import budgets_text
from edgecnn.render import figures
from edgecnn.render.figures import milliseconds, percent_interval
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import (
    COUNTED,
    EMULATED,
    MARK_BY_FIDELITY,
    MEASURED,
    PREDICTED,
    Figure,
    Source,
    Table,
    drop_missing,
)
from edgecnn.render.page.charts.vega import Extent
from edgecnn.render.page.document import document
from edgecnn.render.screens.fit import (
    cells_of,
    elsewhere_columns,
    elsewhere_rows,
    fit_columns,
    fit_lines,
    unlearned_fit_lines,
)
from edgecnn.render.screens.sweep import FLEET_COLUMNS, fleet_lines, front_text, row_of, unlearned_fleet_lines, verdict_caveat
from edgecnn.sweeps.fleet import FleetCell, FleetReport
from edgecnn.values.fit import FitReport, Member
from edgecnn.values.forecast import MARK
from edgecnn.values.verdict import Fidelity

HEIGHT_PX = 340


def fit_page(fit: FitReport) -> str:
    """Return the page as text, for UTF-8."""
    figures = [figure for figure in (_network_front(fit), _predictions_chart(fit), _savings_chart(fit)) if figure is not None]
    result, *notes = fit_lines(fit)
    elsewhere = None
    if fit.elsewhere:
        elsewhere = Table("Which device is enough", columns=elsewhere_columns(fit), rows=tuple(elsewhere_rows(fit)))
    lead = [*unlearned_fit_lines(fit), result]
    return document(
        "fit.html.j2", figures, figures=figures, found=fit, lead=lead, notes=notes, limits=limits_of(fit), elsewhere=elsewhere
    )


def limits_of(fit: FitReport) -> str:
    """Return the budgets in words."""
    required = "" if fit.required_top1 is None else bound_text("min", "top-1", fit.required_top1)
    budgets = budgets_text(fit.stated or {str(name): bound for name, bound in fit.within.items()})
    return " and ".join(filter(None, (budgets, required)))


def _network_front(fit: FitReport) -> Figure | None:
    """Return built networks, filled and with both intervals, and briefly trained ones, hollow and at their predicted latency."""
    rows = [row for member in fit.members if (row := _network_point(member, fit)) is not None]
    if not rows:
        return None
    axis = f"p50 in ms ({MARK}: predicted)" if any(MARK in row["p50"] for row in rows) else "p50 in ms"
    x = alt.X("x:Q", title=axis, scale=_latency_scale([row[name] for row in rows for name in ("low", "high")], fit))
    y = alt.Y("y:Q", title="top-1 on validation, %", scale=alt.Scale(zero=False))
    drawn = vega.interval_points(rows, x, y, vega.tooltips("network", "p50", "top-1", "what"))
    return Figure(
        id="front",
        title="Accuracy against latency",
        says=f"Filled: built. Rings: trained for a few epochs. {MARK}: p50 is predicted.",
        sources=_sources(fit),
        spec=vega.layered_spec(*_budget_line(fit), *drawn, height=HEIGHT_PX),
        table=Table(
            caption="Trained networks", columns=fit_columns(fit), rows=tuple(cells_of(member, fit) for member in fit.members)
        ),
    )


def _sources(fit: FitReport) -> tuple[Source, ...]:
    at = fit.table
    sources = [Source(MEASURED, f"accuracy on validation; latency in one race of the built networks, on {fit.machine}")]
    sources.append(Source(PREDICTED, f"latency of the other networks, from {at.networks} networks of {at.machine}"))
    sources += (
        [Source(EMULATED, "the latency table comes from an emulated processor")] if at.fidelity is Fidelity.EMULATED else []
    )
    return tuple(sources)


def _network_point(member: Member, fit: FitReport) -> dict[str, Any] | None:
    top1, built = member.validation_top1, member.build is not None
    measured = member.p50_ms or member.untrained_ms
    timed = measured or (member.prediction.p50_ms if member.prediction else None)
    if timed is None or (top1 is None and not member.trained):
        return None
    estimate = top1.estimate if top1 else member.trained[-1].validation_top1
    trained = f"trained for {member.trained[-1].epochs} epochs" if member.trained else "trained"
    what = ("built and measured" if member.p50_ms else "built, not measured") if built else trained
    return {
        "x": timed.estimate, "low": timed.low, "high": timed.high, "y": 100 * estimate,
        "lower": 100 * top1.low if top1 else None, "upper": 100 * top1.high if top1 else None,
        "fill": "var(--build-1)" if built else "transparent", "area": 220 if member.name == fit.shipped else 90,
        "front": member.name in fit.front, "network": member.name + (" (ships)" if member.name == fit.shipped else ""),
        "p50": f"{milliseconds(timed)} ms" + ("" if measured else f" {MARK}"), "what": what,
        "top-1": percent_interval(top1) if top1 else f"{100 * estimate:.1f} %",
    }  # fmt: skip


def _latency_scale(values: list[float], fit: FitReport) -> alt.Scale:
    every = [*values, *([fit.within["p50_ms"]] if "p50_ms" in fit.within else [])]
    room = max(1.03, (max(every) / min(every)) ** 0.08)
    return Extent(min(every) / room, max(every) * room, logarithmic=True).scale()


def _budget_line(fit: FitReport) -> list[alt.Chart]:
    if "p50_ms" not in fit.within:
        return []
    at = alt.Chart(vega.chart_data([{"at": fit.within["p50_ms"]}]))
    drawn: alt.Chart = at.mark_rule(strokeDash=[5, 4], color="var(--FAIL)", strokeWidth=1.4, aria=False).encode(x="at:Q")
    return [drawn]


def _predictions_chart(fit: FitReport) -> Figure | None:
    """Return every predicted network in the order of the search."""
    if not fit.trials:
        return None
    rows: list[dict[str, Any]] = [
        {
            "x": trial.p50_ms,
            "y": trial.standin,
            "network": trial.name,
            "p50": f"{trial.p50_ms:.2f} ms",
            "order": order,
        }
        for order, trial in enumerate(fit.trials)
    ]
    x = alt.X("x:Q", title="predicted p50 in ms", scale=_latency_scale([row["x"] for row in rows], fit))
    y = alt.Y("y:Q", title="stand-in for accuracy", scale=alt.Scale(zero=False))
    dots = alt.Chart(vega.chart_data(rows)).mark_point(filled=True, size=40, color="var(--build-1)")
    opacity = alt.Opacity("order:Q", legend=None, scale=alt.Scale(range=[0.15, 0.9]))
    drawn = dots.encode(x=x, y=y, opacity=opacity, tooltip=vega.tooltips("network", "p50"))
    rank = fit.rank_correlation
    ordered = "" if rank is None else f" Its rank correlation with trained accuracy is {rank:+.2f}."
    return Figure(
        id="history",
        title="Predicted networks",
        says=f"{len(rows)} networks, later networks darker. The stand-in is counted and only ranks networks.{ordered}",
        sources=(Source(PREDICTED, "latency of the fastest candidate of each network"), Source(COUNTED, "the stand-in")),
        spec=vega.layered_spec(*_budget_line(fit), drawn, height=HEIGHT_PX),
        table=Table(
            caption="The last 12 predicted networks",
            columns=("network", "predicted p50 ms", "stand-in"),
            rows=tuple((trial.name, f"{trial.p50_ms:.2f}", f"{trial.standin:.2f}") for trial in fit.trials[-12:]),
        ),
    )


def _savings_chart(fit: FitReport) -> Figure | None:
    """Return the share of the latency that each single change saves."""
    if not fit.axes:
        return None
    saved = {name: 100 * (1 - share) for name, share in fit.axes.items()}
    bars = alt.Chart(vega.chart_data([{"label": name, "x": percent} for name, percent in saved.items()]))
    bars = bars.mark_bar(color="var(--build-1)", aria=False)
    drawn = bars.encode(y=vega.name_axis(list(saved)), x=alt.X("x:Q", title="% of the latency saved"))
    return Figure(
        id="axes",
        title="Latency saved by each change",
        says="Predicted latency saved by each single change to the family's first network.",
        sources=(Source(PREDICTED, "from the same latency table"),),
        spec=vega.layered_spec(drawn, height=44 * len(saved)),
        table=Table(
            caption="Latency saved by one change",
            columns=("change", "saved"),
            rows=tuple((name, f"{percent:.0f} %") for name, percent in saved.items()),
        ),
    )


_TABLE_COLUMNS = ("build", "accuracy (95 %)", "p50 ms", "standing")


def fleet_page(fleet: FleetReport) -> str:
    """Return the page as text, for UTF-8."""
    shown = drop_missing(_device_front(number, device.device, fleet.cells) for number, device in enumerate(fleet.devices))
    rows = [(cell, row_of(cell), verdict_caveat(cell)) for cell in fleet.cells]
    result, *notes = fleet_lines(fleet)
    return document(
        "fleet.html.j2",
        shown,
        found=fleet,
        figures=shown,
        columns=FLEET_COLUMNS,
        rows=rows,
        lead=[*unlearned_fleet_lines(fleet), result],
        notes=notes,
    )


def _device_front(number: int, device: str, cells: Sequence[FleetCell]) -> Figure | None:
    """Return accuracy and latency of each build with their intervals. Builds on the front are filled."""
    own = [
        cell for cell in cells if cell.device == device and cell.state == "finished" and None not in (cell.accuracy, cell.p50_ms)
    ]
    if not own:
        return None
    rows = [_build_point(cell) for cell in own]
    latencies = [cell.facts.latency for cell in own if cell.facts is not None and cell.facts.latency is not None]
    sources = dict.fromkeys((MARK_BY_FIDELITY[latency.fidelity], latency.machine) for latency in latencies)
    x = alt.X("x:Q", title="p50 in ms", scale=alt.Scale(zero=False, nice=True))
    y = alt.Y("y:Q", title="accuracy on the test split, %", scale=alt.Scale(zero=False))
    points = vega.interval_points(rows, x, y, vega.tooltips("build", "accuracy", "p50", "standing"))
    return Figure(
        id=f"front-{number}",
        title=f"Accuracy against latency: {device}",
        says="Further left is faster, further up is more accurate. Filled: no other build for this device with the same test "
        "images is faster and at least as accurate. Times come from separate races: overlapping intervals show no difference.",
        sources=tuple(Source(mark, f"latency on {machine}") for mark, machine in sources),
        spec=vega.layered_spec(*points, height=300),
        table=Table(
            caption=f"Builds for {device}",
            columns=_TABLE_COLUMNS,
            rows=tuple((row["build"], row["accuracy"], row["p50"], row["standing"]) for row in rows),
        ),
    )


def _build_point(cell: FleetCell) -> dict[str, Any]:
    accuracy, p50 = cell.accuracy, cell.p50_ms
    if accuracy is None or p50 is None:
        raise ValueError(f"{cell.name} has no point")
    return {
        "x": p50.estimate, "low": p50.low, "high": p50.high,
        "y": 100 * accuracy.estimate, "lower": 100 * accuracy.low, "upper": 100 * accuracy.high,
        "fill": "var(--build-1)" if cell.is_on_front else "transparent", "area": 140, "front": cell.is_on_front,
        "build": cell.variant, "accuracy": figures.percent_interval(accuracy), "p50": figures.milliseconds(p50),
        "standing": "on the front" if cell.is_on_front else front_text(cell),
    }  # fmt: skip
