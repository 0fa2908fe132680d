"""``report.md``: the whole report as text that can be pasted into a review."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecnn.errors.base import visible
from edgecnn.render import desktop, figures, quality
from edgecnn.render.gates import decided, error_rates, gate_reason, learned_lines
from edgecnn.render.sentences import (
    REFERENCES,
    extent_lines,
    footprint_lines,
    knob_lines,
    latency_lines,
    reference_lines,
    residency_lines,
    size_lines,
)
from edgecnn.render.wording import grouped, visible_lines
from edgecnn.values.report import BuildReport, CandidateFacts


def report_markdown(report: BuildReport) -> str:
    """The report, verdict first."""
    build, choice, rates, unlearned = report.build, report.choice, error_rates(report.gates), learned_lines(report.gates)
    gates = (
        f"**{g.verdict.value}** {g.gate.side} {g.gate.metric} {g.gate.bound:g} ({g.gate.required}): {gate_reason(g)}"
        for g in report.gates
    )
    parts = [
        f"# {build.arch} on {build.device}: {report.verdict.value}" + (", not shown to have learned" if unlearned else ""),
        *(f"**{line}**" for line in unlearned),
        ". ".join(each for each in (decided(report.verdict, report.gates), choice.why) if each),
        _table(tuple(figures.headings(report.candidates).values()), (figures.row(facts) for facts in report.candidates)),
        _legend(report),
        _section("Gates", [*gates, *([] if rates is None else [rates])]),
        _beyond(report),
        _classes(report),
        _labels(report),
        _section("Why each candidate stands where it does", map(_why, (each for each in report.candidates if each.reason))),
        _section("Latency", latency_lines(report.candidates)),
        _section("Runtime knobs", knob_lines(report.choice)),
        _section("Throughput, end to end, sustained", extent_lines(report.candidates)),
        _section("Size", size_lines(report.candidates, report.choice.carried)),
        _section("What really ran", residency_lines(report.candidates)),
        _section("Memory and energy", footprint_lines(report.candidates)),
        _section(REFERENCES, map(_inert, reference_lines(report.references))),
        _desktop(report),
        _section("What to know before believing the table", report.notices),
        _section("Ships, but was not run here", report.unexecuted),
        _section("To measure on the device", [f"`{choice.settle_command}`"] if choice.settle_command else []),
        _section("Not supported", [f"{u.runtime.value} {u.precision.value}: {u.why}" for u in report.unsupported]),
        _section("Rungs not climbed", grouped(report.skipped_rungs)),
        _section("The build", _build_lines(report)),
    ]
    return visible_lines("\n\n".join(part for part in parts if part) + "\n")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in cells) + " |" for cells in lines)


def _why(facts: CandidateFacts) -> str:
    kept = f"; left in float: {', '.join(f'`{name}`' for name in facts.kept_float)}" if facts.kept_float else ""
    return f"`{facts.candidate.id}`: {facts.reason}{kept}"


def _classes(report: BuildReport) -> str:
    """Of the candidate that ships: a reader wants to know what their classes will be like."""
    chosen = next((facts for facts in report.candidates if facts.chosen and facts.test and facts.test.quality), None)
    if chosen is None or chosen.test is None or chosen.test.quality is None:
        return ""
    classes = chosen.test.quality.classes
    table = _table(quality.CLASS_COLUMNS, quality.class_rows(classes))
    parts = [f"## Classes of {chosen.candidate.id}", table, quality.left_out(classes)]
    return "\n\n".join(part for part in parts if part)


def _beyond(report: BuildReport) -> str:
    rows = [found for facts in report.candidates if (found := quality.row(facts)) is not None]
    if not rows:
        return ""
    several = any(facts.multi_label is not None for facts in report.candidates)
    title, legend = ("mAP", quality.SEVERAL_LEGEND) if several else ("top-1", quality.LEGEND)
    return f"## Beyond {title}\n\n{_table(quality.columns(report.candidates), rows)}\n\n{legend}"


def _labels(report: BuildReport) -> str:
    """Of the candidate that ships."""
    chosen = next((facts for facts in report.candidates if facts.chosen and facts.multi_label), None)
    if chosen is None or chosen.multi_label is None:
        return ""
    found = chosen.multi_label
    rows = ((quality.plain(name), *cells) for name, *cells in quality.label_rows(found))
    table = _table(quality.LABEL_COLUMNS, rows)
    return f"## Labels of {chosen.candidate.id}\n\n{table}\n\n{quality.plain(quality.labels_said(found))}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _legend(report: BuildReport) -> str:
    split = figures.tested_on(report)
    said = f"Accuracy and drop on the test split ({split}); nothing was chosen on it. Drop is paired, against fp32."
    if any(facts.multi_label is not None for facts in report.candidates):
        said = said.replace("Accuracy", "Mean average precision", 1)
    if any(facts.agreement is not None for facts in report.candidates):
        said = f"Agreement with fp32 on the test split ({split}); nothing was chosen on it. {figures.NO_ACCURACY}"
    return "  \n".join([said, *figures.legend(report.candidates)])


def _inert(line: str) -> str:
    """A sentence with others' words in it, of which none is taken for markup."""
    name, words = line.split(": ", maxsplit=1)
    return f"{name}: " + visible(words).replace("<", "&lt;").replace("](", "] (").replace("`", "'")


def _section(title: str, lines: Iterable[str]) -> str:
    items = ["- " + line.replace("\n", " ") for line in lines]
    return "\n".join([f"## {title}", "", *items]) if items else ""


def _desktop(report: BuildReport) -> str:
    table = _table(desktop.COLUMNS, desktop.rows(report.baseline))
    notes = desktop.notes(report.baseline)
    return "\n\n".join([f"## Desktop GPU: {report.baseline.device}", table, "  \n".join(notes)]) if notes else ""


def _build_lines(report: BuildReport) -> list[str]:
    build = report.build
    macs = f", {build.macs / 1e6:.0f} M multiply-adds" if build.macs else ""
    splits = ", ".join(f"{role} {count}" for role, count in build.splits.items())
    return [
        f"{build.arch}, {build.parameters:,} parameters{macs} at {build.resolution_px} px",
        *([f"photographs: {build.photographs}"] if build.photographs else []),
        *([f"scaled: {build.scale.sentence()}"] if build.scale else []),
        f"weights: {build.weights}",
        *([f"licence of the weights: {build.weights_published.licence}"] if build.weights_published else []),
        f"data: {build.data}; {build.classes} classes; {splits}",
        f"desktop-GPU baseline: {desktop.sentence(report.baseline)}",
        f"edgecnn {report.version}, {report.made_at}, {report.seconds:.0f} s",
        f"again: `{build.command}`",
    ]
