"""The charts of each section, and one line with the reason for each missing figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgecnn.judging.metrics import Source, charted
from edgecnn.render.page.charts.bars import memory, sizes
from edgecnn.render.page.charts.classes import classes_lost
from edgecnn.render.page.charts.curves import curves
from edgecnn.render.page.charts.figure import Figure, drawn, no_figure
from edgecnn.render.page.charts.intervals import drops, end_to_end, energy, metric_chart, startup
from edgecnn.render.page.charts.latency import latencies, steadiness
from edgecnn.render.page.charts.residency import residencies
from edgecnn.render.page.charts.sustained import sustained
from edgecnn.render.page.charts.throughput import throughput
from edgecnn.render.page.charts.tradeoff import tradeoff
from edgecnn.render.wording import joint_reason
from edgecnn.results.page import PageFacts
from edgecnn.values.report import BuildReport, CandidateFacts

_ASKED = {
    "throughput by batch": ("throughput", "--batches 1,8,best"),
    "end to end": ("end_to_end", "--end-to-end"),
    "sustained load": ("sustained", "--soak 60s"),
}
"""Measurements that need an option: the field of the candidate, and the option."""


def figures_of(facts: PageFacts) -> Mapping[str, tuple[Figure, ...]]:
    """The charts of each section in order."""
    report = facts.report
    use = (startup(report), end_to_end(report), throughput(report))
    return {
        "tradeoff": drawn((tradeoff(report), drops(report))),
        "quality": quality(report),
        "latency": (*latencies(facts), *drawn(_plain(report, "latency")), *steadiness(report)),
        "use": (*drawn(use), *sustained(report)),
        "residency": residencies(report),
        "size": drawn((sizes(report), memory(report), energy(report), *_plain(report, "size", "memory", "energy"))),
        "training": curves(facts.history) if facts.history else (),
    }


def not_measured(report: BuildReport, figures: Mapping[str, tuple[Figure, ...]]) -> Mapping[str, tuple[str, ...]]:
    """The missing figures of each section, one line each."""
    there = {figure.id for figure in (*figures["use"], *figures["size"])}
    reasons = (facts.latency.reason for facts in report.candidates if facts.latency)
    untimed = next((reason for reason in reasons if reason), "no candidate was timed")
    lacking = [] if "startup" in there else [f"start-up: {untimed}"]
    lacking += [line for what in _ASKED if (line := _unasked(report, there, what))]
    footprint = [] if "memory" in there else [f"memory: {no_figure(report, 'memory')}"]
    footprint += [] if "energy" in there else [f"energy: {no_figure(report, 'energy')}"]
    return {"use": tuple(lacking), "size": tuple(footprint)}


def quality(report: BuildReport) -> tuple[Figure, ...]:
    """One chart for each other metric of accuracy, then the classes of the chosen candidate."""
    return (*drawn(_plain(report, "accuracy")), *classes_lost(report))


def _plain(report: BuildReport, *sources: Source) -> list[Figure | None]:
    """The charts of metrics that need no other rule than their row."""
    return [metric_chart(metric, report) for metric in charted(*sources)]


def _unasked(report: BuildReport, there: Iterable[str], what: str) -> str | None:
    field, option = _ASKED[what]
    if field.replace("_", "-") in there:
        return None
    if all(getattr(facts, field) is None for facts in report.candidates):
        return f"{what}: not measured. Pass {option} to measure"
    whys = {facts.candidate.id: why for facts in report.candidates if (why := _reason(facts, field))}
    return f"{what}: {joint_reason(whys) or 'no candidate has a figure'}"


def _reason(facts: CandidateFacts, field: str) -> str | None:
    if field == "throughput":
        return facts.throughput.reason if facts.throughput else None
    return facts.end_to_end.latency.reason if field == "end_to_end" and facts.end_to_end else None
