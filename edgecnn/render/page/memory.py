"""How much memory a process held at most, the runtime's own part apart from what the model added."""

from __future__ import annotations

from typing import Any

import altair as alt

from edgecnn.render.page import vega
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.marks import MISSING, OF_FIDELITY, labelled
from edgecnn.render.page.reasons import for_all, grouped
from edgecnn.values.figures import Memory
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Interval

ROW_PX = 32
_COLUMNS = ("candidate", "peak", "runtime's own", "model's part")


def memory(report: BuildReport) -> Figure | None:
    """Peak resident memory by candidate; None where nobody's is known."""
    known = [(facts, value) for facts in report.candidates if (value := facts.memory) and _whole(value)]
    if not known:
        return None
    marks = dict.fromkeys((OF_FIDELITY[value.fidelity], value.machine) for _, value in known)
    absent = grouped({f.candidate.id: _absence(f) for f in report.candidates if not (f.memory and _whole(f.memory))})
    return Figure(
        id="memory",
        title="Peak resident memory",
        says=_says(known),
        sources=(
            *(Source(mark, f"the most that a process held, over process runs, on {machine}") for mark, machine in marks),
            *(Source(MISSING, line) for line in absent),
        ),
        spec=_spec(known),
        legend=vega.in_legend(facts.candidate.precision.value for facts, _ in known),
        table=_table(known),
        notes=grouped({f.candidate.id: f"GPU memory: {v.gpu_reason}" for f, v in known if v.gpu_reason and not v.gpu_mib}),
        half=True,
    )


def _whole(value: Memory) -> bool:
    return value.peak_mib is not None and value.baseline_mib is not None and value.above_baseline_mib is not None


def no_memory(report: BuildReport) -> str:
    """Why nobody has a figure."""
    return for_all({facts.candidate.id: _absence(facts) for facts in report.candidates})


def _absence(facts: CandidateFacts) -> str:
    return (facts.memory.reason if facts.memory else None) or "memory was not measured"


def _says(known: list[tuple[CandidateFacts, Memory]]) -> str:
    least, value = min(known, key=lambda each: each[1].peak_mib.estimate if each[1].peak_mib else 0.0)
    return (
        "Grey is what the runtime itself holds before a model is open, colour what the model adds; the line is the peak's"
        f" interval over runs. {least.candidate.id} needs least, at {_mib(value.peak_mib)} MiB."
    )


def _mib(figure: Interval | None) -> str:
    return "–" if figure is None else f"{figure.estimate:.1f} [{figure.low:.1f}, {figure.high:.1f}]"


def _spec(known: list[tuple[CandidateFacts, Memory]]) -> dict[str, Any]:
    rows = [_row(facts, value) for facts, value in known]
    most = max(row["high"] for row in rows)
    scale = alt.Scale(domain=[0, most * 1.4], nice=False)
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([row["label"] for row in rows]),
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("candidate", "peak, MiB", "the runtime alone", "the model adds")],
    )
    x = alt.X("own:Q", title="MiB", scale=scale, axis=alt.Axis(tickCount=5))
    layers = [
        base.mark_bar(aria=False).encode(x=x, x2=alt.datum(0), color=alt.value("var(--overhead)")),
        base.mark_bar(aria=False).encode(x=x, x2="peak:Q", color=vega.precision_colour()),
        base.mark_rule(aria=False, strokeWidth=1.5, color="var(--ink)").encode(x=alt.X("low:Q", scale=scale), x2="high:Q"),
        base.mark_text(align="left", dx=7, aria=False, color="var(--ink)").encode(x=alt.X("high:Q", scale=scale), text="said:N"),
    ]
    return vega.specification(alt.layer(*layers).properties(width="container", height=ROW_PX * len(rows)))


def _row(facts: CandidateFacts, value: Memory) -> dict[str, Any]:
    assert value.peak_mib is not None and value.baseline_mib is not None
    return {
        "candidate": facts.candidate.id, "label": labelled(facts.candidate.id, OF_FIDELITY[value.fidelity]),
        "precision": facts.candidate.precision.value, "own": value.baseline_mib.estimate, "peak": value.peak_mib.estimate,
        "low": value.peak_mib.low, "high": value.peak_mib.high, "said": f"{value.peak_mib.estimate:.0f}",
        "peak, MiB": _mib(value.peak_mib), "the runtime alone": _mib(value.baseline_mib),
        "the model adds": _mib(value.above_baseline_mib),
    }  # fmt: skip


def _table(known: list[tuple[CandidateFacts, Memory]]) -> Table:
    gpu = any(value.gpu_mib for _, value in known)
    rows = tuple(
        (
            facts.candidate.id, _mib(value.peak_mib), _mib(value.baseline_mib), _mib(value.above_baseline_mib),
            *([_mib(value.gpu_mib)] if gpu else []),
        )
        for facts, value in known
    )  # fmt: skip
    columns = (*_COLUMNS, "of the GPU's") if gpu else _COLUMNS
    return Table(caption="Resident memory in MiB: medians over process runs with their intervals", columns=columns, rows=rows)
