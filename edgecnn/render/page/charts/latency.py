"""Charts of the latency of every run, and of runs that became steady. A bar of means would hide tail and spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from edgecnn.errors.wording import counted
from edgecnn.judging.metrics import SHOWN
from edgecnn.render import figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, Figure, Mark, Source, Table, sources_of
from edgecnn.render.wording import lines_by_reason
from edgecnn.results.page import SHARES, PageFacts, Raced, RunShape
from edgecnn.runner.runs.figures import RUNS_NEEDED
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import Candidate, Runtime
from edgecnn.values.figures import Steady
from edgecnn.values.report import BuildReport, CandidateFacts

NAMED = 3
"""Number of candidates in the sentence above a chart. The table has all candidates."""
RUN_PX, GAP_LINES, NAME_LINES = 8, 1, 2
"""Height of the line of a run, number of empty lines around a candidate, and number of lines for its name."""
_THIN = " Thin lines are of the first race: do not compare them with the others."
_BLANK = "\x01"
"""Prefix of axis labels that are not names."""
CURVES_HEIGHT_PX = 300
LOG_FROM = 5.0
"""If the largest time is this many times the smallest, the axis is logarithmic."""
_PURPOSES = {
    "report": "the final race: the chosen candidate, fp32 and the best other precision",
    "select": "the first race",
}
_GLYPH = "Each bar is one process run: tick, median; dark, middle half; light, 5 to 95 %; line, smallest to largest."
_CAPTION = (
    "Warm latency of each process run in milliseconds; first: the first inference of the process; loading: opening the model"
)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_COLUMNS = ("samples", "smallest", "median", "95 %", "99 %", "largest", "first", "loading")


def latency_charts(facts: PageFacts) -> tuple[Figure, ...]:
    """Return the quantiles and the cumulative distribution of every run; empty if the store has no samples."""
    if not facts.raced:
        return ()
    candidates = {row.candidate.id: row.candidate for row in facts.report.candidates}
    names: dict[tuple[Mark, str, str], list[str]] = {}
    for raced in facts.raced:
        names.setdefault((MARK_BY_FIDELITY[raced.fidelity], raced.purpose, raced.observed_at), []).append(raced.candidate)
    sources = tuple(
        Source(mark, f"{', '.join(whose)}: {_PURPOSES[purpose]}, {when}") for (mark, purpose, when), whose in names.items()
    )
    runtimes = dict.fromkeys(candidates[raced.candidate].runtime.value for raced in facts.raced)
    dashes = ", ".join(f"{backend_for(Runtime(name)).line.word} for {name}" for name in runtimes)
    legend = vega.ordered_precisions(candidates[raced.candidate].precision.value for raced in facts.raced)
    return (
        Figure(
            id="runs",
            title="Latency of each run",
            says=f"{_GLYPH} {_medians_sentence(facts)}{_two_races_sentence(facts.raced)}",
            sources=sources,
            spec=_runs_spec(facts.raced, candidates),
            table=_runs_table(facts.raced, _CAPTION, _COLUMNS, _run_cells),
            legend=legend,
            sifts=True,
            notes=_race_notes(facts),
        ),
        Figure(
            id="curves-of-latency",
            title="Cumulative distribution of latency",
            says=f"One line per run; {dashes}. Steep lines close together show steady runs. A line away from the others shows a"
            " run under different conditions. Point at a line to highlight its candidate."
            + _THIN
            * bool(_two_races_sentence(facts.raced)),
            sources=tuple(Source(mark, "the same runs") for mark in dict.fromkeys(source.mark for source in sources)),
            spec=_curves_spec(facts.raced, candidates),
            table=_runs_table(
                facts.raced,
                "Latency quantiles of each run in milliseconds",
                [f"{share * 100:.0f} %" for share in _QUANTILES],
                lambda run: (f"{_quantile_ms(run, share):.3f}" for share in _QUANTILES),
            ),
            legend=legend,
            sifts=True,
        ),
    )


def _medians_sentence(facts: PageFacts) -> str:
    known = [(median, row) for row in facts.report.candidates if (median := SHOWN["p50_ms"].value(row))]
    if not known:
        return "No candidate has enough runs for an interval. The chart shows the runs without intervals."
    ranked = sorted(known, key=lambda item: (bool(item[1].latency and item[1].latency.selecting), item[0].estimate))
    medians = "; ".join(f"{row.candidate.id} {figures.p50(row.latency)} ms" for _, row in ranked[:NAMED])
    return (
        f"Medians over runs with intervals (ˢ: estimate from the first race): {medians}. "
        "Gates compare only candidates from the same race."
    )


def _race_notes(facts: PageFacts) -> tuple[str, ...]:
    drawn = {raced.candidate for raced in facts.raced}
    few = [raced for raced in facts.raced if len(raced.runs) < RUNS_NEEDED and raced.purpose != "select"]
    known = [(row.candidate.id, row.latency) for row in facts.report.candidates if row.latency]
    reasons = {row.candidate.id: row.latency.reason if row.latency else None for row in facts.report.candidates}
    return (
        *(f"{raced.candidate}: {counted(len(raced.runs), 'run')}; no interval" for raced in few),
        *(
            f"{name} was disturbed: {of.disturbed}. A disturbed race can prove that a kit is fast, but not that it is slow"
            for name, of in known
            if of.disturbed
        ),
        *(f"{name}: {of.stopped}" for name, of in known if of.stopped),
        *(
            f"{name} is not drawn: {reason or 'its samples are not in the store'}"
            for name, reason in reasons.items()
            if name not in drawn
        ),
    )


def _race_name(race: Raced, raced: Sequence[Raced]) -> str:
    """Return the candidate, with a mark for the first race if the chart shows two races."""
    mixed = len({other.purpose for other in raced}) > 1
    return race.candidate + (figures.SELECTING if mixed and race.purpose == "select" else "")


def _two_races_sentence(raced: Sequence[Raced]) -> str:
    if len({race.purpose for race in raced}) < 2:
        return ""
    return f" Names with {figures.SELECTING} are of the first race: do not compare their times with those of the final race."


def _run_number(raced: Raced, run: RunShape) -> int:
    return sorted(other_run.round for other_run in raced.runs).index(run.round) + 1


def _quantile_ms(run: RunShape, share: float) -> float:
    return run.at_ms[SHARES.index(share)]


def _runs_spec(raced: Sequence[Raced], candidates: Mapping[str, Candidate]) -> dict[str, Any]:
    rows = [
        {
            "slot": _axis_slot(place, race, _run_number(race, run), _race_name(race, raced)),
            "lane": _run_number(race, run),
            "precision": candidates[race.candidate].precision.value,
            "min": _quantile_ms(run, 0.0), "low": _quantile_ms(run, 0.05), "q1": _quantile_ms(run, 0.25),
            "median": _quantile_ms(run, 0.5), "q3": _quantile_ms(run, 0.75), "high": _quantile_ms(run, 0.95),
            "max": _quantile_ms(run, 1.0),
            "candidate": _race_name(race, raced), "samples": f"{run.samples:,}", "run of the race": str(_run_number(race, run)),
            "median, ms": f"{_quantile_ms(run, 0.5):.3f}",
            "5 to 95 %, ms": f"{_quantile_ms(run, 0.05):.3f} to {_quantile_ms(run, 0.95):.3f}",
            "largest, ms": f"{_quantile_ms(run, 1.0):.3f}",
        }
        for place, race in enumerate(raced)
        for run in race.runs
    ]  # fmt: skip
    slots = _axis_slots(raced)
    names = alt.Axis(labelExpr=f"indexof(datum.label, '{_BLANK}') < 0 ? datum.label : ''", labelOverlap=False, grid=False)
    y = alt.Y("slot:N", title=None, scale=alt.Scale(domain=slots, paddingInner=0.15), axis=names)
    scale, title = _latency_scale(raced)
    base = alt.Chart(vega.chart_data(rows)).transform_filter(vega.IS_SHOWN)
    base = base.encode(y=y, color=vega.precision_colour())
    x = alt.X("median:Q", title=title, scale=scale, axis=alt.Axis(tickCount=8))
    tips = vega.tooltips("candidate", "run of the race", "samples", "median, ms", "5 to 95 %, ms", "largest, ms")
    ticks = base.mark_tick(thickness=2.5, color="var(--ink)", bandSize=RUN_PX, aria=False)
    return vega.layered_spec(
        base.mark_rule(strokeWidth=1, opacity=0.55, aria=False).encode(x=alt.X("min:Q", title=title, scale=scale), x2="max:Q"),
        base.mark_bar(opacity=0.45, aria=False).encode(x=alt.X("low:Q", scale=scale), x2=vega.HIGH, tooltip=tips),
        base.mark_bar(opacity=1, aria=False).encode(x=alt.X("q1:Q", scale=scale), x2=alt.X2("q3:Q"), tooltip=tips),
        ticks.encode(x=x, color=vega.INK, tooltip=tips),
        base.mark_point(size=12, filled=True, opacity=0.8, aria=False).encode(x=alt.X("max:Q", scale=scale), tooltip=tips),
        height=len(slots) * RUN_PX,
        sifts=True,
    )


def _axis_slot(place: int, raced: Raced, lane: int, name: str) -> str:
    """Return the axis label of a run. Only the middle run of a candidate shows the name."""
    return name if lane == (len(raced.runs) + 1) // 2 else f"{_BLANK}{place} {lane}"


def _axis_slots(raced: Sequence[Raced]) -> list[str]:
    """Return every line from top to bottom, one per run, with room between candidates."""
    slots: list[str] = []
    for place, race in enumerate(raced):
        edge = GAP_LINES if len(race.runs) >= NAME_LINES else NAME_LINES
        slots += [f"{_BLANK}{place} above {number}" for number in range(edge)]
        slots += [_axis_slot(place, race, lane, _race_name(race, raced)) for lane in range(1, len(race.runs) + 1)]
        slots += [f"{_BLANK}{place} below {number}" for number in range(edge)]
    return slots


def _curves_spec(raced: Sequence[Raced], candidates: Mapping[str, Candidate]) -> dict[str, Any]:
    shares = [round(share * 100, 1) for share in SHARES]
    rows = [
        {
            "candidate": _race_name(race, raced), "thickness": 0.6 if _race_name(race, raced) != race.candidate else 1.5,
            "line": f"{place}-{run.round}", "run of the race": str(_run_number(race, run)),
            "precision": candidates[race.candidate].precision.value, "runtime": candidates[race.candidate].runtime.value,
            "ms": [float(f"{ms:.5g}") for ms in run.at_ms], "share": shares,
        }
        for place, race in enumerate(raced)
        for run in race.runs
    ]  # fmt: skip
    picked = alt.selection_point(name="picked", fields=["candidate"], on="pointerover", clear="pointerout", nearest=False)
    scale, title = _latency_scale(raced)
    base = alt.Chart(vega.chart_data(rows)).transform_filter(vega.IS_SHOWN).transform_flatten(["ms", "share"])
    base = base.encode(
        x=alt.X("ms:Q", title=title, scale=scale, axis=alt.Axis(tickCount=8)),
        y=alt.Y("share:Q", title="% of a run's inferences", scale=alt.Scale(domain=[0, 100])),
        detail=alt.Detail("line:N"),
    )
    lines = base.mark_line(interpolate="monotone", aria=False).encode(
        strokeWidth=alt.StrokeWidth("thickness:Q", scale=None),
        color=vega.precision_colour(),
        strokeDash=vega.runtime_dashes(candidates[race.candidate].runtime.value for race in raced),
        opacity=alt.condition(picked, alt.value(0.85), alt.value(0.1)),
    )
    tips = vega.tooltips("candidate", "run of the race")
    wide = base.mark_line(strokeWidth=9, opacity=0.001, interpolate="monotone", aria=False).encode(tooltip=tips)
    return vega.layered_spec(lines, wide.add_params(picked), height=CURVES_HEIGHT_PX, sifts=True)


def _latency_scale(raced: Sequence[Raced]) -> tuple[alt.Scale, str]:
    """Return the scale of both charts, and its title."""
    runs = [run for race in raced for run in race.runs]
    least, most = min(_quantile_ms(run, 0.0) for run in runs), max(_quantile_ms(run, 1.0) for run in runs)
    if least > 0 and most / least > LOG_FROM:
        return alt.Scale(type="log", nice=False, domain=[least * 0.95, most * 1.05]), "milliseconds per image, logarithmic"
    return alt.Scale(nice=True, domain=[least, most]), "milliseconds per image"


def _runs_table(
    raced: Sequence[Raced], caption: str, columns: Sequence[str], cells: Callable[[RunShape], Iterable[str]]
) -> Table:
    rows = tuple((_race_name(race, raced), str(_run_number(race, run)), *cells(run)) for race in raced for run in race.runs)
    return Table(caption=caption, columns=("candidate", "run", *columns), rows=rows)


def _run_cells(run: RunShape) -> tuple[str, ...]:
    return (
        f"{run.samples:,}", f"{_quantile_ms(run, 0.0):.3f}", f"{_quantile_ms(run, 0.5):.3f}", f"{_quantile_ms(run, 0.95):.3f}",
        "n/a, needs 1,000" if run.p99_ms is None else f"{run.p99_ms:.3f}", f"{_quantile_ms(run, 1.0):.3f}", f"{run.first_ms:.2f}",
        "–" if run.load_ms is None else f"{run.load_ms:.1f}",
    )  # fmt: skip


ROW_PX = 32
STATES: Mapping[str, tuple[str, str]] = {
    "flat": ("steady from the start", "var(--accent)"),
    "faster": ("warmed up, then steady", "var(--bf16)"),
    "slower": ("slowed, then steady", "var(--int8)"),
    "unsettled": ("still changing at the end", "var(--FAIL)"),
    "short": ("too short to tell", "var(--overhead)"),
}
"""Text and colour of each field of ``Steady``."""
_SETTLING = ("timing began before steady state", "time to steady state, ms")


def steadiness_charts(report: BuildReport) -> tuple[Figure, ...]:
    """Return the chart of runs by state for each candidate; empty if no candidate was timed."""
    known = [(facts, of, of.steady) for facts in report.candidates if (of := facts.latency) and of.runs and of.steady]
    if not known:
        return ()
    changing = [facts.candidate.id for facts, _, steady in known if steady.unsettled]
    whose = "every candidate" if len(changing) == len(known) > 1 else ", ".join(changing)
    words = f"Latency was still changing at the end of some runs of {whose}" if changing else "No run was still changing"
    figure = Figure(
        id="steady",
        title="Steady state of the runs",
        says=f"{words}. Every figure includes all runs.",
        sources=sources_of((latency for _, latency, _ in known), lambda of: f"runs of the race, on {of.machine}"),
        spec=_steady_spec([(facts, steady) for facts, _, steady in known]),
        table=Table(
            caption="Process runs of the race by state",
            columns=("candidate", *(words for words, _ in STATES.values()), *_SETTLING),
            rows=tuple(
                (
                    facts.candidate.id, *(str(getattr(steady, name)) for name in STATES), str(steady.late),
                    figures.milliseconds(steady.after_ms),
                )
                for facts, _, steady in known
            ),
        ),
        notes=lines_by_reason({facts.candidate.id: steady.says for facts, _, steady in known}),
        half=True,
    )  # fmt: skip
    return (figure,)


def _steady_spec(known: Sequence[tuple[CandidateFacts, Steady]]) -> dict[str, Any]:
    rows = [
        {
            "candidate": facts.candidate.id, "label": facts.candidate.id, "state": words, "order": order,
            "runs": getattr(steady, name),
            "said": f"{getattr(steady, name)} of {sum(getattr(steady, field) for field in STATES)}",
        }
        for facts, steady in known
        for order, (name, (words, _)) in enumerate(STATES.items())
        if getattr(steady, name)
    ]  # fmt: skip
    present = [state for state in STATES.values() if any(row["state"] == state[0] for row in rows)]
    colours = alt.Scale(domain=[words for words, _ in present], range=[colour for _, colour in present])
    legend = alt.Legend(orient="bottom", title=None, columns=1, labelLimit=260, symbolType="square")
    x = alt.X("sum(runs):Q", title="process runs", axis=alt.Axis(tickMinStep=1, format="d"))
    tips = [*vega.tooltips("candidate", "state"), alt.Tooltip("said:N", title="runs")]
    return vega.stacked_bars(rows, x, alt.Color("state:N", scale=colours, legend=legend), tips, ROW_PX)
