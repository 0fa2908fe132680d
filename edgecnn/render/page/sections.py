"""Which charts stand in which section, and in one line each what was not measured, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgecnn.render.page.curves import curves
from edgecnn.render.page.drops import drops
from edgecnn.render.page.end_to_end import end_to_end
from edgecnn.render.page.energy import energy, no_energy
from edgecnn.render.page.figure import Figure
from edgecnn.render.page.latency import latencies
from edgecnn.render.page.memory import memory, no_memory
from edgecnn.render.page.noise import noise
from edgecnn.render.page.quality import quality
from edgecnn.render.page.reasons import for_all
from edgecnn.render.page.residency import residencies
from edgecnn.render.page.sizes import sizes
from edgecnn.render.page.startup import startup
from edgecnn.render.page.sustained import sustained
from edgecnn.render.page.throughput import throughput
from edgecnn.render.page.tradeoff import tradeoff
from edgecnn.results.page_facts import PageFacts
from edgecnn.values.report import BuildReport, CandidateFacts

_ASKED = {
    "throughput by batch": ("throughput", "--batches 1,8,best"),
    "end to end": ("end_to_end", "--end-to-end"),
    "a soak": ("sustained", "--soak 60s"),
}
"""What is measured only where it was asked for: its field in a candidate's facts, and the option that asks."""


def figures_of(facts: PageFacts) -> Mapping[str, tuple[Figure, ...]]:
    """Section to its charts, in the order in which they stand."""
    report = facts.report
    return {
        "tradeoff": _there(tradeoff(report), drops(report)),
        "quality": quality(report),
        "latency": (*latencies(facts), *noise(report)),
        "use": (*_there(startup(report), end_to_end(report), throughput(report)), *sustained(report)),
        "residency": residencies(report),
        "size": _there(sizes(report), memory(report), energy(report)),
        "training": curves(facts.history) if facts.history else (),
    }


def not_measured(report: BuildReport, figures: Mapping[str, tuple[Figure, ...]]) -> Mapping[str, tuple[str, ...]]:
    """Section to what it lacks, a line each; nothing where all of it is there."""
    drawn = {figure.id for figure in (*figures["use"], *figures["size"])}
    lacking = [] if "startup" in drawn else [f"start-up: {_untimed(report)}"]
    lacking += [line for what in _ASKED if (line := _unasked(report, drawn, what))]
    footprint = [] if "memory" in drawn else [f"memory: {no_memory(report)}"]
    footprint += [] if "energy" in drawn else [f"energy: {no_energy(report)}"]
    return {"use": tuple(lacking), "size": tuple(footprint)}


def _there(*found: Figure | None) -> tuple[Figure, ...]:
    return tuple(figure for figure in found if figure is not None)


def _untimed(report: BuildReport) -> str:
    reasons = (facts.latency.reason for facts in report.candidates if facts.latency)
    return next((reason for reason in reasons if reason), "nothing was raced")


def _unasked(report: BuildReport, drawn: Iterable[str], what: str) -> str | None:
    field, option = _ASKED[what]
    if field.replace("_", "-") in drawn:
        return None
    if all(getattr(facts, field) is None for facts in report.candidates):
        return f"{what}: not asked for; {option} measures it"
    whys = {facts.candidate.id: why for facts in report.candidates if (why := _reason(facts, field))}
    return f"{what}: {for_all(whys) or 'no candidate has a figure'}"


def _reason(facts: CandidateFacts, field: str) -> str | None:
    if field == "throughput":
        return facts.throughput.reason if facts.throughput else None
    return facts.end_to_end.latency.reason if field == "end_to_end" and facts.end_to_end else None
