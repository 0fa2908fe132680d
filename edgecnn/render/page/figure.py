"""What a section shows: a chart, the sentence that says the same, and the table that holds its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecnn.render.page.marks import Mark

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Text by row; the first cell of a row names it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Source:
    """Where the numbers of a figure come from."""

    mark: Mark
    what: str


@dataclass(frozen=True)
class Figure:
    """One chart. ``spec`` is Vega-Lite with its data inside."""

    id: str
    title: str
    says: str
    """What a reader who cannot see the chart must know; everybody reads it."""
    sources: tuple[Source, ...]
    spec: Spec
    table: Table
    notes: tuple[str, ...] = ()
    legend: tuple[str, ...] = ()
    """Precisions whose colours occur."""
    sifts: bool = False
    """True where an entry of the legend can be switched off."""
    half: bool = False
    """Two such charts stand side by side where there is room."""
