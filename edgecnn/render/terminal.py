"""Print results on stdout and messages on stderr: lines, JSON, and tables that fit the width. No other module prints results."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgecnn.errors.base import EdgecnnError, visible
from edgecnn.render.wording import visible_json

VERDICT_STYLE = {"PASS": "green", "FAIL": "bold red", "UNSURE": "yellow", "MISSING": "yellow"}
WIDE = 130
"""Width of a table if stdout is not a terminal, so that a log does not depend on the window that started the job."""


def console() -> Console:
    """Return stdout, with the width of the terminal or ``WIDE``."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, emoji=False)


def print_wrapped(screen: Console, text: str, style: str = "") -> None:
    """Print a sentence, wrapped at words on a terminal."""
    screen.print(visible(text), style=style, markup=False, soft_wrap=not sys.stdout.isatty())


def print_unbroken(screen: Console, text: str) -> None:
    """Print a line for copying, without line breaks."""
    screen.print(visible(text), markup=False, soft_wrap=True)


def show_json(facts: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(_json_text(facts, sys.stdout.encoding, indent=1) + "\n")


def _json_text(facts: Any, encoding: str | None, indent: int | None = None) -> str:
    """Return JSON in ASCII if the encoding lacks a character, because a stream would replace it with text that is not JSON."""
    text = visible_json(json.dumps(facts, indent=indent, ensure_ascii=False))
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(facts, indent=indent, ensure_ascii=True)
    return text


def show_rows(
    columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None, styles: Mapping[str, str] | None = None
) -> None:
    """Print a plain table. ``styles`` colours cells by their text."""
    by_word = styles or {}
    lines = [[Text(visible(cell), style=by_word.get(cell, "")) for cell in cells] for cells in rows]
    show_grid(Grid(columns, lines, title), console())


def show_lines(lines: Iterable[str]) -> None:
    """Print each line on stdout."""
    for line in lines:
        sys.stdout.write(visible(line) + "\n")


def show_talk(lines: Iterable[str]) -> None:
    """Print each line on stderr, for messages that are not part of the result."""
    for line in lines:
        sys.stderr.write(visible(line) + "\n")


def show_error(error: EdgecnnError, *, as_json: bool) -> None:
    """Print an error as one line on stderr; with ``--json``, as a JSON document on stderr."""
    document = {"error": error.facts()}
    text = _json_text(document, sys.stderr.encoding) if as_json else f"edgecnn: error: {error.line()}"
    sys.stderr.write(text + "\n")


GAP = "  "
INDENT = "    "
_BETWEEN = "   "
"""Gap between two cells below a row. It is wider than any gap inside a figure."""
_UNBOUNDED = 100_000


@dataclass(frozen=True)
class Grid:
    """A table that fits any width and cuts no figure.

    If every row fits on one line, the table has a frame. Otherwise the most important columns are next to each other, and the
    other cells follow below their row with their names. Lines break only between two cells.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    title: str | None = None
    important: Sequence[str] = ()
    """Columns by priority (default: from left to right)."""
    optional: Sequence[str] = ()
    """Columns to omit while a row does not fit on one line, the least important first."""

    def without(self, column: str) -> Grid:
        """Return the grid without a column."""
        place = self.columns.index(column)
        return replace(
            self,
            columns=[name for name in self.columns if name != column],
            rows=[[*cells[:place], *cells[place + 1 :]] for cells in self.rows],
            important=[name for name in self.important if name != column],
            optional=[name for name in self.optional if name != column],
        )


def show_grid(grid: Grid, console: Console) -> None:
    """Print the grid in the width of the console."""
    if grid.title:
        console.print(Text(visible(grid.title)), style="italic", soft_wrap=True)
    while grid.optional and sum(_widths(grid)) + len(GAP) * (len(grid.columns) - 1) > console.width:
        order = [name for name in grid.important or grid.columns if name in grid.optional]
        grid = grid.without(order[-1])
    table = Table(header_style="bold", pad_edge=False)
    for column in grid.columns:
        table.add_column(column, no_wrap=True)
    for cells in grid.rows:
        table.add_row(*cells)
    if console.measure(table, options=console.options.update(max_width=_UNBOUNDED)).maximum <= console.width:
        console.print(table)
        return
    for line in narrow_lines(grid, console.width, rule="-" if console.options.ascii_only else "─"):
        console.print(line, soft_wrap=True)


def _widths(grid: Grid) -> list[int]:
    heads = [Text(column) for column in grid.columns]
    return [max(cell_len(cell.plain) for cell in cells) for cells in zip(heads, *grid.rows, strict=True)]


def narrow_lines(grid: Grid, width: int, rule: str = "─") -> Iterator[Text]:
    """Yield lines of at most ``width`` characters, if the most important column fits. ``rule``: horizontal line."""
    heads = [Text(column, style="bold") for column in grid.columns]
    widths = _widths(grid)
    on_line = _columns_on_line(grid, widths, width)
    below = [place for place in range(len(grid.columns)) if place not in on_line]
    yield _padded_line(heads, on_line, widths)
    yield Text(rule * min(width, sum(widths[place] for place in on_line) + len(GAP) * (len(on_line) - 1)))
    for row in grid.rows:
        yield _padded_line(row, on_line, widths)
        items = [(Text(f"{grid.columns[place]}:", style="dim"), row[place]) for place in below if row[place].plain]
        yield from (Text(INDENT) + line for line in _wrapped_cells(items, max(width - len(INDENT), 1)))


def _columns_on_line(grid: Grid, widths: Sequence[int], width: int) -> list[int]:
    """Return the places of the columns that fit on one line, in their usual order. The most important column always fits."""
    chosen: list[int] = []
    left = width + len(GAP)
    for name in grid.important or grid.columns:
        place = grid.columns.index(name)
        left -= widths[place] + len(GAP)
        if chosen and left < 0:
            break
        chosen.append(place)
    return sorted(chosen)


def _padded_line(cells: Sequence[Text], places: Sequence[int], widths: Sequence[int]) -> Text:
    line = Text()
    for place in places:
        line.append_text(cells[place])
        line.append(" " * (widths[place] - cell_len(cells[place].plain)) + GAP)
    line.rstrip()
    return line


def _wrapped_cells(items: Sequence[tuple[Text, Text]], room: int) -> Iterator[Text]:
    """Join named cells into lines that break between two cells; a cell wider than a line is broken as late as possible."""
    line = Text()
    for name, cell in items:
        item = Text.assemble(name, " ", cell)
        if line and cell_len(line.plain) + len(_BETWEEN) + cell_len(item.plain) <= room:
            line = Text.assemble(line, _BETWEEN, item)
            continue
        if line:
            yield line
        line = item
        if cell_len(item.plain) > room:
            yield from _wrapped_cell(name, cell, room)
            line = Text()
    if line:
        yield line


def _wrapped_cell(name: Text, cell: Text, room: int) -> Iterator[Text]:
    """Put a cell below its name if it fits one line; else wrap it at words, and inside a word that is too long."""
    if cell_len(cell.plain) <= room:
        yield from (name, cell)
        return
    for part in Text.assemble(name, " ", cell).wrap(Console(width=room), room):
        part.rstrip()
        yield part
