"""The results of a judgement for a CI job: JUnit XML, and GitHub's annotations and step summary.

In JUnit, FAIL is a ``failure``. An UNSURE or MISSING gate is an ``error`` if it stops the job, and ``skipped`` if it does not.
The document therefore has failures or errors exactly when the exit code is not 0. GitHub's annotations go to stderr, because
stdout carries results only and GitHub reads both streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import edgecnn
from edgecnn.bench.facts import BundleBench
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.judging.gates import bound_of, exit_code_of
from edgecnn.render.sentences import (
    error_rates,
    gate_reason,
    judged_line,
    next_purpose,
    not_judged_line,
    result_line,
    stated_gates_lines,
)
from edgecnn.render.wording import markdown_cell, markdown_code, markdown_text, visible_lines
from edgecnn.results.explain import next_step
from edgecnn.sweeps.fleet import FleetReport
from edgecnn.sweeps.sweep import JudgedBuild, SweepJudgement
from edgecnn.values.report import BuildReport, Comparison
from edgecnn.values.verdict import GateResult, Verdict


@dataclass(frozen=True)
class GateSheet:
    """A judgement for a CI job."""

    title: str
    """Network and device, such as ``resnet-18 on cpu``."""
    candidate: str
    verdict: Verdict
    why: str
    """The reason for this candidate, or for none, in one sentence."""
    gates: tuple[GateResult, ...]
    seconds: float
    made_at: str
    version: str
    require_measured: bool = False
    unsure_passes: bool = False
    """Whether the job continues if a required gate is UNSURE."""
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    result: str = ""
    """The verdict with its reason in one sentence. If empty, the sheet shows the verdict and ``why``."""
    next_step: tuple[str, str] | None = None
    """The purpose of the next command, and the command."""

    @property
    def result_line(self) -> str:
        """The first line and the last line of a summary."""
        return self.result or f"{self.verdict.value}: {self.why}"

    def stops(self, result: GateResult) -> bool:
        """Return whether this gate alone makes the exit code other than 0."""
        passing = (ExitCode.OK, ExitCode.UNSURE) if self.unsure_passes else (ExitCode.OK,)
        return exit_code_of((result,), require_measured=self.require_measured) not in passing

    def reason(self, result: GateResult) -> str:
        """Return why this gate has its verdict, and whether a missing figure stops the job."""
        return gate_reason(result, require_measured=self.require_measured)


def sheet_of_report(report: BuildReport) -> GateSheet:
    """Return the sheet of a build: the gates of its chosen candidate."""
    sheet = _sheet(report, f"{report.build.arch} on {report.build.device}", report.choice.candidate, report.choice.why)
    step = next_step(report)
    following = None if step is None else (next_purpose(step, report.build.device), step.command)
    return replace(sheet, require_measured=report.require_measured, result=result_line(report), next_step=following)


def sheet_of_bundle_bench(bench: BundleBench) -> GateSheet:
    """Return the sheet of a bundle: the gates of its chosen kit."""
    sheet = _sheet(bench, f"{bench.bundle.name} on {bench.machine}", bench.bundle.chosen, bench.images.said)
    return replace(sheet, require_measured=bench.require_measured)


def sheet_of_comparison(comparison: Comparison) -> GateSheet:
    """Return the sheet of a comparison: the gates of HEAD."""
    head, base = comparison.head.candidate.id, comparison.base.candidate.id
    why = f"{head} of HEAD against {base} of BASE, {comparison.how}, on {comparison.machine}"
    return replace(
        _sheet(comparison, f"{comparison.head.name} against {comparison.base.name}", head, why), changed=comparison.changed
    )


def sheets_of_fleet(fleet: FleetReport) -> list[GateSheet]:
    """Return a sheet for each build of a sweep. The sheet of an unfinished build has no gates, which is an error."""
    return [
        GateSheet(
            title=cell.name,
            candidate=cell.facts.candidate.id if cell.facts is not None else "no candidate",
            verdict=cell.verdict,
            why=cell.error or (cell.choice.why if cell.choice is not None else f"the build has not ended: {fleet.command}"),
            gates=cell.gates if cell.state == "finished" else (),
            seconds=cell.seconds,
            made_at=cell.made_at or fleet.made_at,
            version=fleet.version,
            require_measured=cell.require_measured,
            notes=cell.notices,
        )
        for cell in fleet.cells
    ]


def sheets_of_judgement(judgement: SweepJudgement) -> list[GateSheet]:
    """Return a sheet for each build of a sweep that was judged again."""

    def sheet(build: JudgedBuild) -> GateSheet:
        if build.report is not None:
            return replace(sheet_of_report(build.report), title=build.name)
        moment, why = datetime.now(UTC).isoformat(timespec="seconds"), build.error or ""
        return GateSheet(build.name, "no candidate", build.verdict, why, (), 0.0, moment, edgecnn.__version__)

    return [sheet(build) for build in judgement.builds]


def _sheet(judged: BuildReport | BundleBench | Comparison, title: str, candidate: str | None, why: str) -> GateSheet:
    return GateSheet(
        title=title,
        candidate=candidate or "no candidate",
        verdict=judged.verdict,
        why=why,
        gates=judged.gates,
        seconds=judged.seconds,
        made_at=judged.made_at,
        version=judged.version,
        notes=(*_gate_notes(judged), *judged.notices),
        result=judged_line(judged.verdict, judged.gates) or "",
    )


def _gate_notes(judged: BuildReport | BundleBench | Comparison) -> list[str]:
    if isinstance(judged, Comparison):
        return [line for line in [not_judged_line(judged)] if line is not None]
    return stated_gates_lines(judged.gates, judged.gates_dropped if isinstance(judged, BuildReport) else None)


SUITE = "edgecnn"


def junit_of(*sheets: GateSheet) -> str:
    """Return the JUnit document with a suite for each sheet. A sheet without gates is one error."""
    return _junit_document(*(_suite_of(sheet) for sheet in sheets))


def _suite_of(sheet: GateSheet) -> ElementTree.Element:
    suite = _suite(sheet.title, sheet.seconds, sheet.made_at)
    properties = ElementTree.SubElement(suite, "properties")
    named = {"verdict": sheet.verdict.value, "candidate": sheet.candidate, "edgecnn": sheet.version}
    rates = error_rates(sheet.gates)
    named |= {} if rates is None else {"error rates": rates}
    for name, value in {**named, **{f"changed.{i}": line for i, line in enumerate(sheet.changed, 1)}}.items():
        ElementTree.SubElement(properties, "property", name=name, value=visible_lines(value))
    for result in sheet.gates:
        _add_case(suite, sheet, result)
    if not sheet.gates:
        _add_problem(_case(suite, (sheet.title,), "a candidate is judged"), "error", "MISSING", sheet.why)
    return suite


def junit_of_error(error: EdgecnnError) -> str:
    """Return the JUnit document of a call without a verdict: one error, so that an earlier file cannot be mistaken for it."""
    suite = _suite("no verdict", 0.0, None)
    _add_problem(_case(suite, ("no verdict",), "a verdict is reached"), "error", error.ref, error.line())
    return _junit_document(suite)


def _suite(name: str, seconds: float, made_at: str | None) -> ElementTree.Element:
    stamp = {} if made_at is None else {"timestamp": made_at}
    return ElementTree.Element("testsuite", {"name": visible_lines(f"{SUITE}: {name}"), "time": f"{seconds:.3f}", **stamp})


def _case(suite: ElementTree.Element, about: Sequence[str], name: str) -> ElementTree.Element:
    """Add a case. ``about`` becomes the class name. Dots in names are replaced, because many readers take dots for levels."""
    classname = visible_lines(".".join((SUITE, *(part.replace(".", "_") for part in about))))
    return ElementTree.SubElement(suite, "testcase", name=visible_lines(name), classname=classname, time="0")


def _add_case(suite: ElementTree.Element, sheet: GateSheet, result: GateResult) -> None:
    case = _case(suite, (sheet.title, sheet.candidate), bound_of(result.gate))
    if result.verdict is Verdict.PASS:
        ElementTree.SubElement(case, "system-out").text = visible_lines(result.reason)
        return
    kind = "failure" if result.verdict is Verdict.FAIL else "error" if sheet.stops(result) else "skipped"
    changed = "; ".join(sheet.changed)
    _add_problem(case, kind, result.verdict.value, sheet.reason(result), f"\nchanged: {changed}" if changed else "")


def _add_problem(case: ElementTree.Element, kind: str, label: str, reason: str, more: str = "") -> None:
    attributes = {"message": visible_lines(f"{label}: {reason}")}
    problem = ElementTree.SubElement(case, kind, attributes if kind == "skipped" else {"type": label, **attributes})
    problem.text = visible_lines(f"{reason}{more}")


def _junit_document(*suites: ElementTree.Element) -> str:
    root = ElementTree.Element("testsuites")
    for suite in suites:
        cases = suite.findall("testcase")
        for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(attribute, str(sum(case.find(kind) is not None for case in cases)))
        suite.set("tests", str(len(cases)))
        root.append(suite)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


_SIGN = {"PASS": "✅", "FAIL": "❌", "UNSURE": "⚠️", "MISSING": "⚠️"}


def summary_markdown(sheet: GateSheet) -> str:
    """Return the result, gates, changes, the next step, details, and the result again.

    Names from data and paths are escaped: GitHub renders HTML too.
    """
    words = (
        (f"{_SIGN[result.verdict.value]} {result.verdict.value}", result.gate, sheet.reason(result)) for result in sheet.gates
    )
    rows = [
        f"| {word} | {markdown_cell(markdown_code(bound_of(gate)))} | {gate.required} | {markdown_cell(reason)} |"
        for word, gate, reason in words
    ]
    parts = [
        f"### edgecnn: {markdown_text(sheet.title)}: {sheet.verdict.value}",
        markdown_text(sheet.result_line),
        "\n".join(["| verdict | gate | required | figures |", "| --- | --- | --- | --- |", *rows]) if rows else "",
        _titled_list("Changed, BASE → HEAD", sheet.changed),
        "" if sheet.next_step is None else f"**Next:** {markdown_text(sheet.next_step[0])}: {markdown_code(sheet.next_step[1])}",
        _titled_list("Details", [line for line in (sheet.why, error_rates(sheet.gates), *sheet.notes) if line]),
        f"**{markdown_text(sheet.result_line)}**",
    ]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def _titled_list(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", "", *(f"- {markdown_text(line)}" for line in lines)]) if lines else ""


_LINES_CHANGED = 5
"""Number of differences in one annotation. The summary has all."""


def annotation_lines(sheet: GateSheet) -> list[str]:
    """Return a line for each gate that did not pass."""
    if not sheet.gates:
        return [_workflow_command("error", f"edgecnn: {sheet.title}", sheet.why)]
    lines = []
    for result in sheet.gates:
        if result.verdict is not Verdict.PASS:
            title = f"edgecnn {result.verdict.value}: {bound_of(result.gate)}, {sheet.title}"
            changed = "; ".join(sheet.changed[:_LINES_CHANGED]) if result.verdict is Verdict.FAIL else ""
            message = f"{result.candidate}: {sheet.reason(result)}" + (f"\nchanged: {changed}" if changed else "")
            lines.append(_workflow_command("error" if sheet.stops(result) else "warning", title, message))
    return lines


def _workflow_command(level: str, title: str, message: str) -> str:
    named = _escape_message(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={named}::{_escape_message(message)}"


def _escape_message(text: str) -> str:
    """Escape a message as GitHub's toolkit does: a line break would begin another command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
