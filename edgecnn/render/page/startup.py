"""What a first answer costs: opening the model, the first inference, and the whole way from the start of a process."""

from __future__ import annotations

from edgecnn.render import figures
from edgecnn.render.page import vega
from edgecnn.render.page.dots import Axis, Dot, dots_spec, spread_of
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.marks import OF_FIDELITY
from edgecnn.render.page.reasons import grouped
from edgecnn.values.report import BuildReport, Latency
from edgecnn.values.verdict import Interval

_LANES = (("opening", "load_ms"), ("first", "first_ms"), ("cold start", "cold_start_ms"))
_COLUMNS = ("candidate", "opening the model", "first inference", "process start to first answer")


def startup(report: BuildReport) -> Figure | None:
    """Three times by candidate, of the same race as its latency; None where nobody has one."""
    raced = [(facts, facts.latency) for facts in report.candidates if facts.latency and facts.latency.runs]
    dots = [
        Dot(facts, OF_FIDELITY[latency.fidelity], figure, f"{figure.estimate:.1f}", lane)
        for facts, latency in raced
        for lane, name in _LANES
        if (figure := _of(latency, name)) is not None
    ]
    if not dots:
        return None
    drawn = [(facts, latency) for facts, latency in raced if any(dot.facts is facts for dot in dots)]
    marks = dict.fromkeys((OF_FIDELITY[latency.fidelity], latency.machine) for _, latency in drawn)
    absent = {f.candidate.id: why for f, value in raced if (why := _absences(value))}
    return Figure(
        id="startup",
        title="Start-up",
        says="Opening the model, the first inference, which allocates, and the cold start: from the start of a process to its"
        " first answer, with interpreter, imports and checked files. Medians over process runs with their intervals; later"
        " inferences are warm.",
        sources=tuple(Source(mark, f"the processes of the race, on {machine}") for mark, machine in marks),
        spec=dots_spec(dots, Axis("milliseconds", spread=spread_of(dots))),
        legend=vega.in_legend(facts.candidate.precision.value for facts, _ in drawn),
        table=Table(
            caption="Start-up in milliseconds: medians over process runs with their intervals",
            columns=_COLUMNS,
            rows=tuple(
                (facts.candidate.id, *(figures.milliseconds(_of(latency, name)) for _, name in _LANES))
                for facts, latency in drawn
            ),
        ),
        notes=grouped(absent),
    )


def _of(latency: Latency, name: str) -> Interval | None:
    found: Interval | None = getattr(latency, name)
    return found


def _absences(latency: Latency) -> str:
    whys = {lane: latency.absent[name] for lane, name in _LANES if name in latency.absent}
    return "; ".join(f"no figure: {line}" for line in grouped(whys))
