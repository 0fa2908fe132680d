"""The highest rate that is VALID, by halving: each rate is a run of its own, and every verdict is LoadGen's."""

from __future__ import annotations

from collections.abc import Callable

from edgecnn.measure.loadgen.facts import LoadRun
from edgecnn.values.base import Value

PROBES = 6
"""Leaves the answer known to 1/64 of what the system could do with no waiting at all."""
LOWEST_SHARE = 1 / 16
"""Of that: a system which cannot hold its bound at this rate is not tried at lower ones, where 662 queries take ever longer."""


class Found(Value):
    """What the search ended with."""

    runs: tuple[LoadRun, ...]
    best: int | None
    """Index of the VALID run with the highest rate, or None."""
    invalid_qps: float
    """The lowest rate that was INVALID; the capacity itself where none was."""


def highest_valid(capacity_qps: float, run_at: Callable[[float], LoadRun], probes: int = PROBES) -> Found:
    """Halve between the highest VALID rate and the lowest INVALID one.

    Args:
        capacity_qps: one over the least time of an image: no rate above it can be held, so it is never tried.
        run_at: runs LoadGen at a rate.
        probes: how many runs at most.
    """
    runs: list[LoadRun] = []
    best: int | None = None
    low, high = 0.0, capacity_qps
    while len(runs) < probes:
        rate = (low + high) / 2
        if rate < LOWEST_SHARE * capacity_qps:
            break
        run = run_at(rate)
        runs.append(run)
        if run.valid:
            best, low = len(runs) - 1, rate
        else:
            high = rate
    return Found(runs=tuple(runs), best=best, invalid_qps=high)
