"""What an image costs in energy: all of it, and what is above the power that the machine draws while it waits."""

from __future__ import annotations

from edgecnn.render.page import vega
from edgecnn.render.page.dots import Axis, Dot, dots_spec, spread_of
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.marks import MISSING, OF_FIDELITY
from edgecnn.render.page.reasons import for_all, grouped
from edgecnn.values.figures import Energy
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Interval

_UNASKED = "energy was not measured"


def energy(report: BuildReport) -> Figure | None:
    """Millijoules per image by candidate; None where nobody's is known."""
    known = [(facts, value) for facts in report.candidates if (value := facts.energy) and value.total_mj and value.above_idle_mj]
    if not known:
        return None
    marks = dict.fromkeys((OF_FIDELITY[value.fidelity], value.meter, value.covers, value.machine) for _, value in known)
    absent = {f.candidate.id: _absence(f) for f in report.candidates if not (f.energy and f.energy.total_mj)}
    dots = [dot for facts, value in known for dot in _dots(facts, value)]
    least, cheapest = min(known, key=lambda each: each[1].total_mj.estimate if each[1].total_mj else 0.0)
    return Figure(
        id="energy",
        title="Energy per image",
        says="All that the meter covers while an image is worked on, and what of it is above the idle power; intervals over runs."
        f" {least.candidate.id} needs least in all, at {_mj(cheapest.total_mj)} mJ.",
        sources=(
            *(Source(mark, f"by {meter}, which covers {covers}, on {machine}") for mark, meter, covers, machine in marks),
            *(Source(MISSING, line) for line in grouped(absent)),
        ),
        spec=dots_spec(
            dots, Axis("millijoules per image", spread="logarithmic" if spread_of(dots) == "logarithmic" else "from zero")
        ),
        legend=vega.in_legend(facts.candidate.precision.value for facts, _ in known),
        table=Table(
            caption="Millijoules per image, and idle power in watts: medians over process runs with their intervals",
            columns=("candidate", "all", "above idle", "idle, W", "runs", "images"),
            rows=tuple(_cells(facts, value) for facts, value in known),
        ),
        notes=tuple(f"{facts.candidate.id}: {value.disturbed}" for facts, value in known if value.disturbed),
        half=True,
    )


def no_energy(report: BuildReport) -> str:
    """Why nobody has a figure."""
    return for_all({facts.candidate.id: _absence(facts) for facts in report.candidates})


def _absence(facts: CandidateFacts) -> str:
    return (facts.energy.reason if facts.energy else None) or _UNASKED


def _dots(facts: CandidateFacts, value: Energy) -> list[Dot]:
    found = (("all", value.total_mj), ("above idle", value.above_idle_mj))
    mark = OF_FIDELITY[value.fidelity]
    return [Dot(facts, mark, figure, f"{figure.estimate:.2f}", lane) for lane, figure in found if figure is not None]


def _mj(figure: Interval | None) -> str:
    return "–" if figure is None else f"{figure.estimate:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def _cells(facts: CandidateFacts, value: Energy) -> tuple[str, ...]:
    return (
        facts.candidate.id, _mj(value.total_mj), _mj(value.above_idle_mj), _mj(value.idle_w), str(value.runs),
        f"{value.images:,}",
    )  # fmt: skip
