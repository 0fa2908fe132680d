"""Verdicts as GitHub's workflow commands, so that they stand on the pull request's page.

What stops the job is an error: FAIL, a needed figure that is MISSING, a required gate that is UNSURE. What does not, such as an
advisory gate that is UNSURE or a figure that need not be measured, is a warning; PASS says nothing.
GitHub reads both streams of a step: these lines are talk and go to stderr, since stdout carries results only.
"""

from __future__ import annotations

from edgecnn.render.gate_sheet import GateSheet, bound_of
from edgecnn.values.verdict import GateResult, Verdict

_LINES_CHANGED = 5
"""Differences that one annotation names: the rest stands in the summary."""


def annotation_lines(sheet: GateSheet) -> list[str]:
    """One line a gate that did not pass."""
    lines = [_line(sheet, result) for result in sheet.gates if result.verdict is not Verdict.PASS]
    return lines or ([] if sheet.gates else [_command("error", f"edgecnn: {sheet.title}", sheet.why)])


# ---------------------------------------------------------------------------------------------------------------------


def _line(sheet: GateSheet, result: GateResult) -> str:
    title = f"edgecnn {result.verdict.value}: {bound_of(result.gate)}, {sheet.title}"
    changed = sheet.changed[:_LINES_CHANGED] if result.verdict is Verdict.FAIL else ()
    more = f"\nchanged: {'; '.join(changed)}" if changed else ""
    return _command("error" if sheet.stops(result) else "warning", title, f"{result.candidate}: {result.reason}{more}")


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """As GitHub's toolkit escapes a message: a line break in it would begin another command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
