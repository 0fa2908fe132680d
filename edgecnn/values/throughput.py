"""How many images a second, by how many go into a call."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.values.base import Value
from edgecnn.values.verdict import Fidelity, Interval


class BatchFigure(Value):
    """Of one race: every call took ``batch`` images."""

    batch: int
    images_per_s: Interval | None
    """Median over runs of all images of a run over all the time that its calls took; None where the runs are too few."""
    call_ms: Interval | None
    """The median time of a call, in which ``batch`` images wait for each other."""
    runs: int
    best: bool
    """Whether the screening named this number of images for this candidate."""
    asked: bool
    """Whether it was asked for by number."""
    reason: str | None = None


class Throughput(Value):
    """Of one candidate."""

    figures: tuple[BatchFigure, ...]
    """By growing batch."""
    screened: Mapping[int, float] = {}
    """Images in a call to images a second in the one screening run of each; empty where the best was not looked for."""
    fidelity: Fidelity
    machine: str
    observed_at: str
    reason: str | None = None
    """Why a figure that was asked for is not there."""
    disturbed: str | None = None
