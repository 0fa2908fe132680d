"""The paired drop of every candidate with its interval, against the bound that it is held to."""

from __future__ import annotations

from typing import Any

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page import vega
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.marks import OF_FIDELITY, labelled
from edgecnn.values.report import Accuracy, BuildReport, CandidateFacts

ROW_PX = 34
TITLE = "top-1 lost against fp32, pp"


def drops(report: BuildReport) -> Figure | None:
    """Drop against fp32 in percentage points; None where nobody has one."""
    known = [
        (facts, facts.report) for facts in report.candidates if facts.report is not None and facts.report.drop_pp is not None
    ]
    if not known:
        return None
    bound = next((gate.gate.bound for facts, _ in known for gate in facts.gates if gate.gate.metric == "drop_pp"), None)
    marks = {OF_FIDELITY[accuracy.fidelity]: accuracy.machine for _, accuracy in known}
    images = known[0][1].images
    return Figure(
        id="drops",
        title="What precision costs in accuracy",
        says=_says(known, bound),
        sources=tuple(
            Source(mark, f"both networks' answers to the same {images:,} images, on {on}") for mark, on in marks.items()
        ),
        spec=_spec(known, bound),
        legend=vega.in_legend(facts.candidate.precision.value for facts, _ in known),
        table=Table(
            caption="Drop in top-1 against the fp32 baseline, paired image by image, with its 90 % interval",
            columns=("candidate", "drop", "wrong that fp32 gets right", "right that fp32 gets wrong"),
            rows=tuple(
                (facts.candidate.id, _drop(accuracy), _count(accuracy.lost), _count(accuracy.gained)) for facts, accuracy in known
            ),
        ),
    )


def _drop(accuracy: Accuracy) -> str:
    return figures.NONE if accuracy.drop_pp is None else figures.points(accuracy.drop_pp)


def _count(value: int | None) -> str:
    return figures.NONE if value is None else f"{value:,}"


def _says(known: list[tuple[CandidateFacts, Accuracy]], bound: float | None) -> str:
    axis = "Further right is worse; intervals are paired image by image, 90 %."
    if bound is None:
        return axis
    inside = [facts.candidate.id for facts, found in known if found.drop_pp is not None and found.drop_pp.high <= bound]
    other = [facts.candidate.id for facts, _ in known if facts.candidate.id not in inside]
    if not other:
        return f"{axis} Every whole interval is within the bound of {bound:g} pp."
    return f"{axis} Whole interval within the bound of {bound:g} pp: {', '.join(inside) or 'none'}. Not so: {', '.join(other)}."


def _spec(known: list[tuple[CandidateFacts, Accuracy]], bound: float | None) -> dict[str, Any]:
    rows = [_row(facts, accuracy) for facts, accuracy in known]
    x = alt.X("drop:Q", title=TITLE, axis=alt.Axis(tickCount=8), scale=alt.Scale(padding=16, nice=False))
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([row["label"] for row in rows]),
        color=vega.precision_colour(),
    )
    tips = [alt.Tooltip(f"{name}:N") for name in ("candidate", "paired drop", "lost", "gained")]
    layers = [
        _rule(0.0, [], "var(--soft)"),
        *([] if bound is None else [_rule(bound, [5, 4], "var(--FAIL)"), _bound_name(bound)]),
        base.mark_rule(strokeWidth=2.5, strokeCap="round", aria=False).encode(x=alt.X("low:Q", title=TITLE), x2="high:Q"),
        base.mark_point(filled=True, opacity=1, size=110, stroke="var(--bg)", strokeWidth=1.5).encode(
            x=x, shape=alt.Shape("shape:N", scale=None), tooltip=tips
        ),
    ]
    return vega.specification(alt.layer(*layers).properties(width="container", height=ROW_PX * len(rows)))


def _rule(at: float, dash: list[int], colour: str) -> alt.Chart:
    data = vega.chart_data([{"drop": at}])
    mark = alt.Chart(data).mark_rule(strokeDash=dash or alt.Undefined, color=colour, strokeWidth=1.2, aria=False)
    drawn: alt.Chart = mark.encode(x="drop:Q")
    return drawn


def _bound_name(bound: float) -> alt.Chart:
    data = vega.chart_data([{"drop": bound, "text": f"gate: at most {bound:g} pp"}])
    mark = alt.Chart(data).mark_text(align="right", baseline="bottom", dx=-4, dy=-2, color="var(--FAIL)", aria=False)
    drawn: alt.Chart = mark.encode(x="drop:Q", y=alt.value(0), text="text:N")
    return drawn


def _row(facts: CandidateFacts, accuracy: Accuracy) -> dict[str, Any]:
    assert accuracy.drop_pp is not None
    mark = OF_FIDELITY[accuracy.fidelity]
    return {
        "candidate": facts.candidate.id,
        "label": labelled(facts.candidate.id, mark),
        "precision": facts.candidate.precision.value,
        "drop": accuracy.drop_pp.estimate,
        "low": accuracy.drop_pp.low,
        "high": accuracy.drop_pp.high,
        "shape": "circle" if mark.word == "measured" else "diamond",
        "paired drop": _drop(accuracy),
        "lost": _count(accuracy.lost),
        "gained": _count(accuracy.gained),
    }
