"""Bars, a row a candidate: how large the files are that ship, and how much memory a process held at most."""

from __future__ import annotations

from typing import Any

import altair as alt

from edgecnn.judging.metrics import SHOWN
from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MEASURED, MISSING, OF_FIDELITY, Figure, Source, Table, labelled, sources_of
from edgecnn.render.wording import for_all, grouped
from edgecnn.values.figures import Memory
from edgecnn.values.report import BuildReport, CandidateFacts

ROW_PX = 32
_COLUMNS = ("candidate", "peak", "runtime's own", "model's part")
_PARTS = ("peak_mib", "baseline_mib", "above_baseline_mib")


def sizes(report: BuildReport) -> Figure | None:
    """MiB of the model's own files by candidate; None where no kit was packaged."""
    metric = SHOWN["size_mib"]
    known = [(facts, size) for facts in report.candidates if (size := metric.value(facts)) is not None]
    if not known:
        return None
    absent = [facts.candidate.id for facts in report.candidates if facts.size_mib is None]
    rows = [
        {
            "label": facts.candidate.id, "precision": facts.candidate.precision.value, "mib": size.estimate,
            "candidate": facts.candidate.id, metric.unit: figures.spelt(metric, size),
        }
        for facts, size in known
    ]  # fmt: skip
    scale = alt.Scale(domain=[0, max(size.estimate for _, size in known) * 1.2])
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([facts.candidate.id for facts, _ in known]),
        x=alt.X("mib:Q", title=metric.unit, scale=scale, axis=alt.Axis(tickCount=6)),
    )
    bars = base.mark_bar(aria=False).encode(color=vega.precision_colour(), tooltip=vega.tips("candidate", metric.unit))
    numbers = base.mark_text(align="left", dx=6, aria=False, color="var(--ink)").encode(text=f"{metric.unit}:N")
    smallest, least = min(known, key=lambda each: each[1].estimate)
    return Figure(
        id="sizes",
        title="Size on the device's disk",
        says=f"{smallest.candidate.id} is the smallest, at {figures.spelt(metric, least)} {metric.unit}.",
        sources=(
            Source(MEASURED, "bytes of the model's own files in each kit, without runner and golden images"),
            *([Source(MISSING, f"{', '.join(absent)}: not packaged")] if absent else []),
        ),
        spec=vega.specification(alt.layer(bars, numbers).properties(width="container", height=ROW_PX * len(known))),
        legend=vega.legend_of(facts for facts, _ in known),
        table=Table(
            caption="Size of the model's files in MiB",
            columns=("candidate", metric.unit),
            rows=tuple((facts.candidate.id, figures.spelt(metric, size)) for facts, size in known),
        ),
    )


def memory(report: BuildReport) -> Figure | None:
    """Peak resident memory by candidate, the runtime's own part apart; None where nobody's is known."""
    known = [(facts, value) for facts in report.candidates if (value := facts.memory) and _whole(value)]
    if not known:
        return None
    least, value = min(known, key=lambda each: each[1].peak_mib.estimate if each[1].peak_mib else 0.0)
    return Figure(
        id="memory",
        title=SHOWN["peak_memory_mib"].title,
        says="Grey is what the runtime itself holds before a model is open, colour what the model adds; the line is the peak's"
        f" interval over runs. {least.candidate.id} needs least, at {figures.number(value.peak_mib, 1)} MiB.",
        sources=sources_of(
            (value for _, value in known),
            lambda of: f"the most that a process held, over process runs, on {of.machine}",
            {f.candidate.id: _no_memory(f) for f in report.candidates if not (f.memory and _whole(f.memory))},
        ),
        spec=_memory_spec([_memory_row(facts, value) for facts, value in known]),
        legend=vega.legend_of(facts for facts, _ in known),
        table=_memory_table(known),
        notes=grouped({f.candidate.id: f"GPU memory: {v.gpu_reason}" for f, v in known if v.gpu_reason and not v.gpu_mib}),
        half=True,
    )


def _whole(value: Memory) -> bool:
    return all(getattr(value, part) is not None for part in _PARTS)


def no_memory(report: BuildReport) -> str:
    """Why nobody has a figure."""
    return for_all({facts.candidate.id: _no_memory(facts) for facts in report.candidates})


def _no_memory(facts: CandidateFacts) -> str:
    return (facts.memory.reason if facts.memory else None) or "memory was not measured"


def _memory_spec(rows: list[dict[str, Any]]) -> dict[str, Any]:
    scale = alt.Scale(domain=[0, max(row["high"] for row in rows) * 1.4], nice=False)
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([row["label"] for row in rows]),
        tooltip=vega.tips("candidate", "peak, MiB", "the runtime alone", "the model adds"),
    )
    x = alt.X("own:Q", title="MiB", scale=scale, axis=alt.Axis(tickCount=5))
    layers = [
        base.mark_bar(aria=False).encode(x=x, x2=alt.datum(0), color=alt.value("var(--overhead)")),
        base.mark_bar(aria=False).encode(x=x, x2="peak:Q", color=vega.precision_colour()),
        base.mark_rule(aria=False, strokeWidth=1.5, color="var(--ink)").encode(x=alt.X("low:Q", scale=scale), x2="high:Q"),
        base.mark_text(align="left", dx=7, aria=False, color="var(--ink)").encode(x=alt.X("high:Q", scale=scale), text="said:N"),
    ]
    return vega.specification(alt.layer(*layers).properties(width="container", height=ROW_PX * len(rows)))


def _memory_row(facts: CandidateFacts, value: Memory) -> dict[str, Any]:
    assert value.peak_mib is not None and value.baseline_mib is not None
    peak, own, above = (figures.number(getattr(value, part), 1) for part in _PARTS)
    return {
        "candidate": facts.candidate.id, "label": labelled(facts.candidate.id, OF_FIDELITY[value.fidelity]),
        "precision": facts.candidate.precision.value, "own": value.baseline_mib.estimate, "peak": value.peak_mib.estimate,
        "low": value.peak_mib.low, "high": value.peak_mib.high, "said": f"{value.peak_mib.estimate:.0f}",
        "peak, MiB": peak, "the runtime alone": own, "the model adds": above,
    }  # fmt: skip


def _memory_table(known: list[tuple[CandidateFacts, Memory]]) -> Table:
    gpu = any(value.gpu_mib for _, value in known)
    parts = (*_PARTS, "gpu_mib") if gpu else _PARTS
    rows = tuple((facts.candidate.id, *(figures.number(getattr(value, part), 1) for part in parts)) for facts, value in known)
    columns = (*_COLUMNS, "of the GPU's") if gpu else _COLUMNS
    return Table(caption="Resident memory in MiB: medians over process runs with their intervals", columns=columns, rows=rows)
