"""Whether a candidate's runs became steady."""

from __future__ import annotations

from edgecnn.values.base import Value
from edgecnn.values.verdict import Interval


class Steady(Value):
    """Of one race: how many runs fared how. The numbers, save ``late``, add up to the runs."""

    flat: int
    """Steady from the first warm inference on."""
    faster: int
    """Warmed up, then steady."""
    slower: int
    """Got slower, then steady."""
    unsettled: int
    """Still changing in their last half."""
    short: int
    """Of too few inferences to tell."""
    late: int
    """Of those that settled, the runs whose timed inferences had begun before: the figures hold some of the way there."""
    after_ms: Interval | None
    """How long after the first inference they were steady; None unless all were."""
    says: str
    """One sentence; it begins "does not settle" where a run does not."""
