"""The screen of a candidate's measurements over time: a sparkline, a table of dates, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecnn.comparing.facts import MeasuredHistory, MeasuredPoint, Series
from edgecnn.errors.wording import counted
from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.plots import Signs, sparkline, stdout_signs
from edgecnn.render.terminal import show_lines, show_rows

COLUMNS = ("metric", "observed at", "figure", "from", "kit", "changed since the row above")
KIT_SHOWN = 12


def show_history(history: MeasuredHistory) -> None:
    """Print each series."""
    show_lines([f"{history.asked}: {counted(len(history.series), 'series', 'series')} in {history.store}"])
    for series in history.series:
        show_lines(["", *series_lines(series, stdout_signs())])
        show_rows(COLUMNS, list(rows(series)))
    show_lines([f"  note: {notice}" for notice in history.notices])


def series_lines(series: Series, signs: Signs) -> list[str]:
    """Return the title of a series, and a sparkline for each kind of figure."""
    kits = counted(len(series.kits), "kit")
    title = " ".join(part for part in (series.arch, series.candidate, reads_text(series)) if part)
    title += f", {series.knobs}" if series.knobs else ""
    lines = [f"{title} on {series.machine} ({', '.join(series.devices)}), {kits}"]
    for metric, points in _kinds(series):
        if points:
            lines.append(f"  {metric.words}: {_summary(points, metric, signs)}")
    return lines


def _kinds(series: Series) -> tuple[tuple[Metric, Sequence[MeasuredPoint]], ...]:
    return (SHOWN["p50_ms"], series.latency), (SHOWN[series.accuracy_of], series.accuracy)


def kind_text(metric: Metric) -> str:
    """``p50 ms``, ``top-1``: the metric, with its unit if figures do not show it."""
    return metric.words if metric.unit == "share" else metric.heading


def reads_text(series: Series) -> str:
    """``at 224 px, 10 classes``, as far as known."""
    parts = [] if series.resolution_px is None else [f"at {series.resolution_px} px"]
    return ", ".join([*parts, *([] if series.classes is None else [f"{series.classes} classes"])])


def _summary(points: Sequence[MeasuredPoint], metric: Metric, signs: Signs) -> str:
    values = [point.figure.estimate if point.figure else None for point in points]
    known = [value for value in values if value is not None]
    if not known:
        return f"missing: {points[-1].reason or 'no figure'}"
    breaks = broken(points)
    breaks_text = f"; {counted(len(breaks), 'break')}, because conditions that must match changed" if breaks else ""
    low, high, last = (
        f"{value * 100:.1f} %" if metric.unit == "share" else f"{value:.2f} {metric.unit}"
        for value in (min(known), max(known), known[-1])
    )
    return f"{sparkline(values, breaks, signs)}  {low} to {high}, last {last}{breaks_text}"


def broken(points: Sequence[MeasuredPoint]) -> list[int]:
    """Places where a new segment begins."""
    return [place for place in range(1, len(points)) if points[place].segment != points[place - 1].segment]


def rows(series: Series) -> Iterator[tuple[str, ...]]:
    """Yield a row for each measurement, the oldest first."""
    for metric, points in _kinds(series):
        for point in points:
            figure, name = figure_text(point, metric), kind_text(metric)
            yield (name, point.observed_at, figure, sample_text(point), point.kit[:KIT_SHOWN], since_text(point))


def figure_text(point: MeasuredPoint, metric: Metric) -> str:
    """The figure with its interval and mark, or why it is missing."""
    if point.figure is None:
        return f"missing: {point.reason or 'no figure'}"
    return figures.spelt(metric, point.figure) + figures.MARKS[point.fidelity]


PURPOSES = {"select": "first race", "report": "final race"}
"""The race of each purpose."""


def sample_text(point: MeasuredPoint) -> str:
    """``17 runs, final race`` or ``341 images``."""
    if point.purpose is None:
        return counted(point.count, "image")
    race = PURPOSES.get(point.purpose, point.purpose)
    return f"{counted(point.count, 'run')}, {race}" + (", disturbed" if point.disturbed else "")


def since_text(point: MeasuredPoint) -> str:
    """The differences from the point before."""
    return "; ".join([*(["new kit"] if point.new_kit else []), *point.changed])
