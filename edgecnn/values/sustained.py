"""What is left of a latency after minutes without a pause."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.values.base import Value
from edgecnn.values.verdict import Fidelity


class SoakWindow(Value):
    """One stretch of ten seconds."""

    began_s: float
    p50_ms: float | None
    """None below 20 samples."""
    samples: int
    observed: Mapping[str, str]
    seconds: float | None = None
    """How long it was; None in a report of before this was kept."""


class Sustained(Value):
    """Of one process of one candidate: what is seen, without an interval, since one process has none."""

    windows: tuple[SoakWindow, ...]
    slowdown: float | None
    """The last third of the windows against the first, as a ratio of the medians of their p50: 1.2 is a fifth slower. None of
    fewer than three windows, or where a p50 is missing."""
    throttled: str | None
    """What slowed the machine down, and in how many windows; ``no`` where it did not; None where it cannot tell."""
    says: str
    fidelity: Fidelity
    machine: str
    observed_at: str
