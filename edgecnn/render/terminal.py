"""The only place that prints results. stdout carries them; talk goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from typing import Any

from rich.console import Console
from rich.text import Text

from edgecnn.errors.base import EdgecnnError
from edgecnn.render import desktop, figures
from edgecnn.render.build_plot import plot_lines
from edgecnn.render.gates import gate_lines
from edgecnn.render.grid import Grid, show_grid
from edgecnn.render.plots import stdout_signs
from edgecnn.render.sentences import extent_lines, hollow_lines, knob_lines, latency_lines, residency_lines
from edgecnn.render.wording import grouped, visible
from edgecnn.values.artifact import Ran
from edgecnn.values.report import BuildReport, CandidateFacts

VERDICT_STYLE = {"PASS": "green", "FAIL": "bold red", "UNSURE": "yellow", "MISSING": "yellow"}
WIDE = 200
"""Columns given to a table when stdout is no terminal: a log reads the same whatever window the job was started from."""


def _accept_every_sign() -> None:
    """Where stdout's encoding lacks a sign (an arrow in Latin-1, a file name that is no text), its number stands for it."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _console() -> Console:
    _accept_every_sign()
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, emoji=False)


def _say(console: Console, text: str, style: str = "") -> None:
    """A sentence, wrapped at words on a terminal and nowhere else."""
    console.print(visible(text), style=style, markup=False, soft_wrap=not sys.stdout.isatty())


def _copied(console: Console, text: str) -> None:
    """A line that may be copied and pasted: no line break is put into it."""
    console.print(visible(text), markup=False, soft_wrap=True)


def show_json(facts: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(_document(facts, sys.stdout.encoding, indent=1) + "\n")


def _document(facts: Any, encoding: str | None, indent: int | None = None) -> str:
    """JSON in which signs that the encoding lacks are JSON's own escapes: what a stream puts in their place is no JSON."""
    text = json.dumps(facts, indent=indent, ensure_ascii=False)
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(facts, indent=indent, ensure_ascii=True)
    return text


def show_report(report: BuildReport) -> None:
    """The table of candidates, one sentence on why, and what to know."""
    show_candidates(report)
    console = _console()
    for line in (*extent_lines(report.candidates), *hollow_lines(report.candidates)):
        _say(console, f"  {line}")
    _show_desktop(report, console)
    _say(console, f"{report.verdict.value}: {report.choice.why}", VERDICT_STYLE[report.verdict.value])
    for line in (*gate_lines(report.gates), *(f"knobs: {said}" for said in knob_lines(report.choice))):
        _say(console, f"  {line}")
    _show_notices(report, console)
    for line in grouped(report.skipped_rungs):
        _say(console, f"  not climbed: {line}")
    if report.choice.settle_command:
        _copied(console, f"  measure it there with: {report.choice.settle_command}")
    _copied(console, f"  {report.output}")


def show_candidates(report: BuildReport) -> None:
    """The table alone."""
    console = _console()
    rows = [_candidate_cells(facts) for facts in report.candidates]
    title = f"{report.build.arch} → {report.build.device}"
    heads = figures.headings(report.candidates)
    important = tuple(heads[name] for name in figures.IMPORTANT)
    show_grid(Grid(tuple(heads.values()), rows, title, important=important), console)
    for text in figures.legend(report.candidates):
        _say(console, f"  {text}")


def show_plot(report: BuildReport) -> None:
    """A finished build as a small plot: accuracy and latency with their intervals."""
    console = _console()
    for line in plot_lines(report, console.width, stdout_signs()):
        console.print(line, soft_wrap=True)


def show_measured(report: BuildReport) -> None:
    """The table, every figure of time in words, and what to know before believing them."""
    show_candidates(report)
    console = _console()
    rows = report.candidates
    for line in (*latency_lines(rows), *knob_lines(report.choice), *extent_lines(rows), *residency_lines(rows)):
        _say(console, f"  {line}")
    _show_desktop(report, console)
    _show_notices(report, console)


def _show_desktop(report: BuildReport, console: Console) -> None:
    """A table where a GPU ran the network in more than one way, else the sentence."""
    found = desktop.rows(report.baseline)
    if not found:
        _say(console, f"  desktop GPU: {desktop.sentence(report.baseline)}")
        return
    cells = [[Text(visible(cell)) for cell in row] for row in found]
    show_grid(Grid(desktop.COLUMNS, cells, f"desktop GPU: {report.baseline.device}"), console)
    for line in desktop.notes(report.baseline):
        _say(console, f"  {line}")


def _candidate_cells(facts: CandidateFacts) -> list[Text]:
    cells = [Text(visible(cell), style="bold" if facts.chosen else "") for cell in figures.row(facts)]
    cells[figures.COLUMNS.index("verdict")].stylize(VERDICT_STYLE.get(facts.verdict.value, ""))
    return cells


def show_steps(report: BuildReport) -> None:
    """What became of each step of a verb that stops before measuring."""
    rows = []
    for name, outcome in report.outcomes.items():
        why = outcome.why if isinstance(outcome, Ran) else (getattr(outcome, "what", ""),)
        rows.append((name, outcome.outcome, f"{report.timings_s.get(name, 0.0):.1f}", "; ".join(why)))
    show_rows(("step", "outcome", "seconds", "because"), rows, title=f"{report.build.arch} → {report.build.device}")
    _show_notices(report, _console())


def _show_notices(report: BuildReport, console: Console) -> None:
    for notice in report.notices:
        _copied(console, f"  note: {notice}")  # many end with a command


def show_rows(
    columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None, styles: Mapping[str, str] | None = None
) -> None:
    """A plain table; what does not fit beside its row stands beneath it. ``styles`` colours cells that hold exactly a word."""
    by_word = styles or {}
    lines = [[Text(visible(cell), style=by_word.get(cell, "")) for cell in cells] for cells in rows]
    show_grid(Grid(columns, lines, title), _console())


def show_lines(lines: Iterable[str]) -> None:
    """Sentences, one a line."""
    _accept_every_sign()
    for line in lines:
        sys.stdout.write(visible(line) + "\n")


def show_talk(lines: Iterable[str]) -> None:
    """Lines on stderr, for whoever watches the process and not for whoever reads its results."""
    for line in lines:
        sys.stderr.write(visible(line) + "\n")


def show_error(error: EdgecnnError, *, as_json: bool) -> None:
    """One line on stderr; with ``--json`` the error's parts, on stderr too, since stdout carries results only."""
    document = {"error": error.facts()}
    text = _document(document, sys.stderr.encoding) if as_json else f"edgecnn: error: {visible(error.line())}"
    sys.stderr.write(text + "\n")
