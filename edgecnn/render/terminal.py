"""Print results on stdout, and messages on stderr. No other module prints results."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from edgecnn.errors.base import EdgecnnError, visible
from edgecnn.render.grid import Grid, show_grid
from edgecnn.render.wording import visible_json

VERDICT_STYLE = {"PASS": "green", "FAIL": "bold red", "UNSURE": "yellow", "MISSING": "yellow"}
WIDE = 130
"""Columns of a table if stdout is not a terminal, so that a log does not depend on the window that started the job."""


def console() -> Console:
    """Return stdout, with the width of the terminal or ``WIDE``."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, emoji=False)


def say(screen: Console, text: str, style: str = "") -> None:
    """Print a sentence; on a terminal it is wrapped at words."""
    screen.print(visible(text), style=style, markup=False, soft_wrap=not sys.stdout.isatty())


def copied(screen: Console, text: str) -> None:
    """Print a line that people copy, without line breaks."""
    screen.print(visible(text), markup=False, soft_wrap=True)


def show_json(facts: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(_document(facts, sys.stdout.encoding, indent=1) + "\n")


def _document(facts: Any, encoding: str | None, indent: int | None = None) -> str:
    """Return JSON that escapes signs which the encoding lacks: a stream would replace them with text that is not JSON."""
    text = visible_json(json.dumps(facts, indent=indent, ensure_ascii=False))
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(facts, indent=indent, ensure_ascii=True)
    return text


def show_rows(
    columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None, styles: Mapping[str, str] | None = None
) -> None:
    """Print a plain table; cells that do not fit a line follow on the next. ``styles`` colours cells by their text."""
    by_word = styles or {}
    lines = [[Text(visible(cell), style=by_word.get(cell, "")) for cell in cells] for cells in rows]
    show_grid(Grid(columns, lines, title), console())


def show_lines(lines: Iterable[str]) -> None:
    """Print each line on stdout."""
    for line in lines:
        sys.stdout.write(visible(line) + "\n")


def show_talk(lines: Iterable[str]) -> None:
    """Print each line on stderr: it is not part of the result."""
    for line in lines:
        sys.stderr.write(visible(line) + "\n")


def show_error(error: EdgecnnError, *, as_json: bool) -> None:
    """Print an error as one line on stderr; with ``--json``, as a JSON document on stderr."""
    document = {"error": error.facts()}
    text = _document(document, sys.stderr.encoding) if as_json else f"edgecnn: error: {error.line()}"
    sys.stderr.write(text + "\n")
