"""A judgement as Markdown for the summary page of a job."""

from __future__ import annotations

import html

from edgecnn.render.gate_sheet import GateSheet, bound_of, error_rates
from edgecnn.values.verdict import GateResult

_SIGN = {"PASS": "✅", "FAIL": "❌", "UNSURE": "⚠️", "MISSING": "⚠️"}


def summary_markdown(sheet: GateSheet) -> str:
    """Verdict, gates, what changed and what to know. Names from data and paths are escaped: GitHub renders HTML too."""
    rows = [_row(each) for each in sheet.gates]
    parts = [
        f"### edgecnn: {_cell(sheet.title)}: {sheet.verdict.value}",
        _cell(sheet.why),
        "\n".join(["| verdict | gate | required | figures |", "| --- | --- | --- | --- |", *rows]) if rows else "",
        _cell(error_rates(sheet.gates) or ""),
        _listed("Changed, BASE → HEAD", sheet.changed),
        _listed("To know", sheet.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def _row(result: GateResult) -> str:
    word, gate = result.verdict.value, result.gate
    return f"| {_SIGN[word]} {word} | `{bound_of(gate)}` | {gate.required} | {_cell(result.reason)} |"


def _listed(title: str, lines: tuple[str, ...]) -> str:
    return "\n".join([f"**{title}**", "", *(f"- {_cell(line)}" for line in lines)]) if lines else ""


def _cell(text: str) -> str:
    """Plain text inside Markdown: no HTML, no new cell, line, link, emphasis or code span."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    for sign in ("\\", "`", "|", "[", "]", "*", "_"):
        escaped = escaped.replace(sign, "\\" + sign)
    return escaped
