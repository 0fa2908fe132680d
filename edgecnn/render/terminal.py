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


GAP = "  "
INDENT = "    "
_BETWEEN = "   "
"""Between two cells below a row: wider than any gap inside a figure."""
_UNBOUNDED = 100_000


@dataclass(frozen=True)
class Grid:
    """Rows of cells under column names, for any width."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    title: str | None = None
    important: Sequence[str] = ()
    """Columns in the order in which they are given room; unset: from left to right."""
    optional: Sequence[str] = ()
    """Columns that are left out if a row does not fit one line; the last of ``important`` go first."""

    def without(self, column: str) -> Grid:
        """The same grid without a column."""
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
    while grid.optional and _line_width(grid) > console.width:
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


def _line_width(grid: Grid) -> int:
    """Of a row without a frame."""
    return sum(_widths(grid)) + len(GAP) * (len(grid.columns) - 1)


def _widths(grid: Grid) -> list[int]:
    heads = [Text(column) for column in grid.columns]
    return [max(cell_len(cell.plain) for cell in cells) for cells in zip(heads, *grid.rows, strict=True)]


def narrow_lines(grid: Grid, width: int, rule: str = "─") -> Iterator[Text]:
    """Yield lines of at most ``width`` signs, if the most important column fits; ``rule`` is the sign of a horizontal line."""
    heads = [Text(column, style="bold") for column in grid.columns]
    widths = _widths(grid)
    beside = _beside(grid, widths, width)
    beneath = [place for place in range(len(grid.columns)) if place not in beside]
    yield _line(heads, beside, widths)
    yield Text(rule * min(width, sum(widths[place] for place in beside) + len(GAP) * (len(beside) - 1)))
    for row in grid.rows:
        yield _line(row, beside, widths)
        items = [(Text(f"{grid.columns[place]}:", style="dim"), row[place]) for place in beneath if row[place].plain]
        yield from (Text(INDENT) + line for line in _flowing(items, max(width - len(INDENT), 1)))


def _beside(grid: Grid, widths: Sequence[int], width: int) -> list[int]:
    """Places of the columns that fit on one line, in their usual order; always with the most important one."""
    chosen: list[int] = []
    left = width + len(GAP)
    for name in grid.important or grid.columns:
        place = grid.columns.index(name)
        left -= widths[place] + len(GAP)
        if chosen and left < 0:
            break
        chosen.append(place)
    return sorted(chosen)


def _line(cells: Sequence[Text], places: Sequence[int], widths: Sequence[int]) -> Text:
    line = Text()
    for place in places:
        line.append_text(cells[place])
        line.append(" " * (widths[place] - cell_len(cells[place].plain)) + GAP)
    line.rstrip()
    return line


def _flowing(items: Sequence[tuple[Text, Text]], room: int) -> Iterator[Text]:
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
            yield from _broken(name, cell, room)
            line = Text()
    if line:
        yield line


def _broken(name: Text, cell: Text, room: int) -> Iterator[Text]:
    """Put a cell below its name if it fits one line; else wrap it at words, and inside a word that is too long."""
    if cell_len(cell.plain) <= room:
        yield from (name, cell)
        return
    for part in Text.assemble(name, " ", cell).wrap(Console(width=room), room):
        part.rstrip()
        yield part
