"""Durations of stages on this machine, from the records in the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import quantiles
from typing import NamedTuple

from edgecnn.store.listing import listing
from edgecnn.store.store import Store
from edgecnn.values.stage import Stage

_TENTHS = 10
_FEW = 3
"""With fewer records of a kind and network, all networks of the kind count."""


class Seconds(NamedTuple):
    """The range that holds nine of ten records; with few records, the shortest and the longest."""

    low: float
    high: float

    def __add__(self, other: object) -> Seconds:
        if not isinstance(other, Seconds):
            return NotImplemented
        return Seconds(self.low + other.low, self.high + other.high)


class Durations:
    """Durations of stages by kind, and by kind and network."""

    def __init__(self, store: Store) -> None:
        self._of = defaultdict[tuple[str, str | None], list[float]](list)
        for row in listing(store):
            arch = row.settings.get("arch")
            for name in {None, arch if isinstance(arch, str) else None}:
                self._of[row.kind, name].append(row.seconds)

    def of(self, stage: Stage) -> Seconds | None:
        """Return None if the store has no stage of the kind."""
        arch = getattr(stage, "arch", None)
        own = self._of.get((stage.kind, arch if isinstance(arch, str) else None), [])
        return spread(own if len(own) >= _FEW else self._of.get((stage.kind, None), []))


def spread(seconds: Sequence[float]) -> Seconds | None:
    """Return the shortest and longest of a few records, or the 10th and 90th percentile of ten or more; None without records."""
    if not seconds:
        return None
    if len(seconds) < _TENTHS:
        return Seconds(min(seconds), max(seconds))
    cut = quantiles(seconds, n=_TENTHS, method="inclusive")
    return Seconds(cut[0], cut[-1])


def total(seconds: Iterable[Seconds | None]) -> tuple[Seconds, int]:
    """Return the sum of the known durations and the number of unknown ones."""
    estimates = list(seconds)
    known = [estimate for estimate in estimates if estimate is not None]
    return sum(known, Seconds(0.0, 0.0)), len(estimates) - len(known)
