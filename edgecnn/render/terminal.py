"""The only place that prints results. stdout carries them; talk goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from edgecnn.errors.base import EdgecnnError
from edgecnn.render import figures
from edgecnn.values.report import BuildReport

_VERDICT_STYLE = {"PASS": "green", "FAIL": "bold red", "UNSURE": "yellow", "MISSING": "yellow"}
WIDE = 160
"""Columns given to a table when stdout is no terminal, so that a log does not wrap cells."""


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def show_json(facts: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(facts, indent=1, sort_keys=False, ensure_ascii=False) + "\n")


def show_report(report: BuildReport) -> None:
    """The table of candidates, one sentence on why, and what to know."""
    console = _console()
    table = Table(title=f"{report.build.arch} → {report.build.device}", title_justify="left", header_style="bold", pad_edge=False)
    for column in figures.COLUMNS:
        table.add_column(column, overflow="fold")
    for facts in report.candidates:
        cells = figures.row(facts)
        style = _VERDICT_STYLE.get(facts.verdict.value, "")
        table.add_row(
            *(c if i != 8 else f"[{style}]{c}[/]" if style else c for i, c in enumerate(cells)),
            style="bold" if facts.chosen else "",
        )
    console.print(table)
    console.print(f"{report.verdict.value}: {report.choice.why}", style=_VERDICT_STYLE[report.verdict.value], markup=False)
    for gate in report.gates:
        console.print(
            f"  gate {gate.gate.side} {gate.gate.metric} {gate.gate.bound:g}: {gate.verdict.value}, {gate.reason}", markup=False
        )
    for notice in report.notices:
        console.print(f"  note: {notice}", markup=False)
    if report.choice.settle_command:
        console.print(f"  settle it with: {report.choice.settle_command}", markup=False, soft_wrap=True)
    if report.output:
        console.print(f"  {report.output}", markup=False, soft_wrap=True)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """A plain table."""
    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for cells in rows:
        table.add_row(*cells)
    _console().print(table)


def show_lines(lines: Iterable[str]) -> None:
    """Sentences, one a line."""
    for line in lines:
        sys.stdout.write(line + "\n")


def show_error(error: EdgecnnError, *, as_json: bool) -> None:
    """One line on stderr; with ``--json`` the error's parts, on stderr too, since stdout carries results only."""
    text = json.dumps({"error": error.facts()}, ensure_ascii=False) if as_json else f"edgecnn: error: {error.line()}"
    sys.stderr.write(text + "\n")
