"""``report.md``: the complete report as Markdown, to paste into a review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from edgecnn.render import figures, tables
from edgecnn.render.columns import columns_of, legend, text_rows
from edgecnn.render.sentences import (
    REFERENCES,
    error_rates,
    extent_lines,
    footprint_lines,
    gate_name,
    gate_reason,
    knob_lines,
    latency_lines,
    learned_lines,
    next_purpose,
    reference_lines,
    residency_lines,
    result_line,
    size_lines,
    stated_gates_lines,
)
from edgecnn.render.wording import lines_by_reason, markdown_cell, markdown_code, markdown_text, visible_lines
from edgecnn.results.explain import next_step
from edgecnn.values.report import BuildReport, CandidateFacts


def report_markdown(report: BuildReport) -> str:
    """Return the report: the result, the table, the next step, then details."""
    build, choice, rates, unlearned = report.build, report.choice, error_rates(report.gates), learned_lines(report.gates)
    reasons = (gate_reason(g, require_measured=report.require_measured) for g in report.gates)
    gates = (
        f"**{g.verdict.value}** " + markdown_text(f"{gate_name(g.gate)} ({g.gate.required}): {why}")
        for g, why in zip(report.gates, reasons, strict=True)
    )
    notes = [*stated_gates_lines(report.gates, report.gates_dropped), *([] if rates is None else [rates])]
    parts = [
        f"# {markdown_text(f'{build.arch} on {build.device}')}: {report.verdict.value}"
        + (", not shown to have learned" if unlearned else ""),
        *(f"**{markdown_text(line)}**" for line in unlearned),
        *([] if unlearned else [markdown_text(result_line(report))]),
        markdown_text(f"Choice: {choice.why}"),
        _table([column.heading for column in columns_of(report.candidates)], text_rows(report.candidates)),
        _table_legend(report),
        _next_section(report),
        _items("Gates", [*gates, *map(markdown_text, notes)]),
        _quality_section(report),
        _classes_section(report),
        _labels_section(report),
        _section("Why each candidate was or was not chosen", _reasons(report.candidates)),
        _section("Latency", latency_lines(report.candidates)),
        _section("Runtime knobs", knob_lines(report.choice)),
        _section("Throughput, end to end, sustained", extent_lines(report.candidates)),
        _section("Size", size_lines(report.candidates, report.choice.carried)),
        _section("Executed precision", residency_lines(report.candidates)),
        _section("Memory and energy", footprint_lines(report.candidates)),
        _section(REFERENCES, reference_lines(report.references)),
        _desktop_section(report),
        _section("Notes", report.notices),
        _section("In the bundle, but not run here", report.unexecuted),
        _settle_section(report),
        _section("Not supported", [f"{u.runtime.value} {u.precision.value}: {u.why}" for u in report.unsupported]),
        _section("Candidates not tried", lines_by_reason(report.skipped_rungs)),
        _section("The build", _build_lines(report)),
    ]
    return visible_lines("\n\n".join(part for part in parts if part) + "\n")


def _next_section(report: BuildReport) -> str:
    if (step := next_step(report)) is None:
        return ""
    return f"## What to do next\n\n{markdown_text(next_purpose(step, report.build.device))}: {markdown_code(step.command)}"


def _settle_section(report: BuildReport) -> str:
    command, step = report.choice.settle_command, next_step(report)
    shown = command is None or (step is not None and step.command == command)
    return "" if command is None or shown else _items("To settle the choice", [markdown_code(command)])


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(map(markdown_cell, cells)) for cells in (columns, *rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (lines[0], ["---"] * len(columns), *lines[1:]))


def _reasons(candidates: Iterable[CandidateFacts]) -> Iterator[str]:
    for facts in candidates:
        if facts.reason:
            kept_float = f"; left in float: {', '.join(map(markdown_code, facts.kept_float))}" if facts.kept_float else ""
            yield f"{markdown_code(facts.candidate.id)}: {facts.reason}{kept_float}"


def _classes_section(report: BuildReport) -> str:
    chosen = next((facts for facts in report.candidates if facts.chosen and facts.test), None)
    if chosen is None or chosen.test is None or (shown := chosen.test.shown_quality) is None:
        return ""
    classes = shown.classes
    table = _table(tables.class_columns(classes), tables.class_rows(classes))
    note = tables.missing_intervals_note([chosen.test]) if tables.lacks_intervals(classes) else ""
    parts = [f"## Classes of {markdown_text(chosen.candidate.id)}", table, note, tables.unlisted_classes(classes)]
    return "\n\n".join(part for part in parts if part)


def _quality_section(report: BuildReport) -> str:
    rows = [cells for facts in report.candidates if (cells := tables.quality_row(facts)) is not None]
    if not rows:
        return ""
    title = "mAP" if any(facts.multi_label is not None for facts in report.candidates) else "top-1"
    legend = tables.quality_legend(report.candidates)
    return f"## Beyond {title}\n\n{_table(tables.quality_columns(report.candidates), rows)}\n\n{legend}"


def _labels_section(report: BuildReport) -> str:
    chosen = next((facts for facts in report.candidates if facts.chosen and facts.multi_label), None)
    if chosen is None or chosen.multi_label is None:
        return ""
    labels = chosen.multi_label
    table = _table(tables.LABEL_COLUMNS, tables.label_rows(labels))
    return f"## Labels of {markdown_text(chosen.candidate.id)}\n\n{table}\n\n{markdown_text(tables.label_note(labels))}"


def _table_legend(report: BuildReport) -> str:
    split = figures.tested_images(report)
    measure = "Mean average precision" if any(facts.multi_label is not None for facts in report.candidates) else "Accuracy"
    sentence = (
        f"{measure} and drop on the test split ({split}), which the choice does not use. The drop is paired with fp32 by image."
    )
    if any(facts.agreement is not None for facts in report.candidates):
        sentence = f"Agreement with fp32 on the test split ({split}), which the choice does not use. {figures.NO_ACCURACY}"
    return "  \n".join(map(markdown_text, [sentence, *legend(report.candidates)]))


def _section(title: str, lines: Iterable[str]) -> str:
    return _items(title, map(markdown_text, lines))


def _items(title: str, lines: Iterable[str]) -> str:
    """Return a section of lines that are Markdown already."""
    items = [f"- {line}" for line in lines]
    return "\n".join([f"## {title}", "", *items]) if items else ""


def _desktop_section(report: BuildReport) -> str:
    table = _table(tables.DESKTOP_COLUMNS, tables.desktop_rows(report.baseline))
    notes = tables.desktop_notes(report.baseline)
    title = f"## Desktop GPU: {markdown_text(report.baseline.device)}"
    return "\n\n".join([title, table, "  \n".join(map(markdown_text, notes))]) if notes else ""


def _build_lines(report: BuildReport) -> list[str]:
    build = report.build
    macs = f", {figures.multiply_adds(build.macs)} multiply-adds" if build.macs else ""
    splits = ", ".join(f"{role} {count}" for role, count in build.splits.items())
    return [
        f"{build.arch}, {build.parameters:,} parameters{macs} at {build.resolution_px} px",
        *([f"images: {build.photographs}"] if build.photographs else []),
        *([f"scaled: {build.scale.sentence()}"] if build.scale else []),
        f"weights: {build.weights}",
        *([f"licence of the weights: {build.weights_published.licence}"] if build.weights_published else []),
        f"data: {build.data}; {build.classes} classes; {splits}",
        f"desktop-GPU baseline: {tables.desktop_sentence(report.baseline)}",
        f"edgecnn {report.version}, {report.made_at}, {report.seconds:.0f} s",
        f"command: {markdown_code(build.command)}",
    ]
