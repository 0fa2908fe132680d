"""Latency of a network that was not timed, by a device's table: an estimate, and an interval.

What the arithmetic and the traffic come to is a sum with non-negative prices, one for each kind of operation; what that misses is
learned by a Gaussian process on its logarithm. Of either alone the first knows no caches, and the second nothing of networks
larger than those it has seen. The interval is as wide as the table's own networks were missed, each predicted from the others, in
the process's own standard deviations: the way of conformal prediction (Lei and others, Distribution-free predictive inference for
regression, 2018), without its guarantee, since the kernel was found from all of them and what is timed next is what is least
known. How often it held of families that a table does not hold is measured in ``benchmarks/fit``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgecnn.fit.features import features_of
from edgecnn.judging.runs.regret import estimate
from edgecnn.values.fit import Predicted, Probe, TimedProbe
from edgecnn.values.verdict import Interval

if TYPE_CHECKING:
    import numpy.typing as npt

CONFIDENCE = 0.9
LEAST_TIMED = 12
"""Networks of which a prediction is made: an interval of 90 % needs nine, and the prices are about as many."""
BEYOND = math.log(1.5)
"""How far outside the table's range a feature may lie: half as much again."""


_PRICED: Mapping[str, tuple[str, ...]] = {
    "pointwise": ("pointwise_padded",),
    "spatial": ("spatial_padded",),
    "depthwise": ("depthwise_melem",),
    "read and written": ("pointwise_melem", "spatial_melem", "pool_melem"),
    "gates": ("smooth_melem", "mul_melem"),
    "moves": ("move_melem",),
    "weights": ("weights_m",),
    "layers": ("pointwise_count", "spatial_count", "depthwise_count", "dense_count"),
    "other layers": ("smooth_count", "mul_count", "pool_count"),
    "moved": ("move_count",),
}
"""What has a price, and the features that it is the sum of. Additions and clipped activations are part of the layer before them.
A price for each feature alone fits a table better, and predicts networks of other families worse."""
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
        counted = [features_of(each.probe) for each in timed]
        self._counted = counted
        x, log_ms = _matrix(counted), np.log([estimate(each.medians_ms) for each in timed])
        self._model = _Model(x, log_ms)
        misses = sorted(_miss(x, log_ms, index, self._model.kernel) for index in range(len(timed)))
        rank = math.ceil((len(misses) + 1) * CONFIDENCE)
        self._allowed = misses[rank - 1]

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction, ...]:
        """In the order in which they are given."""
        counted = [features_of(probe) for probe in probes]
        mean, spread = self._model.predict(_matrix(counted))
        return tuple(
            Prediction(_interval(middle, self._allowed * sd), sd, self._unlike(each))
            for middle, sd, each in zip(mean.tolist(), spread.tolist(), counted, strict=True)
        )

    def _unlike(self, counted: Mapping[str, float]) -> tuple[str, ...]:
        unknown = [name for name in counted if all(name not in each for each in self._counted)]
        for suffix in _TOTALS:
            seen = [_total(each, suffix) for each in self._counted]
            if not min(seen) - BEYOND <= _total(counted, suffix) <= max(seen) + BEYOND:
                unknown.append(f"total{suffix}")
        return tuple(unknown)


def _total(counted: Mapping[str, float], suffix: str) -> float:
    """Its logarithm."""
    return math.log(sum(amount for name, amount in counted.items() if name.endswith(suffix)))


def _matrix(counted: Sequence[Mapping[str, float]]) -> npt.NDArray[np.float64]:
    return np.array([[sum(each.get(name, 0.0) for name in names) for names in _PRICED.values()] for each in counted])


def prices_of(timed: Sequence[TimedProbe]) -> Callable[[Sequence[Probe]], list[float]]:
    """The prices alone, without what the process learned: probes to milliseconds."""
    x, ms = _matrix([features_of(each.probe) for each in timed]), np.array([estimate(each.medians_ms) for each in timed])
    prices = _prices(x, ms)
    return lambda probes: _priced(_matrix([features_of(each) for each in probes]), prices).tolist()


class _Model:
    """Prices, and what they miss, of some networks of a table."""

    def __init__(self, x: npt.NDArray[np.float64], log_ms: npt.NDArray[np.float64], kernel: Any = None) -> None:
        """``kernel``: as another model found it to be; None: it is found."""
        self._prices = _prices(x, np.exp(log_ms))
        shapes = np.log1p(x)
        self._middle, self._scale = shapes.mean(axis=0), shapes.std(axis=0) + 1e-9
        self._process = _process(self._shape(x), log_ms - self._priced(x), kernel)

    @property
    def kernel(self) -> Any:
        return self._process.kernel_

    def predict(self, x: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Logarithms of milliseconds and their standard deviations."""
        missed, spread = self._process.predict(self._shape(x), return_std=True)
        return self._priced(x) + missed, spread

    def _shape(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        shapes: npt.NDArray[np.float64] = (np.log1p(x) - self._middle) / self._scale
        return shapes

    def _priced(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = np.log(_priced(x, self._prices))
        return found


def _miss(x: npt.NDArray[np.float64], log_ms: npt.NDArray[np.float64], index: int, kernel: Any) -> float:
    """How far off one network is predicted from the others, in standard deviations."""
    others = np.arange(len(x)) != index
    mean, spread = _Model(x[others], log_ms[others], kernel).predict(x[index : index + 1])
    return float(abs(log_ms[index] - mean[0]) / spread[0])


def _prices(x: npt.NDArray[np.float64], ms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Non-negative, of every feature and of a call as such; errors count in proportion."""
    from scipy.optimize import nnls

    with_call = np.column_stack([x, np.ones(len(x))])
    unit = with_call.max(axis=0) + 1e-12
    weighted = with_call / unit / ms[:, None]
    ridge = 1e-2 * np.eye(with_call.shape[1])
    found, _ = nnls(np.vstack([weighted, ridge]), np.concatenate([np.ones(len(x)), np.zeros(len(ridge))]))
    return np.asarray(found / unit)


def _priced(x: npt.NDArray[np.float64], prices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(np.column_stack([x, np.ones(len(x))]) @ prices, 1e-6)


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
    low, high = math.exp(middle - half), math.exp(middle + half)
    return Interval(estimate=math.exp(middle), low=low, high=high, confidence=CONFIDENCE)
