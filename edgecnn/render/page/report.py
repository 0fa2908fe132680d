"""The report page: the table of candidates, the charts of each section, the reasons for missing figures, and the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from altair.utils.schemapi import debug_mode

from edgecnn.errors.base import visible
from edgecnn.judging.gates import bound_of
from edgecnn.judging.metrics import Source, charted
from edgecnn.render import figures, tables
from edgecnn.render.columns import RESIDENCY, Column, columns_of, interval_notes
from edgecnn.render.figures import tested_images
from edgecnn.render.page.charts.accuracy import class_loss_charts, training_charts
from edgecnn.render.page.charts.figure import (
    MARK_BY_FIDELITY,
    Figure,
    Mark,
    Table,
    common_missing_reason,
    drop_missing,
    residency_mark,
)
from edgecnn.render.page.charts.footprint import memory_chart, size_chart
from edgecnn.render.page.charts.intervals import drop_chart, end_to_end_chart, energy_chart, metric_chart, startup_chart
from edgecnn.render.page.charts.latency import latency_charts, steadiness_charts
from edgecnn.render.page.charts.load import sustained_charts, throughput_chart
from edgecnn.render.page.charts.residency import residency_charts
from edgecnn.render.page.charts.tradeoff import tradeoff_chart
from edgecnn.render.page.document import document
from edgecnn.render.sentences import (
    REFERENCES,
    gate_origin,
    gate_reason,
    knob_lines,
    learned_lines,
    reference_lines,
    size_lines,
    stated_gates_lines,
    verdict_reason,
)
from edgecnn.render.wording import joint_reason
from edgecnn.results.page import PageFacts, shown_digest
from edgecnn.values.profile import Environment
from edgecnn.values.report import BuildReport, CandidateFacts


@debug_mode(False)  # a test checks every chart against the schema; altair would check every part of each chart
def report_page(facts: PageFacts) -> str:
    """Return the page as text, for UTF-8."""
    shown = section_figures(facts)
    return document(
        "page.html.j2",
        [figure for figures in shown.values() for figure in figures],
        facts=facts,
        tables=tables,
        report=facts.report,
        decided=verdict_reason(facts.report.verdict, facts.report.gates),
        unlearned=learned_lines(facts.report.gates),
        gate_origin=gate_origin,
        dropped_lines=stated_gates_lines((), facts.report.gates_dropped),
        bound_of=bound_of,
        gate_reason=partial(gate_reason, require_measured=facts.report.require_measured),
        shows=shown_digest(facts.report),
        figures=shown,
        lacking=missing_figures(facts.report, shown),
        machine=machine(facts.report.environment),
        raced_under=race_conditions({raced.candidate: (raced.observed_at, raced.environment) for raced in facts.raced}),
        rows=candidate_rows(facts.report),
        tested_on=tested_images(facts.report),
        interval_notes=interval_notes(facts.report.candidates, columns_of(facts.report.candidates, "page")),
        packed=size_lines(facts.report.candidates, facts.report.choice.carried, named=str),
        knobs=knob_lines(facts.report.choice, named=str),
        references=[visible(line) for line in reference_lines(facts.report.references, named=str)],
        references_are=REFERENCES,
        columns=[(column.title, column.unit) for column in columns_of(facts.report.candidates, "page")],
        labels=label_table(facts.report),
        key_figures=key_figures(facts.report),
        no_accuracy="the images have no labels; the table below shows how often each candidate predicts the same class as fp32"
        if any(row.agreement is not None for row in facts.report.candidates)
        else "no candidate was evaluated on the test split",
    )


def label_table(report: BuildReport) -> dict[str, Any] | None:
    """Return the table of labels of the chosen candidate; None if an image has one class."""
    chosen = next((facts for facts in report.candidates if facts.chosen and facts.multi_label), None)
    if chosen is None or chosen.multi_label is None:
        return None
    rows = [tuple(visible(cell) for cell in row) for row in tables.label_rows(chosen.multi_label)]
    note = tables.label_note(chosen.multi_label)
    return {"candidate": chosen.candidate.id, "columns": tables.LABEL_COLUMNS, "rows": rows, "note": note}


@dataclass(frozen=True)
class Cell:
    """A figure, its mark, and a detail such as the number of images or the reason for a missing figure."""

    text: str
    mark: Mark
    detail: str = ""
    span: int = 1
    """Number of columns of the cell. Figures that are missing for the same reason share one cell."""
    level: str = ""
    """Confidence of the interval where no column states it."""

    @property
    def estimate(self) -> str:
        """Figure without its interval, for places where each has a line."""
        return self.text.estimate if isinstance(self.text, figures.FigureText) else self.text

    @property
    def interval(self) -> str:
        """Interval alone, with its unit; empty without an interval."""
        return self.text.interval if isinstance(self.text, figures.FigureText) else ""


@dataclass(frozen=True)
class Row:
    """One candidate. Charts show ``number`` if they have no room for names."""

    number: int
    facts: CandidateFacts
    cells: tuple[Cell, ...]
    verdict: str

    @property
    def tags(self) -> tuple[str, ...]:
        """Role of the candidate, its method, its surgery, and whether the device builds an engine."""
        candidate = self.facts.candidate
        parts = [word for word, holds in (("chosen", self.facts.chosen), ("baseline", self.facts.is_baseline)) if holds]
        method = "float" if candidate.precision.is_float else candidate.method.value
        return (
            *parts,
            *([method] if method != "float" else []),
            *([candidate.surgery.done] if candidate.surgery is not None else []),
            *(["engine built on the device"] if candidate.needs_engine else []),
        )


def candidate_rows(report: BuildReport) -> tuple[Row, ...]:
    """Return every candidate in the plan's order."""
    columns = columns_of(report.candidates, "page")
    return tuple(
        Row(number=number, facts=facts, cells=figure_cells(facts, columns), verdict=figures.verdict(facts))
        for number, facts in enumerate(report.candidates, start=1)
    )


def key_figures(report: BuildReport) -> tuple[tuple[str, Cell], ...]:
    """Return the main figures of the chosen candidate; empty if no candidate was chosen."""
    chosen = report.shipped
    if chosen is None:
        return ()
    left_out = {"drop_pp", "map_drop_pp", "others", "ratio_to_fp32"} if chosen.is_baseline else set()
    left_out |= {"ratio_to_fp32"} if chosen.latency is None or chosen.latency.p50_ms is None else set()
    columns = columns_of([chosen], "page")
    shown = [column for column in columns if column.name in _KEY_FIGURES and column.name not in left_out]
    figures_by_name = []
    for column in shown:
        cell = _cell(column, chosen)
        if cell.text != "missing":  # a missing figure keeps its reason
            disturbed = column.name in _TIMES and chosen.latency is not None and chosen.latency.disturbed
            value = column.cell(chosen).value
            level = f" ({figures.level(value.confidence)})" if value is not None and cell.interval else ""
            cell = replace(cell, detail="disturbed" if disturbed else "", level=level)
        figures_by_name.append((_KEY_FIGURES[column.name], cell))
    return tuple(figures_by_name)


_KEY_FIGURES = {
    "top1": "top-1",
    "drop_pp": "drop",
    "map": "mAP",
    "map_drop_pp": "drop",
    "agreement": "agreement with fp32",
    "p50_ms": "median latency, ms",
    "ratio_to_fp32": "speed-up",
    "size_mib": "size, MiB",
    RESIDENCY: "executed precision",
}
_TIMES = ("p50_ms", "p99_ms", "ratio_to_fp32")


def figure_cells(facts: CandidateFacts, columns: Sequence[Column]) -> tuple[Cell, ...]:
    """Return the figures of one candidate. If no time was measured, the times share one cell."""
    latency = facts.latency
    untimed = latency is None or (latency.p50_ms is None and latency.p99_ms is None)
    first = _TIMES[0] if facts.forecast is None else _TIMES[1]
    spans = {first: sum(column.name in _TIMES[_TIMES.index(first) :] for column in columns)} if untimed else {}
    return tuple(
        replace(_cell(column, facts), span=spans.get(column.name, 1))
        for column in columns
        if not (untimed and column.name in _TIMES[_TIMES.index(first) + 1 :])
    )


def _cell(column: Column, facts: CandidateFacts) -> Cell:
    cell = column.cell(facts)
    mark = residency_mark(facts.residency) if column.name == RESIDENCY else MARK_BY_FIDELITY[cell.fidelity]
    return Cell("missing" if cell.text is None else cell.text, mark, cell.why)


_OPTIONS = {
    "throughput by batch": ("throughput", "--batches 1,8,best"),
    "end to end": ("end_to_end", "--end-to-end"),
    "sustained load": ("sustained", "--soak 60s"),
}
"""Measurements that need an option: the field of the candidate, and the option."""


def section_figures(facts: PageFacts) -> Mapping[str, tuple[Figure, ...]]:
    """Return the charts of each section in order."""
    report = facts.report
    use = (startup_chart(report), end_to_end_chart(report), throughput_chart(report))
    return {
        "tradeoff": drop_missing((tradeoff_chart(report), drop_chart(report))),
        "quality": quality_figures(report),
        "latency": (*latency_charts(facts), *drop_missing(_metric_charts(report, "latency")), *steadiness_charts(report)),
        "use": (*drop_missing(use), *sustained_charts(report)),
        "residency": residency_charts(report),
        "size": drop_missing(
            (size_chart(report), memory_chart(report), energy_chart(report), *_metric_charts(report, "size", "memory", "energy"))
        ),
        "training": training_charts(facts.history) if facts.history else (),
    }


def missing_figures(report: BuildReport, figures: Mapping[str, tuple[Figure, ...]]) -> Mapping[str, tuple[str, ...]]:
    """Return the missing figures of each section, one line each."""
    there = {figure.id for figure in (*figures["use"], *figures["size"])}
    reasons = (facts.latency.reason for facts in report.candidates if facts.latency)
    untimed = next((reason for reason in reasons if reason), "no candidate was timed")
    lacking = [] if "startup" in there else [f"start-up: {untimed}"]
    lacking += [line for what in _OPTIONS if (line := _missing_option_text(report, there, what))]
    footprint = [] if "memory" in there else [f"memory: {common_missing_reason(report, 'memory')}"]
    footprint += [] if "energy" in there else [f"energy: {common_missing_reason(report, 'energy')}"]
    return {"use": tuple(lacking), "size": tuple(footprint)}


def quality_figures(report: BuildReport) -> tuple[Figure, ...]:
    """Return a chart for each other metric of accuracy, then the classes of the chosen candidate."""
    return (*drop_missing(_metric_charts(report, "accuracy")), *class_loss_charts(report))


def _metric_charts(report: BuildReport, *sources: Source) -> list[Figure | None]:
    """Return the charts of metrics without a chart function."""
    return [metric_chart(metric, report) for metric in charted(*sources)]


def _missing_option_text(report: BuildReport, there: Iterable[str], what: str) -> str | None:
    field, option = _OPTIONS[what]
    if field.replace("_", "-") in there:
        return None
    if all(getattr(facts, field) is None for facts in report.candidates):
        return f"{what}: not measured. Pass {option} to measure"
    whys = {facts.candidate.id: why for facts in report.candidates if (why := _missing_reason_of(facts, field))}
    return f"{what}: {joint_reason(whys) or 'no candidate has a figure'}"


def _missing_reason_of(facts: CandidateFacts, field: str) -> str | None:
    if field == "throughput":
        return facts.throughput.reason if facts.throughput else None
    return facts.end_to_end.latency.reason if field == "end_to_end" and facts.end_to_end else None


_FACT_NAMES: Mapping[str, tuple[str, str]] = {
    "cpu": ("processor", ""),
    "isa": ("instruction sets", ""),
    "cores": ("cores used", ""),
    "affinity": ("core numbers", ""),
    "cpu_limit": ("core limit of the container", ""),
    "governor": ("governor", ""),
    "power_mode": ("power mode", ""),
    "clocks": ("allowed clocks", ""),
    "frequency_mhz": ("clock", "MHz"),
    "temperature_c": ("temperature", "°C"),
    "throttled": ("throttled", ""),
    "load_1min": ("load, 1 min", ""),
    "steal_percent": ("CPU time taken by the hypervisor", "%"),
    "others_percent": ("CPU time of other programs", "%"),
    "processors_online": ("processors online", ""),
    "memory_total_mib": ("memory", "MiB"),
    "memory_available_mib": ("memory available", "MiB"),
    "memory_limit_mib": ("memory limit of the container", "MiB"),
    "kernel": ("kernel", ""),
    "driver": ("driver", ""),
    "gpu": ("GPU", ""),
    "webgpu_adapter": ("WebGPU adapter", ""),
    "python": ("Python", ""),
    "architecture": ("architecture", ""),
    "model": ("board or machine", ""),
    "cpu_vendor": ("processor vendor", ""),
    "machine": ("digest of the machine", ""),
    "energy_meters": ("energy meters", ""),
    "energy_absent": ("reason for no energy meter", ""),
}
_EXPECTED_FACTS = (
    "cpu", "isa", "cores", "affinity", "cpu_limit", "governor", "frequency_mhz", "temperature_c", "throttled", "load_1min",
    "steal_percent",
)  # fmt: skip
"""Facts that every machine has. Others, such as a driver, a GPU or a memory limit, are optional."""
_RACE_FACTS = (
    "runtime", "runtime_version", "cores", "affinity", "cpu_limit", "governor", "frequency_mhz", "temperature_c", "throttled",
    "load_1min", "steal_percent", "others_percent", "webgpu_adapter",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Facts of a machine: names with values, and names of unavailable facts."""

    read: tuple[tuple[str, str], ...]
    unread: tuple[str, ...]


def machine(environment: Environment) -> Machine:
    """Return the facts of one environment, with the known names first in a fixed order."""
    readings = {**environment.conditions, **environment.observed}
    known = [(_FACT_NAMES[name][0], _value(name, readings[name])) for name in _FACT_NAMES if name in readings]
    other = [(name.replace("_", " "), value) for name, value in readings.items() if name not in _FACT_NAMES]
    unread = tuple(_FACT_NAMES[name][0] for name in _EXPECTED_FACTS if name not in readings) if readings else ()
    return Machine(read=(*known, *other), unread=unread)


def race_conditions(environments: Mapping[str, tuple[str, Environment]]) -> Table:
    """Return the conditions of each race, by candidate. A condition that no race recorded has no column."""
    every = {name: {**environment.conditions, **environment.observed} for name, (_, environment) in environments.items()}
    names = [name for name in _RACE_FACTS if any(name in readings for readings in every.values())]
    rows = tuple(
        (name, when, *(_value(column, every[name].get(column, "not available")) for column in names))
        for name, (when, _) in environments.items()
    )
    heads = (_FACT_NAMES[name][0] if name in _FACT_NAMES else name.replace("_", " ") for name in names)
    return Table(caption="Conditions of each race", columns=("candidate", "when", *heads), rows=rows)


def _value(name: str, value: str) -> str:
    unit = _FACT_NAMES[name][1] if name in _FACT_NAMES else ""
    return f"{value} {unit}" if unit and value[:1].isdigit() else value
