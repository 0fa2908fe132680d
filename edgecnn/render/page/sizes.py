"""How large the files are that ship."""

from __future__ import annotations

import altair as alt

from edgecnn.render import figures
from edgecnn.render.page import vega
from edgecnn.render.page.figure import Figure, Source, Table
from edgecnn.render.page.marks import MEASURED, MISSING
from edgecnn.values.report import BuildReport

ROW_PX = 32


def sizes(report: BuildReport) -> Figure | None:
    """MiB of the model's own files by candidate; None where no kit was packaged."""
    known = [(facts, facts.size_mib) for facts in report.candidates if facts.size_mib is not None]
    if not known:
        return None
    absent = [facts.candidate.id for facts in report.candidates if facts.size_mib is None]
    smallest, size = min(known, key=lambda each: each[1])
    rows = [
        {
            "label": facts.candidate.id, "precision": facts.candidate.precision.value, "mib": mib,
            "candidate": facts.candidate.id, "MiB": figures.size(mib),
        }
        for facts, mib in known
    ]  # fmt: skip
    base = alt.Chart(vega.chart_data(rows)).encode(
        y=vega.names_down([facts.candidate.id for facts, _ in known]),
        x=alt.X(
            "mib:Q", title="MiB", scale=alt.Scale(domain=[0, max(mib for _, mib in known) * 1.2]), axis=alt.Axis(tickCount=6)
        ),
    )
    bars = base.mark_bar(aria=False).encode(
        color=vega.precision_colour(), tooltip=[alt.Tooltip("candidate:N"), alt.Tooltip("MiB:N")]
    )
    numbers = base.mark_text(align="left", dx=6, aria=False, color="var(--ink)").encode(text="MiB:N")
    chart = alt.layer(bars, numbers).properties(width="container", height=ROW_PX * len(known))
    return Figure(
        id="sizes",
        title="Size on the device's disk",
        says=f"{smallest.candidate.id} is the smallest, at {figures.size(size)} MiB.",
        sources=(
            Source(MEASURED, "bytes of the model's own files in each kit, without runner and golden images"),
            *([Source(MISSING, f"{', '.join(absent)}: not packaged")] if absent else []),
        ),
        spec=vega.specification(chart),
        legend=vega.in_legend(facts.candidate.precision.value for facts, _ in known),
        table=Table(
            caption="Size of the model's files in MiB",
            columns=("candidate", "MiB"),
            rows=tuple((facts.candidate.id, figures.size(mib)) for facts, mib in known),
        ),
    )
