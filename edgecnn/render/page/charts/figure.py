"""The parts of a section: a chart, a sentence with its result, a table of its figures, and their sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from edgecnn.render.wording import joint_reason, lines_by_reason
from edgecnn.values.layers import Residency
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Text by row. The first cell of a row is its name."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Source:
    """The source of the numbers of a figure."""

    mark: Mark
    what: str


@dataclass(frozen=True)
class Figure:
    """One chart. ``spec`` is Vega-Lite with its data inside."""

    id: str
    title: str
    says: str
    """The result of the chart in words."""
    sources: tuple[Source, ...]
    spec: Spec
    table: Table
    notes: tuple[str, ...] = ()
    legend: tuple[str, ...] = ()
    """Precisions in the legend."""
    sifts: bool = False
    """True if a click on the legend hides an entry."""
    half: bool = False
    """True if two charts fit side by side on a wide screen."""


def drawn(figures: Iterable[Figure | None]) -> tuple[Figure, ...]:
    """The figures without None."""
    return tuple(figure for figure in figures if figure is not None)


@dataclass(frozen=True)
class Mark:
    """The word for the source of a figure, and its glyph inside charts. The glossary defines the word."""

    word: str
    glyph: str

    @property
    def shape(self) -> str:
        """The shape of a point in a chart."""
        return "circle" if self is MEASURED else "diamond"


MEASURED = Mark("measured", "●")
EMULATED = Mark("emulated", "◆")
PLANNED = Mark("planned", "◇")
PREDICTED = Mark("predicted", "▲")
DEFINED = Mark("by definition", "=")
MISSING = Mark("missing", "○")
COUNTED = Mark("counted", "▣")
PUBLISHED = Mark("published", "◎")

MARK_BY_FIDELITY = {
    Fidelity.MEASURED: MEASURED,
    Fidelity.EMULATED: EMULATED,
    Fidelity.PREDICTED: PREDICTED,
    Fidelity.DEFINED: DEFINED,
    Fidelity.MISSING: MISSING,
}
MARK_BY_BASIS = {"executed": MEASURED, "elsewhere": EMULATED, "planned": PLANNED}


def residency_mark(residency: Residency | None) -> Mark:
    """The mark of a residency by its basis."""
    return MISSING if residency is None else MARK_BY_BASIS[residency.basis]


@dataclass(frozen=True)
class Dot:
    """One figure of one candidate, drawn as a point on its interval."""

    candidate: str
    mark: Mark
    figure: Interval
    text: str
    """The figure, with its unit if the chart has none."""
    lane: str = ""
    """The stage of the figure, or the letter of its build."""
    detail: str = ""
    coloured_by: Mapping[str, Any] = field(default_factory=dict)
    """The fields for the colour of the candidate, from ``vega.row_of``."""

    @property
    def row(self) -> dict[str, Any]:
        """The first fields of the row in the data of the chart."""
        interval = {"at": self.figure.estimate, "low": self.figure.low, "high": self.figure.high}
        return {"candidate": self.candidate, **self.coloured_by, **interval, "shape": self.mark.shape}


def labelled(name: str, mark: Mark) -> str:
    """A name for an axis, with the mark of the figure if the figure is not measured."""
    return name if mark is MEASURED else f"{name} {mark.glyph} {mark.word}"


def tabled(caption: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Table:
    """The table of the rows of a chart. ``columns`` maps each heading to a field of the rows."""
    return Table(caption, tuple(columns), tuple(tuple(row[name] for name in columns.values()) for row in rows))


class Sourced(Protocol):
    """A measurement on one machine."""

    @property
    def fidelity(self) -> Fidelity:
        """The source of the figure."""

    @property
    def machine(self) -> str:
        """The name of the machine."""


AnySourced = TypeVar("AnySourced", bound=Sourced)


def sources_of(
    known: Iterable[AnySourced], what: Callable[[AnySourced], str], absent: Mapping[str, str] | None = None
) -> tuple[Source, ...]:
    """Each source once, then the reasons of the missing figures."""
    return (*dict.fromkeys(Source(MARK_BY_FIDELITY[of.fidelity], what(of)) for of in known), *lacking(absent or {}))


def absence(facts: CandidateFacts, part: str) -> str:
    """The reason why a candidate has no ``memory`` or ``energy``."""
    of = getattr(facts, part)
    return (of.reason if of else None) or f"{part} was not measured"


def no_figure(report: BuildReport, part: str) -> str:
    """The reason why no candidate has a figure."""
    return joint_reason({facts.candidate.id: absence(facts, part) for facts in report.candidates})


def lacking(absent: Mapping[str, str]) -> tuple[Source, ...]:
    """The reasons of the missing figures."""
    return tuple(Source(MISSING, line) for line in lines_by_reason(absent))
