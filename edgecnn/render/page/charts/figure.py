"""What a section shows: a chart, the sentence that says the same, the table of its numbers, and where each comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from edgecnn.render.wording import grouped, joint_reason
from edgecnn.values.layers import Residency
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval

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


def drawn(figures: Iterable[Figure | None]) -> tuple[Figure, ...]:
    """Those of which there is something to draw."""
    return tuple(figure for figure in figures if figure is not None)


@dataclass(frozen=True)
class Mark:
    """The word for the source of a figure, and its glyph inside charts. The glossary defines the word."""

    word: str
    glyph: str

    @property
    def shape(self) -> str:
        """Of a point in a chart."""
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
    """The mark of a residency by what it was read from."""
    return MISSING if residency is None else MARK_BY_BASIS[residency.basis]


@dataclass(frozen=True)
class Dot:
    """One figure of one candidate, drawn as a point on its interval."""

    candidate: str
    mark: Mark
    figure: Interval
    text: str
    """The figure with its unit where the chart has none."""
    lane: str = ""
    """Which of several figures of the candidate this is: a stage, or the letter of a build."""
    detail: str = ""
    coloured_by: Mapping[str, Any] = field(default_factory=dict)
    """What the colour of a candidate goes by, as ``vega.row_of`` has it."""

    @property
    def row(self) -> dict[str, Any]:
        """What the row of the chart's data begins with."""
        interval = {"at": self.figure.estimate, "low": self.figure.low, "high": self.figure.high}
        return {"candidate": self.candidate, **self.coloured_by, **interval, "shape": self.mark.shape}


def labelled(name: str, mark: Mark) -> str:
    """A name for an axis, with the mark where the figure behind it was not simply measured."""
    return name if mark is MEASURED else f"{name} {mark.glyph} {mark.word}"


def tabled(caption: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Table:
    """The table of a chart's own rows: what stands above each column, and which text of a row stands in it."""
    return Table(caption, tuple(columns), tuple(tuple(row[name] for name in columns.values()) for row in rows))


class Sourced(Protocol):
    """What was seen on one machine."""

    @property
    def fidelity(self) -> Fidelity:
        """How."""

    @property
    def machine(self) -> str:
        """Where."""


AnySourced = TypeVar("AnySourced", bound=Sourced)


def sources_of(
    known: Iterable[AnySourced], what: Callable[[AnySourced], str], absent: Mapping[str, str] | None = None
) -> tuple[Source, ...]:
    """Each different source once, then each reason of those that lack a figure."""
    return (*dict.fromkeys(Source(MARK_BY_FIDELITY[of.fidelity], what(of)) for of in known), *lacking(absent or {}))


def absence(facts: CandidateFacts, part: str) -> str:
    """Why a candidate has no figure of ``memory`` or of ``energy``."""
    of = getattr(facts, part)
    return (of.reason if of else None) or f"{part} was not measured"


def no_figure(report: BuildReport, part: str) -> str:
    """Why nobody has one."""
    return joint_reason({facts.candidate.id: absence(facts, part) for facts in report.candidates})


def lacking(absent: Mapping[str, str]) -> tuple[Source, ...]:
    """Each reason of those that lack a figure."""
    return tuple(Source(MISSING, line) for line in grouped(absent))
