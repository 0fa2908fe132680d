"""A table in the width that there is: nothing is left out of it, and nothing is cut inside a figure.

Where every row fits on one line, it is a table with a frame. Elsewhere the columns that matter most stand side by side, and the
others follow beneath their row, each with its name, broken only between two of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgecnn.errors.base import visible

GAP = "  "
INDENT = "    "
_BETWEEN = "   "
"""Between two figures beneath a row: wider than any gap inside a figure."""
_UNBOUNDED = 100_000


@dataclass(frozen=True)
class Grid:
    """Rows of cells under column names, before it is known how much room there is."""

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
    """Print it in the console's width."""
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
    """The grid in lines of at most ``width`` cells, where the most important column fits that; ``rule`` draws a line."""
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
    """Places of the columns that fit side by side, in their usual order; the most important one in any case."""
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
    """Named cells one after the other, a new line only between two; what is wider than a line is broken as late as can be."""
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
    """A cell that fits a line of its own stands beneath its name; else it is wrapped at words, and inside an endless one."""
    if cell_len(cell.plain) <= room:
        yield from (name, cell)
        return
    for part in Text.assemble(name, " ", cell).wrap(Console(width=room), room):
        part.rstrip()
        yield part
