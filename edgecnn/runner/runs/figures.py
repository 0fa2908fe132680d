"""Figures of finished runs: percentiles of one run, and intervals over runs. edgecnn uses these formulas too.

A process run is the statistical unit: samples of one run are correlated. The intervals are distribution-free.
"""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ..files import read_json

CONFIDENCE = 0.98
"""Two-sided, so each bound is wrong at most once in a hundred times: two races of one kit must not disagree more often."""
RUNS_NEEDED = 7
"""Least runs of an interval at ``CONFIDENCE``: with 6 runs, 1 - 2 / 2^6 is only 96.9 %."""
TAIL_SHARE = 0.75
"""Share of runs that must stay below a bound on p90 or p99: the middle run says little about a tail."""
OTHERS_PERCENT_MAX = 5.0
"""CPU time of other programs during a race, from which on they may explain a slow kit. On two cores that both compute, 50 %
doubles the time of a run; a quiet machine shows 1 to 2 %."""
PERCENTILES = {"p50_ms": 50, "p90_ms": 90, "p99_ms": 99}


class Figure(NamedTuple):
    """The median over runs, and its interval; ``low`` and ``high`` are None with fewer than ``RUNS_NEEDED`` runs."""

    middle: float
    low: Optional[float]
    high: Optional[float]


class Rank(NamedTuple):
    """The bounds of a median are the values at ``rank`` from both ends; ``confidence`` is theirs."""

    rank: int
    confidence: float


def samples_needed(percent: int) -> int:
    """Return the least samples of which ten are beyond a percentile: 20, 100 and 1,000 for p50, p90 and p99."""
    return math.ceil(10 * 100 / (100 - percent))  # with integers, because 1 - 0.9 is not 0.1


def run_percentile(samples: Sequence[float], percent: int) -> Optional[float]:
    """Return a percentile of one run; None if fewer than ten samples are beyond it: a median takes 20, a p99 takes 1,000."""
    import numpy as np  # a machine without NumPy can still start a race

    if len(samples) < samples_needed(percent):
        return None
    return float(np.percentile(np.asarray(samples, float), percent))


def median_rank(count: int, confidence: float = CONFIDENCE) -> Optional[Rank]:
    """Return the largest rank k for which the k-th smallest and k-th largest value contain the median often enough."""
    allowed = (1 - confidence) / 2 * 2**count
    beyond, rank = 0, 0
    while rank < count and beyond + math.comb(count, rank) <= allowed:
        beyond += math.comb(count, rank)
        rank += 1
    return Rank(rank, 1 - 2 * beyond / 2**count) if rank else None


def share_below(values: Sequence[float], share: float = TAIL_SHARE, confidence: float = CONFIDENCE) -> Optional[float]:
    """Return one of these values that at least this share of all such values is below, for any distribution.

    The one-sided confidence is (1 + ``confidence``) / 2. None with too few values: three quarters at 98 % take 17 values.
    """
    ordered, allowed, missed, bound = sorted(values), (1 - confidence) / 2, 0.0, None
    for rank in range(len(ordered), 0, -1):
        missed += math.comb(len(ordered), rank) * share**rank * (1 - share) ** (len(ordered) - rank)
        if missed > allowed:
            break
        bound = ordered[rank - 1]
    return bound


class KitRuns:
    """The finished latency runs of one kit."""

    def __init__(self, runs: Sequence[Dict[str, Any]]) -> None:
        self.count = len(runs)
        self._samples = [run["samples_ns"] for run in runs]
        self._observed = [run.get("environment", {}).get("observed", {}) for run in runs]

    def values_ms(self, metric: str) -> List[float]:
        """Return this percentile of each run; none at all if a run is too short for it."""
        values = [run_percentile(samples, PERCENTILES[metric]) for samples in self._samples]
        return [] if any(value is None for value in values) else [value / 1e6 for value in values if value is not None]

    def figure_ms(self, metric: str) -> Optional[Figure]:
        """Return the median over runs of this percentile; None without runs, or if a run is too short for it."""
        ordered = sorted(self.values_ms(metric))
        if not ordered:
            return None
        rank = median_rank(len(ordered))
        low, high = (None, None) if rank is None else (ordered[rank.rank - 1], ordered[-rank.rank])
        return Figure(float(median(ordered)), low, high)

    @property
    def others_percent(self) -> float:
        """CPU time of other programs, the mean over runs; 0 if it was not observed."""
        known = [float(observed["others_percent"]) for observed in self._observed if "others_percent" in observed]
        return sum(known) / len(known) if known else 0.0

    @property
    def throttled(self) -> int:
        """Number of runs in which the machine throttled."""
        return sum(observed.get("throttled", "no") != "no" for observed in self._observed)


def runs_by_kit(paths: Sequence[Path]) -> Dict[str, KitRuns]:
    """Read run files; return the finished runs by the SHA-256 of their kit, in the order of the rounds."""
    runs = {}  # type: Dict[str, List[Dict[str, Any]]]
    for path in paths:
        run = read_json(path)
        if "error" not in run:
            runs.setdefault(str(run["kit"]), []).append(run)
    return {digest: KitRuns(sorted(of_kit, key=lambda run: int(run["round"]))) for digest, of_kit in runs.items()}
