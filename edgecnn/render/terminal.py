"""The only place that prints results. stdout carries them; talk goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgecnn.errors.base import EdgecnnError
from edgecnn.render import figures
from edgecnn.values.artifact import Ran
from edgecnn.values.report import BuildReport

_VERDICT_STYLE = {"PASS": "green", "FAIL": "bold red", "UNSURE": "yellow", "MISSING": "yellow"}
WIDE = 200
"""Columns given to a table when stdout is no terminal, so that a log does not wrap cells."""


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, emoji=False)


def show_json(facts: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(facts, indent=1, sort_keys=False, ensure_ascii=False) + "\n")


def show_report(report: BuildReport) -> None:
    """The table of candidates, one sentence on why, and what to know."""
    show_candidates(report)
    console = _console()
    console.print(f"{report.verdict.value}: {report.choice.why}", style=_VERDICT_STYLE[report.verdict.value], markup=False)
    for gate in report.gates:
        console.print(
            f"  gate {gate.gate.side} {gate.gate.metric} {gate.gate.bound:g}: {gate.verdict.value}, {gate.reason}", markup=False
        )
    for notice in report.notices:
        console.print(f"  note: {notice}", markup=False, soft_wrap=True)
    if report.choice.settle_command:
        console.print(f"  measure it there with: {report.choice.settle_command}", markup=False, soft_wrap=True)
    console.print(f"  {report.output}", markup=False, soft_wrap=True)


def show_candidates(report: BuildReport) -> None:
    """The table alone."""
    table = Table(
        title=Text(f"{report.build.arch} → {report.build.device}"), title_justify="left", header_style="bold", pad_edge=False
    )
    for column in figures.COLUMNS:
        table.add_column(column, overflow="fold")
    for facts in report.candidates:
        cells = [Text(cell) for cell in figures.row(facts)]
        style = _VERDICT_STYLE.get(facts.verdict.value, "")
        place = figures.COLUMNS.index("verdict")
        cells[place].stylize(style)
        table.add_row(*cells, style="bold" if facts.chosen else "")
    console = _console()
    console.print(table)
    for text in figures.legend(report.candidates):
        console.print(f"  {text}", markup=False)


def show_steps(report: BuildReport) -> None:
    """What became of each step of a verb that stops before measuring."""
    rows = []
    for name, outcome in report.outcomes.items():
        why = outcome.why if isinstance(outcome, Ran) else (getattr(outcome, "what", ""),)
        rows.append((name, outcome.outcome, f"{report.timings_s.get(name, 0.0):.1f}", "; ".join(why)))
    show_rows(("step", "outcome", "seconds", "because"), rows, title=f"{report.build.arch} → {report.build.device}")
    for notice in report.notices:
        _console().print(f"  note: {notice}", markup=False, soft_wrap=True)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """A plain table."""
    table = Table(title=Text(title) if title else None, title_justify="left", header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for cells in rows:
        table.add_row(*(Text(cell) for cell in cells))
    _console().print(table)


def show_lines(lines: Iterable[str]) -> None:
    """Sentences, one a line."""
    for line in lines:
        sys.stdout.write(line + "\n")


def show_error(error: EdgecnnError, *, as_json: bool) -> None:
    """One line on stderr; with ``--json`` the error's parts, on stderr too, since stdout carries results only."""
    text = json.dumps({"error": error.facts()}, ensure_ascii=False) if as_json else f"edgecnn: error: {error.line()}"
    sys.stderr.write(text + "\n")
