"""The paired drop of every candidate with its interval, against the bound that it is held to."""

from __future__ import annotations

from typing import Any

from edgecnn.render import figures
from edgecnn.render.page import vega
from edgecnn.render.page.dots import Axis, Dot, Rule, dots_spec
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.marks import OF_FIDELITY
from edgecnn.values.report import Accuracy, BuildReport, CandidateFacts

TITLE = "top-1 lost against fp32, pp"


def drops(report: BuildReport) -> Figure | None:
    """Drop against fp32 in percentage points; None where nobody has one."""
    known = [(facts, facts.test) for facts in report.candidates if facts.test is not None and facts.test.drop_pp is not None]
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
    dots = [
        Dot(facts=facts, mark=OF_FIDELITY[accuracy.fidelity], figure=accuracy.drop_pp, said=_drop(accuracy).partition(" [")[0])
        for facts, accuracy in known
        if accuracy.drop_pp is not None
    ]
    gate = [] if bound is None else [Rule(bound, f"gate: at most {bound:g} pp", gate=True)]
    return dots_spec(dots, Axis(title=TITLE, rules=[Rule(0.0), *gate]))
