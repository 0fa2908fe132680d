"""Which steps of a build are still to be made, and about how long they take: what is said when a step begins."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgecnn.planning.plan import Plan
from edgecnn.store.durations import Durations, Seconds, total
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.stage import Key


class Itinerary:
    """Steps that are not stored, in their order.

    ``seconds``: by key, how long steps of a kind took on this machine; None where no record tells.
    """

    def __init__(self, seconds: Mapping[Key, Seconds | None]) -> None:
        self._left = dict(seconds)
        self._steps = len(seconds)

    @classmethod
    def of(cls, planned: Plan, store: Store, kinds: Collection[str]) -> Itinerary:
        """Steps of these kinds, without rungs that are climbed only if INT8 loses too much."""
        perhaps = {candidate.id for rung in planned.rungs if rung.mends is not None for candidate in rung.candidates}
        versions = planned.resolved.versions
        stages = {
            step.key: step.stage
            for step in planned.steps
            if step.stage.kind in kinds
            and step.candidate not in perhaps
            and not isinstance(store.artifacts.find(step.stage, versions, {}), Artifact)
        }
        durations = Durations(store) if stages else None
        return cls({key: None if durations is None else durations.of(stage) for key, stage in stages.items()})

    def begin(self, key: Key, step_id: str) -> str | None:
        """Return the line for a step that begins, such as ``step 5 of 12: train, about 6 min left before measuring``.

        None of a step that is stored or was not expected.
        """
        if key not in self._left:
            return None
        number = self._steps - len(self._left) + 1
        left, unknown = total(self._left.values())
        del self._left[key]
        line = f"step {number} of {self._steps}: {step_id}"
        minutes = (left.low + left.high) / 2 / 60
        if unknown or not left.high:
            return line
        return f"{line}, {'under 1 min' if minutes < 1 else f'about {minutes:.0f} min'} left before measuring"
