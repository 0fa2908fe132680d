"""Report how far a build is: the number of its current part, and the estimated time of the remaining parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal, NamedTuple

from edgecnn.measure.subject import Split
from edgecnn.planning.plan import Plan
from edgecnn.store.listing import Durations, Seconds, total_duration
from edgecnn.values.stage import Pacing, Progress


class Part(NamedTuple):
    """A piece of work of a build: a step that is not stored, an evaluation, or a race."""

    name: str
    seconds: Seconds | None = None
    """Duration of such parts on this machine; None if it is unknown."""
    images: int = 0
    """Images of an evaluation. Its duration is estimated from the evaluations before it."""


@dataclass
class Pace:
    """Passes the number of each part and the remaining time to a ``Pacing`` progress, when the part begins."""

    tell: Progress
    expected: Callable[[], Sequence[Part]]
    """Returns the parts in their order. Called when the first part begins, so that a cached build never calls it."""
    _parts: list[Part] | None = None
    _position: int = -1
    _began: float = 0.0
    _seconds_per_image: list[float] = field(default_factory=list)

    def begin(self, name: str, images: int = 0) -> None:
        """Begin a part. An expected part that was skipped counts as done; an unexpected one makes the build longer by one."""
        if not isinstance(self.tell, Pacing):
            return
        now = time.monotonic()
        if self._parts is None:
            self._parts = list(self.expected())
        elif (done := self._parts[self._position]).images:
            self._seconds_per_image.append((now - self._began) / done.images)
        names = [part.name for part in self._parts]
        if name in names[self._position + 1 :]:
            self._position = names.index(name, self._position + 1)
        else:
            self._position += 1
            self._parts.insert(self._position, Part(name, images=images))
        self._began = now
        left, unknown = total_duration(self._seconds(part) for part in self._parts[self._position :])
        self.tell.part(name, self._position + 1, len(self._parts), (left.low + left.high) / 2, complete=not unknown)

    def _seconds(self, part: Part) -> Seconds | None:
        if part.seconds is not None or not (part.images and self._seconds_per_image):
            return part.seconds
        seconds = part.images * fmean(self._seconds_per_image)
        return Seconds(seconds, seconds)

    @property
    def started(self) -> bool:
        """Whether a part has begun."""
        return self._parts is not None


LATENCY_PART = "measure latency"


def fold_prefix(fold: int) -> str:
    """Return the prefix of the names of parts and curves of a fold after the first."""
    return f"fold-{fold}/"


def evaluation_part(candidate: str, split: str, fold: str = "") -> str:
    """Return the name of the part that evaluates one candidate on one split."""
    return f"{fold}evaluate {candidate} on {split}"


def expected_parts(
    planned: Plan,
    missing: Callable[[Plan], Collection[str]],
    durations: Durations,
    kinds: Collection[str],
    last: Literal["make", "evaluate", "measure"],
) -> list[Part]:
    """Return the parts of a build in their order, without rungs that are climbed only if needed.

    ``missing``: returns the steps of a plan that the store lacks. ``kinds``: kinds of stages that run. ``last``: the last kind
    of work.
    """
    resolved = planned.resolved
    rungs = [[candidate.id for candidate in rung.candidates] for rung in planned.rungs if rung.mends is None]
    kept = [name for names in rungs for name in names]

    def made(plan: Plan, prefix: str, candidates: Collection[str | None]) -> list[Part]:
        lacking = missing(plan)
        steps = [step for step in plan.steps if step.candidate in candidates and step.id in lacking and step.stage.kind in kinds]
        return [Part(f"{prefix}{step.id}", durations.of(step.stage)) for step in steps]

    def evaluated(prefix: str, split: Split, names: Iterable[str], images: int) -> list[Part]:
        return [Part(evaluation_part(name, split, prefix), images=images) for name in names] if last != "make" else []

    parts = made(planned, "", {None})
    for names in rungs:
        parts += made(planned, "", names)
        parts += evaluated("", "validation", names, resolved.data.counts["validation"])
    parts += evaluated("", "test", kept, resolved.data.counts["test"])
    if last != "make":
        for number, fold in enumerate(planned.folds, 2):
            parts += made(fold, fold_prefix(number), {None, *kept})
            parts += evaluated(fold_prefix(number), "test", kept, fold.resolved.data.counts["test"])
    return [*parts, Part(LATENCY_PART)] if last == "measure" else parts
