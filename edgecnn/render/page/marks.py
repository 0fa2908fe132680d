"""Where a figure comes from, in a word and a shape: never in colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.values.layers import Residency
from edgecnn.values.verdict import Fidelity


@dataclass(frozen=True)
class Mark:
    """The word, the glyph that stands for it inside charts, and what it means."""

    word: str
    glyph: str
    meaning: str


MEASURED = Mark("measured", "●", "observed where it says, by running what ships")
EMULATED = Mark("emulated", "◆", "computed on a stand-in for what the device will run, or seen on another machine")
PLANNED = Mark("planned", "◇", "what a builder said it would do; nothing ran")
PREDICTED = Mark("predicted", "▲", "from a model, not measured")
MISSING = Mark("missing", "○", "not measured, with the reason; never a zero")
MARKS = (MEASURED, EMULATED, PLANNED, PREDICTED, MISSING)

OF_FIDELITY = {
    Fidelity.MEASURED: MEASURED,
    Fidelity.EMULATED: EMULATED,
    Fidelity.PREDICTED: PREDICTED,
    Fidelity.MISSING: MISSING,
}
OF_BASIS = {"executed": MEASURED, "elsewhere": EMULATED, "planned": PLANNED}


def of_residency(residency: Residency | None) -> Mark:
    """The mark of a residency by what it was read from."""
    return MISSING if residency is None else OF_BASIS[residency.basis]


def labelled(name: str, mark: Mark) -> str:
    """A name for an axis, with the mark where the figure behind it was not simply measured."""
    return name if mark is MEASURED else f"{name} {mark.glyph} {mark.word}"
