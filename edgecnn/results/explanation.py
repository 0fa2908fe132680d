"""Why a build chose as it did, as facts: taken out of its report, with nothing measured or judged anew."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.reason import Reason
from edgecnn.values.report import Build, CandidateFacts, Choice
from edgecnn.values.verdict import Verdict


class StandIn(Value):
    """A figure of a candidate that is not of its own kit on the device."""

    figure: Literal["accuracy", "residency"]
    how: Literal["twin", "another-machine", "plan"]
    """``twin``: another kit answered in its place. ``another-machine``: its own kit, elsewhere. ``plan``: a builder's word."""
    machine: str | None = None
    ships: str | None = None
    """sha256 of the kit that ships."""
    answered: str | None = None
    """sha256 of the kit that stood in for it."""


class ExplainedCandidate(Value):
    """One candidate of the report."""

    facts: CandidateFacts
    """As the report has them, ``because`` among them; layers and classes are left out, which report.json has."""
    stand_ins: tuple[StandIn, ...] = ()


class NotTried(Value):
    """What is no candidate of the build: a precision, a rung, or what could not be made here."""

    name: str
    because: Reason
    reason: str
    """The sentence of ``because``."""


class Unmeasured(Value):
    """Figures that nobody has, and what would measure them."""

    figures: tuple[str, ...]
    candidates: tuple[str, ...]
    """Empty where it is of the whole build."""
    why: str
    command: str | None = None


class OpenQuestion(Value):
    """What the build could not tell, and what would settle it."""

    candidate: str
    says: str
    """One sentence: what is open, with its figures, and what would help."""
    images: int | None = None
    """About how many would settle it."""
    images_seen: int | None = None
    rounds: int | None = None
    """The same of rounds of a race."""
    rounds_seen: int | None = None
    device: str | None = None
    """That would have to be measured."""
    command: str | None = None


class Explanation(Value):
    """``edgecnn explain BUILD --json``, schema edgecnn.explanation/2."""

    schema_: Literal["edgecnn.explanation/2"] = Field(default="edgecnn.explanation/2", alias="schema")
    version: str
    """Of the edgecnn that made the build."""
    made_at: str
    build: Build
    choice: Choice
    verdict: Verdict
    candidates: tuple[ExplainedCandidate, ...]
    not_tried: tuple[NotTried, ...]
    unmeasured: tuple[Unmeasured, ...]
    open_questions: tuple[OpenQuestion, ...]
    unexecuted: tuple[str, ...]
    """What ships but was not run, and what would run it."""
