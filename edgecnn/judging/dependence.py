"""Runs that depend on each other, and intervals that allow for this dependence.

An interval by rank assumes that the runs of a race are independent. They are not if a machine keeps one pace for longer than a
round, or slows down during the race: many runs then show as little as a few. Two rank correlations detect this: between each run
and the run before it, and between the runs and their order. If one of them is larger than chance makes likely, the interval also
covers Student's interval for the number of independent runs that the correlation leaves: n (1 - r) / (1 + r), Bartlett's formula
for a first-order autoregression.

The ratio of two kits is paired by rounds, so a change of the machine cancels. A change of one kit alone does not cancel: its
processes may drift, or have two paces, as after another layout in memory. A ratio of such kits has a wider interval.

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

from edgecnn.judging.intervals import LATENCY_CONFIDENCE, median_interval, ratio_interval, two_sided_z
from edgecnn.runner.runs.figures import share_below
from edgecnn.values.verdict import Interval

LIKE_THE_LAST, DRIFTING = 0.80, 0.95
"""Two-sided levels of the two tests; the first is applied on one side only. Together they err in one of eight races of
independent runs: a needlessly widened interval only costs a verdict near the bound, a missed dependence costs a wrong verdict."""
LEAST_WORTH = 3.0
"""Least independent runs that dependent runs count as; with fewer, Student's interval is useless."""
RUNS_TO_TELL = 16
"""Number of runs from which on a relevant dependence is mostly detected; a race for a gate on p50 has this many."""
STRONG = 0.3
"""Rank correlation of one kit's runs from which on its drift may widen a ratio that shows no dependence itself. The correlation
of 48 independent runs exceeds it in about one of 50 races."""
_LARGEST = 0.98
_FALLS_MOST = 0.97
"""Largest factor by which correlations are taken to fall from round to round."""


class Dependence(NamedTuple):
    """Dependence of the runs of a race on each other."""

    worth: float | None
    """Number of independent runs that these runs count as; None with fewer than ``RUNS_TO_TELL``."""
    says: str


class _Correlations(NamedTuple):
    """Rank correlations of values in their order."""

    follows: float
    """Of each value with the value before it."""
    drift: float
    """Of the values with their order."""
    persists: bool
    drifts: bool

    @property
    def shown(self) -> bool:
        return self.persists or self.drifts

    @property
    def is_strong(self) -> bool:
        return self.shown and max(self.follows, abs(self.drift)) > STRONG

    def largest(self, count: int) -> float:
        """Return the correlation that the values may have, corrected for bias, plus one standard error."""
        upper = self.follows + (1 + 3 * self.follows) / count + 1 / math.sqrt(count) if self.persists else 0.0
        return min(max(upper, abs(self.drift) if self.drifts else 0.0), _LARGEST)


def _correlations(values: Sequence[float]) -> _Correlations | None:
    """Return the correlations of at least four values that differ.

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
    return _Correlations(follows, drift, persists, drifts)


def dependence(values: Sequence[float]) -> Dependence | None:
    """Return how these values, one per run in the order of the rounds, depend on each other; None if no dependence is shown."""
    count, correlations = len(values), _correlations(values)
    if correlations is None or not correlations.shown:
        return None
    later = f"later runs have {'higher' if correlations.drift > 0 else 'lower'} values"
    how = later if correlations.drifts else "each run resembles the run before it"
    how = f"{how} (rank correlation {abs(correlations.drift) if correlations.drifts else correlations.follows:.2f})"
    if count < RUNS_TO_TELL:
        return Dependence(None, f"{count} runs are too few to widen the interval, although {how}")
    largest = correlations.largest(count)
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


APART = 4.0
"""Spreads between the means of two groups of processes that count as two paces. The halves of one normal sample are less than 3
apart. The nearest members must be one spread apart, because one slow process is an outlier."""


def paces(values: Sequence[float]) -> str | None:
    """Describe the two paces of these processes, such as ``7 of 24 processes are 1.20 × as slow``; None if they have one.

    ``values``: positive, one per run. Each pace has at least two processes.
    """
    logs = np.sort(np.log(np.asarray(values, float)))
    best = (0.0, 0, 0.0)
    for at in range(2, len(logs) - 1):
        fast, slow = logs[:at], logs[at:]
        within = math.sqrt((fast.var() * len(fast) + slow.var() * len(slow)) / len(logs))
        apart = float(slow.mean() - fast.mean())
        if slow[0] - fast[-1] > within:
            best = max(best, (apart / within if within else math.inf, len(slow), apart))
    spreads, slower, apart = best
    if spreads < APART:
        return None
    return f"{slower} of {len(logs)} processes are {math.exp(apart):.2f} × as slow as the others"


class PairedInterval(NamedTuple):
    """The ratio of two kits, and how dependent rounds or two paces widened its interval."""

    interval: Interval | None
    dependent: str | None
    """Why rounds count as fewer rounds, or may."""
    two_paces: str | None


def paired_interval(
    head: Sequence[float], base: Sequence[float], confidence: float = LATENCY_CONFIDENCE, *, is_last: bool = True
) -> PairedInterval:
    """Return the ratio HEAD / BASE of paired runs in the order of their rounds, see ``ratio_interval``.

    The logarithms of the ratios may depend on each other. If they follow a drift of one kit, with noise of both kits, their
    correlation falls from ``r`` as that of the drifting kit does, by ``f`` per round. Then n ratios count as
    n / (1 + 2 r / (1 - f)) independent ratios.

    With two paces, the middle ratio, the ratio of the middle processes and the centre of the ratios differ. The interval then
    contains the intervals of all three.

    ``is_last``: whether no more rounds follow. Before, few rounds can tell a dependence but not its strength, so that dependent
    rounds count as ``LEAST_WORTH``.
    """
    interval = ratio_interval(head, base, confidence)
    if interval is None:
        return PairedInterval(None, None, None)
    logs = [float(log) for log in np.log(np.asarray(head, float)) - np.log(np.asarray(base, float))]
    dependent, worth = _dependent_rounds(logs, head, base)
    if dependent is not None and not is_last:
        worth = LEAST_WORTH
    low, high = interval.low, interval.high
    if worth is not None:
        from scipy.special import stdtrit

        # Student's interval of so many rounds, with the spread of the interval by rank, which no single slow process moves.
        wider = float(stdtrit(worth - 1, (1 + confidence) / 2)) / two_sided_z(confidence) * math.sqrt(len(logs) / worth)
        low, high = (interval.estimate * (end / interval.estimate) ** max(1.0, wider) for end in (low, high))
    together = _change_together(head, base)
    known = () if together else (("HEAD", paces(head)), ("BASE", paces(base)))
    two_paces = ", and ".join(f"{name} has two paces: {pace}" for name, pace in known if pace) or None
    for low_end, high_end in _other_centres(head, base, confidence) if two_paces else ():
        low, high = min(low, low_end), max(high, high_end)
    return PairedInterval(interval.model_copy(update={"low": low, "high": high}), dependent, two_paces)


def _dependent_rounds(logs: Sequence[float], head: Sequence[float], base: Sequence[float]) -> tuple[str | None, float | None]:
    """Return why rounds depend on each other, and as how many rounds they count; the number needs ``RUNS_TO_TELL`` rounds."""
    count, ratio = len(logs), _correlations(logs)
    sides = [
        correlations for correlations in map(_correlations, (head, base)) if correlations is not None and correlations.is_strong
    ]
    if _change_together(head, base):
        sides = []  # both follow the machine, which cancels
    if ratio is None or not (ratio.shown or sides):
        return None, None
    why = f"their {'ratios' if ratio.shown else 'processes'} resemble those of the rounds before"
    if not ratio.shown and ratio.follows <= 0:
        return f"although {why}, but their ratios do not", None
    if count < RUNS_TO_TELL:
        return f"although {why}", None
    own = ratio._replace(persists=True).largest(count)
    falls = min(max(own, *(correlations.largest(count) for correlations in sides)) if sides else own, _FALLS_MOST)
    worth = max(LEAST_WORTH, count / (1 + 2 * own / (1 - falls)))
    return f"which count as {worth:.0f} independent rounds, because {why}", worth


def _change_together(head: Sequence[float], base: Sequence[float]) -> bool:
    """Whether both kits are slow in the same rounds, by a test of their rank correlation."""
    ours, theirs = _ranks(head), _ranks(base)
    scale = math.sqrt(float((ours**2).sum() * (theirs**2).sum()))
    return scale > 0 and float((ours * theirs).sum()) / scale > two_sided_z(DRIFTING) / math.sqrt(len(head))


def _other_centres(head: Sequence[float], base: Sequence[float], confidence: float) -> list[tuple[float, float]]:
    """Return the intervals of the middle ratio and of the ratio of the middle processes."""
    ends = []
    middle = median_interval([ours / theirs for ours, theirs in zip(head, base, strict=True)], confidence)
    if middle is not None:
        ends.append((middle.low, middle.high))
    ours, theirs = (median_interval(values, (1 + confidence) / 2) for values in (head, base))
    if ours is not None and theirs is not None:
        ends.append((ours.low / theirs.high, ours.high / theirs.low))
    return ends


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the ranks of the values minus the mean rank; equal values share a rank."""
    _, places, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    middle: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2 - (len(values) + 1) / 2)[places]
    return middle


def _log_spread(values: Sequence[float]) -> float:
    return float(np.log(np.asarray(values, float)).std(ddof=1))
