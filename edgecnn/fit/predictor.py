"""Latency of a network that was not timed, by a device's table: an estimate, and an interval.

Where the runtime times its layers, their times are learned one by one (``fit/executed.py``); else what the arithmetic and the
traffic come to is a sum with a price for each kind of operation. What either misses is learned by a Gaussian process on its
logarithm. The interval is as wide as the table's own networks were missed, each predicted from others, in the process's own
standard deviations: the way of conformal prediction (Lei and others, Distribution-free predictive inference for regression,
2018), without its guarantee, since the kernel was found from all of them and what is timed next is what is least known. How
often it held of families that a table does not hold is measured in ``benchmarks/fit``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgecnn.fit.executed import ExecutedLayers
from edgecnn.fit.features import Counted, counted_of, total_of
from edgecnn.fit.prices import Base, amounts, priced
from edgecnn.values.fit import LEAST_TIMED, Predicted, Probe, TimedProbe
from edgecnn.values.verdict import Interval

if TYPE_CHECKING:
    from edgecnn.fit.prices import Array

CONFIDENCE = 0.9
NEARLY_ALL = 0.8
FOLDS = 5
"""Parts of a table, each of which is predicted from the others, to learn what predictions miss."""
BEYOND = math.log(1.5)
"""How far outside the table's range a feature may lie: half as much again."""
_LOG_MOST = math.log(1e9)
"""Of a prediction in ms: a table whose times contradict each other would have bounds beyond every number."""
_TOTALS = ("_mmac", "_melem", "_count")
"""Of all kinds together: what a network's place among the table's is told by."""


class Prediction(NamedTuple):
    """Of one network; predicted, and never a figure that a gate takes."""

    p50_ms: Interval
    spread: float
    """Standard deviation of its logarithm: what is most uncertain is measured next."""
    extrapolated: tuple[str, ...]
    """Features in which the table has nothing like it; then it is to be measured."""


def fastest_first(predictors: Mapping[str, Predictor], probe: Probe) -> tuple[Predicted, ...]:
    """A network in each candidate; those of which the table has nothing like it are the last."""
    said = {candidate: predictor.predict([probe])[0] for candidate, predictor in predictors.items()}
    found = [Predicted(candidate=name, p50_ms=one.p50_ms, extrapolated=one.extrapolated) for name, one in said.items()]
    return tuple(sorted(found, key=lambda each: (bool(each.extrapolated), each.p50_ms.estimate)))


class Predictor:
    """Of one candidate on one machine."""

    def __init__(self, timed: Sequence[TimedProbe]) -> None:
        """Raises ValueError: fewer than ``LEAST_TIMED`` networks."""
        if len(timed) < LEAST_TIMED:
            raise ValueError(f"{len(timed)} networks were timed, a prediction needs {LEAST_TIMED}")
        rows, base_of = _way(timed)
        features, ms = [each.counted.features for each in rows], np.array([each.timed.least_ms for each in rows])
        self._known = {name for each in features for name in each}
        self._ranges = {suffix: _range(features, suffix) for suffix in _TOTALS}
        x = amounts([each.counted for each in rows])
        logs = np.log1p(x)
        self._middle, self._scale = logs.mean(axis=0), logs.std(axis=0) + 1e-9
        shapes, missed = self._shape(x), np.log(ms / _from_others(rows, ms, base_of))
        self._base, self._process = base_of(rows, ms), _process(shapes, missed, None)
        misses = sorted(_miss(shapes, missed, index, self._process.kernel_) for index in range(len(rows)))
        self._allowed = misses[math.ceil((len(misses) + 1) * CONFIDENCE) - 1]

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction, ...]:
        """In the order in which they are given."""
        counted = [counted_of(probe) for probe in probes]
        missed, spread = self._process.predict(self._shape(amounts(counted)), return_std=True)
        mean = np.log(self._base(counted)) + missed
        return tuple(
            Prediction(_interval(middle, self._allowed * sd), sd, self._unlike(each.features))
            for middle, sd, each in zip(mean.tolist(), spread.tolist(), counted, strict=True)
        )

    def _shape(self, x: Array) -> Array:
        shapes: Array = (np.log1p(x) - self._middle) / self._scale
        return shapes

    def _unlike(self, features: Mapping[str, float]) -> tuple[str, ...]:
        unknown = [name for name in features if name not in self._known]
        for suffix, (least, most) in self._ranges.items():
            if not least - BEYOND <= math.log(total_of(features, suffix)) <= most + BEYOND:
                unknown.append(f"total{suffix}")
        return tuple(unknown)


def _range(known: Sequence[Mapping[str, float]], suffix: str) -> tuple[float, float]:
    """Of the logarithms of their totals."""
    logs = [math.log(total_of(each, suffix)) for each in known]
    return min(logs), max(logs)


class _Row(NamedTuple):
    timed: TimedProbe
    counted: Counted


_BaseOf = Callable[[Sequence[_Row], "Array"], Base]


def _way(timed: Sequence[TimedProbe]) -> tuple[list[_Row], _BaseOf]:
    """By executed layers, where nearly all networks were traced, and then of these alone; else by prices, of all."""
    rows = [_Row(each, counted_of(each.probe)) for each in timed]
    traced = [each for each in rows if _is_traced(each)]
    if len(traced) >= max(LEAST_TIMED, NEARLY_ALL * len(rows)):
        return traced, _by_layers
    return rows, lambda known, ms: priced([each.counted for each in known], ms)


def _is_traced(row: _Row) -> bool:
    traced = row.timed.traced
    if traced is None or len(traced.multiplying_us) != len(row.counted.layers):
        return False
    return any(took is not None for took in traced.multiplying_us)


def _by_layers(known: Sequence[_Row], ms: Array) -> Base:
    return ExecutedLayers([each.counted for each in known], [each.timed.traced for each in known if each.timed.traced], ms)


def _from_others(rows: Sequence[_Row], ms: Array, base_of: _BaseOf) -> Array:
    """What is said of each network of a table by those of its other parts."""
    found, places = np.empty(len(ms)), range(len(ms))
    for fold in range(FOLDS):
        known, wanted = ([each for each in places if (each % FOLDS == fold) is of_it] for of_it in (False, True))
        base = base_of([rows[index] for index in known], ms[known])
        found[wanted] = base([rows[index].counted for index in wanted])
    return found


def _miss(shapes: Array, missed: Array, index: int, kernel: Any) -> float:
    """How far off one network is from what the process says of it by the others, in standard deviations."""
    others = np.arange(len(missed)) != index
    mean, spread = _process(shapes[others], missed[others], kernel).predict(shapes[index : index + 1], return_std=True)
    return float(abs(missed[index] - mean[0]) / spread[0])


def _process(shapes: Any, residual: Any, kernel: Any) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    if kernel is not None:
        return GaussianProcessRegressor(kernel, optimizer=None).fit(shapes, residual)
    wide = ConstantKernel(0.05, (1e-4, 1.0)) * Matern(5.0, (0.5, 100.0), nu=2.5) + WhiteKernel(0.002, (1e-5, 0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bound that is reached is an answer: there is only noise to learn
        return GaussianProcessRegressor(wide, random_state=0, n_restarts_optimizer=2).fit(shapes, residual)


def _interval(middle: float, half: float) -> Interval:
    estimate, low, high = (math.exp(min(max(log, -_LOG_MOST), _LOG_MOST)) for log in (middle, middle - half, middle + half))
    return Interval(estimate=estimate, low=low, high=high, confidence=CONFIDENCE)
