"""The facts that explain a build, taken from its report."""

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
    """``twin``: another kit was used instead. ``another-machine``: its own kit, elsewhere. ``plan``: planned by a builder."""
    machine: str | None = None
    ships: str | None = None
    """sha256 of the shipped kit."""
    answered: str | None = None
    """sha256 of the kit that was used instead."""


class ExplainedCandidate(Value):
    """A candidate of the report."""

    facts: CandidateFacts
    """Facts of the report including ``because``, without layers and classes, which report.json has."""
    stand_ins: tuple[StandIn, ...] = ()


class NotTried(Value):
    """A precision, a rung or a candidate that the build did not make."""

    name: str
    because: Reason
    reason: str
    """The sentence of ``because``."""


class Unmeasured(Value):
    """Missing figures, and the command that measures them."""

    figures: tuple[str, ...]
    candidates: tuple[str, ...]
    """Empty if the whole build lacks them."""
    why: str
    command: str | None = None


class OpenQuestion(Value):
    """An open question of the build, and what settles it."""

    candidate: str
    says: str
    """One sentence with the figures and the advice."""
    images: int | None = None
    """About how many images would settle it."""
    images_seen: int | None = None
    rounds: int | None = None
    """About how many rounds of a race would settle it."""
    rounds_seen: int | None = None
    device: str | None = None
    """The device to measure on."""
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
    """Shipped parts that did not run, and the command that runs them."""
