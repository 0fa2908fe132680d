"""How long stages take on this machine, from the records of those that the store made."""

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
"""Records of a kind and network fewer than which those of the kind of all networks are asked."""


class Seconds(NamedTuple):
    """What nine of ten of its like stayed above and below; of few records, the least and the most."""

    low: float
    high: float

    def __add__(self, other: object) -> Seconds:
        if not isinstance(other, Seconds):
            return NotImplemented
        return Seconds(self.low + other.low, self.high + other.high)


class Durations:
    """What a store's records say of stages by kind, and by kind and network."""

    def __init__(self, store: Store) -> None:
        self._of = defaultdict[tuple[str, str | None], list[float]](list)
        for row in listing(store):
            arch = row.settings.get("arch")
            for name in {None, arch if isinstance(arch, str) else None}:
                self._of[row.kind, name].append(row.seconds)

    def of(self, stage: Stage) -> Seconds | None:
        """None where the store has made nothing of the kind."""
        arch = getattr(stage, "arch", None)
        own = self._of.get((stage.kind, arch if isinstance(arch, str) else None), [])
        return spread(own if len(own) >= _FEW else self._of.get((stage.kind, None), []))


def spread(seconds: Sequence[float]) -> Seconds | None:
    """Of few, the least and the most; of ten or more, what nine of ten stay above and below. None of none."""
    if not seconds:
        return None
    if len(seconds) < _TENTHS:
        return Seconds(min(seconds), max(seconds))
    cut = quantiles(seconds, n=_TENTHS, method="inclusive")
    return Seconds(cut[0], cut[-1])


def total(seconds: Iterable[Seconds | None]) -> tuple[Seconds, int]:
    """The sum of those that are known, and how many are not."""
    estimates = list(seconds)
    known = [estimate for estimate in estimates if estimate is not None]
    return sum(known, Seconds(0.0, 0.0)), len(estimates) - len(known)
