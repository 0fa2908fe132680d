"""The reasons for a build's choice as facts from its report; nothing is measured or judged again."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.reason import Reason
from edgecnn.values.report import Build, CandidateFacts, Choice
from edgecnn.values.verdict import Verdict


class StandIn(Value):
    """A figure of a candidate that does not come from its own kit on the device."""

    figure: Literal["accuracy", "residency"]
    how: Literal["twin", "another-machine", "plan"]
    """``twin``: an equivalent kit ran instead. ``another-machine``: its own kit ran elsewhere. ``plan``: a builder's statement.
    """
    machine: str | None = None
    ships: str | None = None
    """SHA-256 of the shipped kit."""
    answered: str | None = None
    """SHA-256 of the kit that ran instead."""


class ExplainedCandidate(Value):
    """A candidate of the report."""

    facts: CandidateFacts
    """The report's facts, including ``because``, without layers and classes, which are in report.json."""
    stand_ins: tuple[StandIn, ...] = ()


class NotTried(Value):
    """A precision or a rung without a candidate, or a candidate that could not be made here."""

    name: str
    because: Reason
    reason: str
    """The sentence of ``because``."""


class Unmeasured(Value):
    """Missing figures, and how to measure them."""

    figures: tuple[str, ...]
    candidates: tuple[str, ...]
    """Empty for the whole build."""
    why: str
    command: str | None = None


class OpenQuestion(Value):
    """An open question, and how to decide it."""

    candidate: str
    says: str
    """One sentence: the open question with its figures, and what would help."""
    images: int | None = None
    """About how many new images would decide it."""
    images_seen: int | None = None
    rounds: int | None = None
    """About how many rounds of a race would decide it."""
    rounds_seen: int | None = None
    device: str | None = None
    """The figure to measure."""
    command: str | None = None


class Explanation(Value):
    """``edgecnn explain BUILD --json``, schema edgecnn.explanation/2."""

    schema_: Literal["edgecnn.explanation/2"] = Field(default="edgecnn.explanation/2", alias="schema")
    version: str
    """Version of the edgecnn that made the build."""
    made_at: str
    build: Build
    choice: Choice
    verdict: Verdict
    candidates: tuple[ExplainedCandidate, ...]
    not_tried: tuple[NotTried, ...]
    unmeasured: tuple[Unmeasured, ...]
    open_questions: tuple[OpenQuestion, ...]
    unexecuted: tuple[str, ...]
    """Shipped files that were not run, and the command that runs them."""
