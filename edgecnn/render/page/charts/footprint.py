"""Bar charts of file size and of peak memory, one row per candidate."""

from __future__ import annotations

from typing import Any

import altair as alt

from edgecnn.judging.metrics import SHOWN
from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import (
    MARK_BY_FIDELITY,
    MEASURED,
    Figure,
    Source,
    absence,
    labelled,
    lacking,
    sources_of,
    tabled,
)
from edgecnn.render.wording import lines_by_reason
from edgecnn.values.figures import Memory
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Interval

ROW_PX = 32
_PARTS = {"candidate": "candidate", "peak": "peak, MiB", "runtime's own": "the runtime alone", "model's part": "the model adds"}


def sizes(report: BuildReport) -> Figure | None:
    """Size of the model files of each candidate in MiB; None if no kit was packaged."""
    metric = SHOWN["size_mib"]
    known = [(facts, size) for facts in report.candidates if (size := metric.value(facts)) is not None]
    if not known:
        return None
    rows = [
        {**vega.row_of(facts), "label": facts.candidate.id, "mib": size.estimate, metric.unit: figures.metric_text(metric, size)}
        for facts, size in known
    ]
    smallest = min(rows, key=lambda row: row["mib"])
    scale = alt.Scale(domain=[0, max(row["mib"] for row in rows) * 1.2])
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([row["label"] for row in rows]),
        x=alt.X("mib:Q", title=metric.unit, scale=scale, axis=alt.Axis(tickCount=6)),
    )
    bars = base.mark_bar(aria=False).encode(color=vega.precision_colour(), tooltip=vega.tips("candidate", metric.unit))
    numbers = base.mark_text(align="left", dx=6, aria=False, color="var(--ink)").encode(text=alt.Text(f"{metric.unit}:N"))
    absent = {facts.candidate.id: "not packaged" for facts in report.candidates if facts.size_mib is None}
    return Figure(
        id="sizes",
        title="Size on the disk of the device",
        says=f"{smallest['candidate']} is the smallest: {smallest[metric.unit]} {metric.unit}.",
        sources=(
            Source(MEASURED, "size of the model files in each kit, without runner and golden images"),
            *lacking(absent),
        ),
        spec=vega.specification(bars, numbers, height=ROW_PX * len(rows)),
        legend=vega.legend_of(facts for facts, _ in known),
        table=tabled("Size of the model files in MiB", {"candidate": "candidate", metric.unit: metric.unit}, rows),
    )


def memory(report: BuildReport) -> Figure | None:
    """Peak resident memory of each candidate, split into runtime and model; None if no candidate has a figure."""
    metric = SHOWN["peak_memory_mib"]
    known = [(facts, facts.memory, peak) for facts in report.candidates if facts.memory and (peak := metric.value(facts))]
    if not known:
        return None
    rows = [_memory_row(facts, value, peak) for facts, value, peak in known]
    least = min(rows, key=lambda row: row["peak"])
    gpu = {"of the GPU's": "gpu"} if any(value.gpu_mib for _, value, _ in known) else {}
    return Figure(
        id="memory",
        title=metric.title,
        says="Grey: memory of the runtime before it opens a model. Colour: memory that the model adds. Line: interval of the"
        f" peak over runs. {least['candidate']} needs the least memory: {least['peak, MiB']} MiB.",
        sources=sources_of(
            (value for _, value, _ in known),
            lambda of: f"peak memory of a process, over process runs, on {of.machine}",
            {facts.candidate.id: absence(facts, "memory") for facts in report.candidates if metric.value(facts) is None},
        ),
        spec=_memory_spec(rows),
        legend=vega.legend_of(facts for facts, *_ in known),
        table=tabled("Resident memory in MiB: medians over process runs with their intervals", {**_PARTS, **gpu}, rows),
        notes=lines_by_reason(
            {f.candidate.id: f"GPU memory: {v.gpu_reason}" for f, v, _ in known if v.gpu_reason and not v.gpu_mib}
        ),
        half=True,
    )


def _memory_row(facts: CandidateFacts, value: Memory, peak: Interval) -> dict[str, Any]:
    return {
        **vega.row_of(facts), "label": labelled(facts.candidate.id, MARK_BY_FIDELITY[value.fidelity]),
        "own": value.baseline_mib.estimate if value.baseline_mib else 0.0, "peak": peak.estimate, "low": peak.low,
        "high": peak.high, "said": f"{peak.estimate:.0f}", "peak, MiB": figures.number(peak, 1),
        "the runtime alone": figures.number(value.baseline_mib, 1),
        "the model adds": figures.number(value.above_baseline_mib, 1), "gpu": figures.number(value.gpu_mib, 1),
    }  # fmt: skip


def _memory_spec(rows: list[dict[str, Any]]) -> dict[str, Any]:
    scale = alt.Scale(domain=[0, max(row["high"] for row in rows) * 1.4], nice=False)
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([row["label"] for row in rows]),
        tooltip=vega.tips("candidate", "peak, MiB", "the runtime alone", "the model adds"),
    )
    x = alt.X("own:Q", title="MiB", scale=scale, axis=alt.Axis(tickCount=5))
    return vega.specification(
        base.mark_bar(aria=False).encode(x=x, x2=alt.datum(0), color=alt.ColorValue("var(--overhead)")),
        base.mark_bar(aria=False).encode(x=x, x2=alt.X2("peak:Q"), color=vega.precision_colour()),
        base.mark_rule(aria=False, strokeWidth=1.5, color="var(--ink)").encode(x=alt.X("low:Q", scale=scale), x2=vega.HIGH),
        base.mark_text(align="left", dx=7, aria=False, color="var(--ink)").encode(x=alt.X("high:Q", scale=scale), text="said:N"),
        height=ROW_PX * len(rows),
    )
