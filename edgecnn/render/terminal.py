"""The only place that prints results. stdout carries them; talk goes to stderr."""

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
"""Columns given to a table when stdout is no terminal: a log reads the same whatever window the job was started from."""


def console() -> Console:
    """stdout as people see it."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, emoji=False)


def say(screen: Console, text: str, style: str = "") -> None:
    """A sentence, wrapped at words on a terminal and nowhere else."""
    screen.print(visible(text), style=style, markup=False, soft_wrap=not sys.stdout.isatty())


def copied(screen: Console, text: str) -> None:
    """A line that may be copied and pasted: no line break is put into it."""
    screen.print(visible(text), markup=False, soft_wrap=True)


def show_json(facts: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(_document(facts, sys.stdout.encoding, indent=1) + "\n")


def _document(facts: Any, encoding: str | None, indent: int | None = None) -> str:
    """JSON in which signs that the encoding lacks are JSON's own escapes: what a stream puts in their place is no JSON."""
    text = visible_json(json.dumps(facts, indent=indent, ensure_ascii=False))
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(facts, indent=indent, ensure_ascii=True)
    return text


def show_rows(
    columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None, styles: Mapping[str, str] | None = None
) -> None:
    """A plain table; what does not fit beside its row stands beneath it. ``styles`` colours cells that hold exactly a word."""
    by_word = styles or {}
    lines = [[Text(visible(cell), style=by_word.get(cell, "")) for cell in cells] for cells in rows]
    show_grid(Grid(columns, lines, title), console())


def show_lines(lines: Iterable[str]) -> None:
    """Sentences, one a line."""
    for line in lines:
        sys.stdout.write(visible(line) + "\n")


def show_talk(lines: Iterable[str]) -> None:
    """Lines on stderr, for whoever watches the process and not for whoever reads its results."""
    for line in lines:
        sys.stderr.write(visible(line) + "\n")


def show_error(error: EdgecnnError, *, as_json: bool) -> None:
    """One line on stderr; with ``--json`` the error's parts, on stderr too, since stdout carries results only."""
    document = {"error": error.facts()}
    text = _document(document, sys.stderr.encoding) if as_json else f"edgecnn: error: {error.line()}"
    sys.stderr.write(text + "\n")
