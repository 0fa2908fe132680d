"""Whether the runs of a race became steady."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import Figure, Table, sources_of
from edgecnn.render.wording import grouped
from edgecnn.values.figures import Steady
from edgecnn.values.report import BuildReport, CandidateFacts

ROW_PX = 32
STATES: Mapping[str, tuple[str, str]] = {
    "flat": ("steady at once", "var(--accent)"),
    "faster": ("warmed up, then steady", "var(--bf16)"),
    "slower": ("slowed, then steady", "var(--int8)"),
    "unsettled": ("still changing at the end", "var(--FAIL)"),
    "short": ("too short to tell", "var(--overhead)"),
}
"""Field of a race's steadiness to its words and its colour."""


def steadiness(report: BuildReport) -> tuple[Figure, ...]:
    """How the runs of each candidate went; nothing where none was timed."""
    known = [(each, of, of.steady) for each in report.candidates if (of := each.latency) and of.runs and of.steady]
    if not known:
        return ()
    changing = [facts.candidate.id for facts, _, steady in known if steady.unsettled]
    whose = "every candidate" if len(changing) == len(known) > 1 else ", ".join(changing)
    words = f"still changing at the end in some runs: {whose}" if changing else "none was still changing at the end"
    figure = Figure(
        id="steady",
        title="Whether the runs reached a steady state",
        says=f"Process runs of the race by how they went; {words}. Nothing is left out of any figure for it.",
        sources=sources_of((latency for _, latency, _ in known), lambda of: f"the runs of the race, on {of.machine}"),
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
    return (figure,)


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
