"""Runs that depend on each other, and intervals that allow for this dependence.

An interval by rank assumes that the runs of a race are independent. They are not if a machine keeps one pace for longer than a
round, or slows down during the race: many runs then show as little as a few. Two rank correlations detect this: between each run
and the run before it, and between the runs and their order. If one of them is larger than chance makes likely, the interval also
covers Student's interval for the number of independent runs that the correlation leaves: n (1 - r) / (1 + r), Bartlett's formula
for a first-order autoregression.

A dependence that is too weak for the number of runs is not detected; ``python -m benchmarks.gate_rates`` prints how often a gate
errs in this case. With fewer than 16 runs, the correlation is too uncertain to tell how many runs they count as. Their interval
is by rank alone, and it decides no gate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import LATENCY_CONFIDENCE, median_interval, two_sided_z
from edgecnn.runner.runs.figures import share_below
from edgecnn.values.verdict import Interval

LIKE_THE_LAST, DRIFTING = 0.80, 0.95
"""Two-sided levels of the two tests; the first is applied on one side only. Together they err in one of eight races of
independent runs: a needlessly widened interval only costs a verdict near the bound, a missed dependence costs a wrong verdict."""
LEAST_WORTH = 3.0
"""Least independent runs that dependent runs count as; with fewer, Student's interval is useless."""
RUNS_TO_TELL = 16
"""Number of runs from which on a relevant dependence is mostly detected; a race for a gate on p50 has this many."""
_LARGEST = 0.98


class Dependence(NamedTuple):
    """Dependence of the runs of a race on each other."""

    worth: float | None
    """Number of independent runs that these runs count as; None with fewer than ``RUNS_TO_TELL``."""
    says: str


def dependence(values: Sequence[float]) -> Dependence | None:
    """Return how these values, one per run in the order of the rounds, depend on each other; None if no dependence is shown.

    Source of the variance of a rank autocorrelation: Dufour and Roy, Journal of Time Series Analysis 6 (1985) 207-230.
    """
    count, ranks = len(values), _ranks(values)
    squares = float((ranks**2).sum())
    if count < 4 or squares == 0:
        return None
    follows = float((ranks[1:] * ranks[:-1]).sum()) / squares
    order = np.arange(count) - (count - 1) / 2
    drift = float((ranks * order).sum()) / math.sqrt(squares * float((order**2).sum()))
    drifts = abs(drift) > two_sided_z(DRIFTING) / math.sqrt(count - 1)
    n = float(count)
    spread = math.sqrt((5 * n**4 - 14 * n**3 - 9 * n**2 + 26 * n + 16) / (5 * (n - 1) ** 2 * n**2 * (n + 1)))
    persists = follows > -1 / n + two_sided_z(LIKE_THE_LAST) * spread
    if not drifts and not persists:
        return None
    how = f"later runs have {'higher' if drift > 0 else 'lower'} values" if drifts else "each run resembles the run before it"
    how = f"{how} (rank correlation {abs(drift) if drifts else follows:.2f})"
    if count < RUNS_TO_TELL:
        return Dependence(None, f"{count} runs are too few to widen the interval, although {how}")
    # Corrected for bias, plus one standard error.
    upper = follows + (1 + 3 * follows) / count + 1 / math.sqrt(count) if persists else 0.0
    largest = min(max(upper, abs(drift) if drifts else 0.0), _LARGEST)
    worth = max(LEAST_WORTH, count * (1 - largest) / (1 + largest))
    return Dependence(worth, f"{count} runs count as {worth:.0f} independent runs, because {how}")


def too_few_for_gate(runs: int) -> str | None:
    """Return why these runs are too few for a gate; None if there are enough."""
    return f"{runs} runs are too few to show whether runs depend on each other" if runs < RUNS_TO_TELL else None


def _worth(values: Sequence[float]) -> float | None:
    """Return the number of independent runs that these values count as; None if runs are independent or too few."""
    dependent = dependence(values)
    return None if dependent is None else dependent.worth


def runs_interval(values: Sequence[float], confidence: float = LATENCY_CONFIDENCE) -> Interval | None:
    """Return the interval of the median run, widened if runs depend on each other; None with too few (``median_interval``).

    ``values``: one per run, in the order of the rounds. Their spread is computed on logarithms if all are positive; energy above
    idle may not be.
    """
    interval = median_interval(values, confidence)
    if interval is None or (worth := _worth(values)) is None:
        return interval
    from scipy.special import stdtrit

    middle, positive = interval.estimate, min(values) > 0
    spread = _log_spread(values) if positive else float(np.std(values, ddof=1))
    reach = float(stdtrit(worth - 1, (1 + confidence) / 2)) * spread / math.sqrt(worth)
    low, high = (middle * math.exp(-reach), middle * math.exp(reach)) if positive else (middle - reach, middle + reach)
    return Interval(estimate=middle, low=min(interval.low, low), high=max(interval.high, high), confidence=confidence)


def share_of_runs_below(values: Sequence[float], share: float, confidence: float = LATENCY_CONFIDENCE) -> float | None:
    """Return a value that at least this share of runs is below (``share_below``); a larger one if runs depend on each other.

    For dependent runs, it is at least the normal tolerance bound, on logarithms, of the independent runs that they count as.
    Source: Hahn and Meeker, Statistical Intervals, section 4.4.
    """
    bound = share_below(values, share, confidence)
    if bound is None or (worth := _worth(values)) is None:
        return bound
    from scipy.special import nctdtrit, ndtri

    root = math.sqrt(worth)
    factor = float(nctdtrit(worth - 1, float(ndtri(share)) * root, (1 + confidence) / 2)) / root
    return max(bound, math.exp(float(np.log(values).mean()) + factor * _log_spread(values)))


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the ranks of the values minus the mean rank; equal values share a rank."""
    _, places, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    middle: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2 - (len(values) + 1) / 2)[places]
    return middle


def _log_spread(values: Sequence[float]) -> float:
    return float(np.log(np.asarray(values, float)).std(ddof=1))
