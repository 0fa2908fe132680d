"""The whole way from a picture's file to logits, beside the network alone: decoding may cost more than the network."""

from __future__ import annotations

from edgecnn.render import figures
from edgecnn.render.page import vega
from edgecnn.render.page.dots import Axis, Dot, dots_spec, spread_of
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.marks import MISSING, OF_FIDELITY
from edgecnn.values.report import BuildReport, CandidateFacts, EndToEnd

_COLUMNS = ("candidate", "whole way, p50", "p90", "p99", "network alone, p50")


def end_to_end(report: BuildReport) -> Figure | None:
    """Median milliseconds of both by candidate; None where nobody's whole way is known."""
    timed = [(facts, facts.end_to_end) for facts in report.candidates if facts.end_to_end]
    known = [(facts, value) for facts, value in timed if value.latency.p50_ms]
    if not known:
        return None
    dots = [dot for facts, value in known for dot in _dots(facts, value)]
    marks = dict.fromkeys((OF_FIDELITY[value.latency.fidelity], value.picture, value.latency.machine) for _, value in known)
    unknown = [(facts.candidate.id, value.latency.reason) for facts, value in timed if not value.latency.p50_ms]
    besides = [(facts.candidate.id, value.latency.disturbed) for facts, value in known]
    return Figure(
        id="end-to-end",
        title="End to end",
        says="From a JPEG on disk to logits: reading, decoding, resizing and the network; and the network alone, from another"
        f" race. {_says(known)}",
        sources=(
            *(Source(mark, f"from the file of a {picture}, on {machine}") for mark, picture, machine in marks),
            *(Source(MISSING, f"{name}: {why or 'not timed'}") for name, why in unknown),
        ),
        spec=dots_spec(
            dots, Axis("median milliseconds", spread="logarithmic" if spread_of(dots) == "logarithmic" else "from zero")
        ),
        legend=vega.in_legend(facts.candidate.precision.value for facts, _ in known),
        table=Table(
            caption="Milliseconds from a picture's file to logits, and of the network alone, with their intervals",
            columns=_COLUMNS,
            rows=tuple(_cells(facts, value) for facts, value in known),
        ),
        notes=tuple(f"{name} was disturbed: {how}" for name, how in besides if how),
    )


def _alone(facts: CandidateFacts) -> float | None:
    return facts.latency.p50_ms.estimate if facts.latency and facts.latency.p50_ms else None


def _says(known: list[tuple[CandidateFacts, EndToEnd]]) -> str:
    both = [
        (facts, value.latency.p50_ms.estimate, alone)
        for facts, value in known
        if value.latency.p50_ms and (alone := _alone(facts)) is not None
    ]
    shown = next((each for each in both if each[0].chosen), next(iter(both), None))
    if shown is None:
        return ""
    facts, whole, alone = shown
    return f"For {facts.candidate.id} the whole way takes {whole:.2f} ms, the network {alone:.2f} ms."


def _dots(facts: CandidateFacts, value: EndToEnd) -> list[Dot]:
    found = (("whole way", value.latency), ("network", facts.latency))
    return [
        Dot(facts, OF_FIDELITY[latency.fidelity], latency.p50_ms, f"{latency.p50_ms.estimate:.2f}", lane)
        for lane, latency in found
        if latency and latency.p50_ms
    ]


def _cells(facts: CandidateFacts, value: EndToEnd) -> tuple[str, ...]:
    seen = value.latency
    times = (seen.p50_ms, seen.p90_ms, seen.p99_ms)
    return (facts.candidate.id, *(figures.milliseconds(each) for each in times), figures.p50(facts.latency))
