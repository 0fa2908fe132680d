"""Whether the race itself can be believed: each kit against itself (A/A), and whether its runs became steady."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from edgecnn.judging.metrics import exactly
from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.dots import Axis, Dot, Rule, dots_spec
from edgecnn.render.page.charts.figure import OF_FIDELITY, Figure, Source, Table, drawn, sources_of
from edgecnn.render.wording import grouped
from edgecnn.values.figures import Steady
from edgecnn.values.report import BuildReport, CandidateFacts, Latency
from edgecnn.values.verdict import Interval

ROW_PX = 32
STATES: Mapping[str, tuple[str, str]] = {
    "flat": ("steady at once", "var(--accent)"),
    "faster": ("warmed up, then steady", "var(--bf16)"),
    "slower": ("slowed, then steady", "var(--int8)"),
    "unsettled": ("still changing at the end", "var(--FAIL)"),
    "short": ("too short to tell", "var(--overhead)"),
}
"""Field of a race's steadiness to its words and its colour."""


def noise(report: BuildReport) -> tuple[Figure, ...]:
    """What the race could have shown, and how its runs went; nothing where nothing was raced."""
    raced = [(facts, facts.latency) for facts in report.candidates if facts.latency and facts.latency.runs]
    return drawn((_calibration(raced), _steadiness(raced)))


def _sources(raced: Iterable[Latency]) -> tuple[Source, ...]:
    return sources_of(raced, lambda of: f"the runs of the race, on {of.machine}")


def _calibration(raced: Sequence[tuple[CandidateFacts, Latency]]) -> Figure | None:
    """Ratios to fp32 against the ratio that every kit shows against itself; None where no race was calibrated."""
    dots = [dot for facts, latency in raced for dot in _ratio(facts, latency)]
    if not dots:
        return None
    known = [(dot, dot.noise, dot.facts.candidate.id) for dot in dots if dot.noise]
    beyond = [name for dot, noise, name in known if dot.figure.low > noise.high or noise.low > dot.figure.high]
    return Figure(
        id="calibration",
        title="Smallest ratio that the race could resolve",
        says="Speed-up over fp32 against what chance made in the same race (grey): each kit against itself, a round later, came"
        f" out no further from 1. Clear of it: {', '.join(beyond) or 'none'}.",
        sources=_sources(latency for facts, latency in raced if any(dot.facts is facts for dot in dots)),
        spec=dots_spec(dots, Axis("times as fast as fp32, paired by round", "logarithmic", [Rule(1.0)])),
        legend=vega.legend_of(dot.facts for dot in dots),
        table=Table(
            caption="Speed-up over fp32 in the same race, and the ratio below which the race shows nothing (A/A)",
            columns=("candidate", "speed-up", "smallest that could show"),
            rows=tuple(
                (name, dot.said if dot.facts.is_baseline else figures.times(dot.figure), f"{noise.high:.2f}×")
                for dot, noise, name in known
            ),
        ),
        half=True,
    )


def _ratio(facts: CandidateFacts, latency: Latency) -> list[Dot]:
    """The baseline stands at 1 by definition: what is of interest there is how far from it chance alone came."""
    smallest = latency.smallest_ratio
    ratio = exactly(1.0) if facts.is_baseline else latency.ratio_to_fp32
    if ratio is None or smallest is None:
        return []
    said = "the reference" if facts.is_baseline else f"{ratio.estimate:.2f}×"
    chance = Interval(estimate=1.0, low=1 / smallest, high=smallest, confidence=1.0)
    return [Dot(facts, OF_FIDELITY[latency.fidelity], ratio, said, noise=chance)]


def _steadiness(raced: Sequence[tuple[CandidateFacts, Latency]]) -> Figure | None:
    known = [(facts, latency, latency.steady) for facts, latency in raced if latency.steady]
    if not known:
        return None
    changing = [facts.candidate.id for facts, _, steady in known if steady.unsettled]
    whose = "every candidate" if len(changing) == len(known) > 1 else ", ".join(changing)
    words = f"still changing at the end in some runs: {whose}" if changing else "none was still changing at the end"
    return Figure(
        id="steady",
        title="Whether the runs reached a steady state",
        says=f"Process runs of the race by how they went; {words}. Nothing is left out of any figure for it.",
        sources=_sources(latency for _, latency, _ in known),
        spec=_steady_spec([(facts, steady) for facts, _, steady in known]),
        table=Table(
            caption="Process runs of the race by how they went",
            columns=("candidate", *(words for words, _ in STATES.values()), "timed before steady", "steady after, ms"),
            rows=tuple(
                (
                    facts.candidate.id, *(str(getattr(steady, name)) for name in STATES), str(steady.late),
                    figures.milliseconds(steady.after_ms),
                )
                for facts, _, steady in known
            ),
        ),
        notes=grouped({facts.candidate.id: steady.says for facts, _, steady in known}),
        half=True,
    )  # fmt: skip


def _steady_spec(known: Sequence[tuple[CandidateFacts, Steady]]) -> dict[str, Any]:
    rows = [
        {
            "candidate": facts.candidate.id, "label": facts.candidate.id, "state": words, "order": order,
            "runs": getattr(steady, name), "said": f"{getattr(steady, name)} of {sum(getattr(steady, each) for each in STATES)}",
        }
        for facts, steady in known
        for order, (name, (words, _)) in enumerate(STATES.items())
        if getattr(steady, name)
    ]  # fmt: skip
    present = [state for state in STATES.values() if any(row["state"] == state[0] for row in rows)]
    colours = alt.Scale(domain=[words for words, _ in present], range=[colour for _, colour in present])
    legend = alt.Legend(orient="bottom", title=None, columns=1, labelLimit=260, symbolType="square")
    x = alt.X("sum(runs):Q", title="process runs", axis=alt.Axis(tickMinStep=1, format="d"))
    tips = [*vega.tips("candidate", "state"), alt.Tooltip("said:N", title="runs")]
    return vega.stacked(rows, x, alt.Color("state:N", scale=colours, legend=legend), tips, ROW_PX)
