"""Latency of a network that was not timed, by a device's table: an estimate, and an interval.

Where the runtime times its layers, their times are learned one by one: a layer that multiplies takes what its kind of work is
priced at, times what extremely randomized trees (Geurts and others 2006, doi:10.1007/s10994-006-6226-1) say of its shape.
Elsewhere arithmetic and traffic are a sum with a non-negative price for each kind of operation, errors counted in proportion.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from edgecnn.fit.features import Counted, counted_of
from edgecnn.graph.layer_features import FUSED, KINDS, Layer, total_of
from edgecnn.values.fit import LEAST_TIMED, US_MAX, OtherLayers, Predicted, Probe, TimedProbe, TracedLayers
from edgecnn.values.layers import LayerResidency, MacTable, Residency
from edgecnn.values.verdict import Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

Base = Callable[[Sequence[Counted]], "Array"]
"""Networks to milliseconds."""
RIDGE = 1e-2
"""Of the prices, against a column's typical share of what is summed: of columns that say the same, none takes all."""
LEAST_MS = 1e-3


_PRICED: Mapping[str, tuple[str, ...]] = {
    "pointwise": ("pointwise_padded",),
    "spatial": ("spatial_padded", "grouped_padded"),
    "depthwise": ("depthwise_melem",),
    "read and written": ("pointwise_melem", "spatial_melem", "grouped_melem", "pool_melem", "mean_melem"),
    "gates": ("smooth_melem", "hard_melem", f"{FUSED}smooth_melem", f"{FUSED}hard_melem", "mul_melem"),
    "moves": ("concat_melem", "shuffle_melem", "split_melem", "norm_melem"),
    "weights": ("weights_m",),
    "layers": ("pointwise_count", "spatial_count", "grouped_count", "depthwise_count", "dense_count"),
    "other layers": (
        "smooth_count", "hard_count", f"{FUSED}smooth_count", f"{FUSED}hard_count", "mul_count", "pool_count", "mean_count",
    ),
    "moved": ("concat_count", "shuffle_count", "split_count", "norm_count"),
}  # fmt: skip
"""What has a price, and the features that it is the sum of. Sums and clipped activations are part of the layer before them. A
price for each feature alone fits a table better, and predicts networks of other families worse."""


def amounts(counted: Sequence[Counted]) -> Array:
    """What is priced of each network, a row each."""
    return np.array([[sum(each.features.get(name, 0.0) for name in names) for names in _PRICED.values()] for each in counted])


def priced(counted: Sequence[Counted], ms: Array) -> Base:
    """Prices of what networks count, found from some of which the time is known; a call as such has one too."""
    found = nonnegative(with_one(amounts(counted)), ms, 1 / ms)
    return lambda wanted: np.maximum(with_one(amounts(wanted)) @ found, LEAST_MS)


def with_one(x: Array) -> Array:
    """With a column that is 1 of each row."""
    return np.column_stack([x, np.ones(len(x))])


def nonnegative(x: Array, y: Array, weights: Array) -> Array:
    """The prices p ≥ 0 of the columns of x for which the weighted squares of x·p − y are least."""
    from scipy.optimize import nnls

    weighted = x * weights[:, None]
    unit = np.sqrt((weighted**2).mean(axis=0)) + 1e-12
    ridge = RIDGE * np.sqrt(len(y)) * np.eye(x.shape[1])
    found, _ = nnls(np.vstack([weighted / unit, ridge]), np.concatenate([y * weights, np.zeros(len(ridge))]))
    return np.asarray(found / unit)


TREES, LEAF = 100, 2
LEAST_US = 0.1
"""Of a layer, as it is priced: runtimes time whole microseconds, some of them none."""
OF_A_FEW_US = 3.0
"""Errors of a layer count in proportion to its time and so much more: of the shortest, time is not known so well."""
TRACING = ((0.5, 1.5), (-20.0, 20.0), (-np.inf, np.inf))
"""Bounds of what tracing makes of a time: a factor, microseconds for each layer, and microseconds for each call."""
_MULTIPLYING = tuple(f"{kind}_" for kind in KINDS) + ("weights_m",)


def traced_layers(found: Residency, macs: MacTable) -> TracedLayers | None:
    """What a table keeps of a trace; None where the runtime does not time each layer. What ran as one takes its time by shares of
    the multiply-adds."""
    times = [layer.time_us or 0.0 for layer in found.layers]
    if not any(times) or not all(0 <= us <= US_MAX for us in times) or sum(times) > US_MAX:  # a NaN is not inside either
        return None
    counts, us = {each.name: each.macs for each in macs.layers}, dict[str, float]()
    others = defaultdict[str, list[LayerResidency]](list)
    for layer in found.layers:
        whole = sum(counts[name] for name in layer.onnx_nodes)
        us |= {name: round((layer.time_us or 0.0) * counts[name] / whole, 2) for name in layer.onnx_nodes}
        others[layer.op] += [] if layer.onnx_nodes else [layer]
    return TracedLayers(
        multiplying_us=tuple(us.get(each.name) for each in macs.layers),
        others={
            op: OtherLayers(count=len(of), us=round(sum(each.time_us or 0.0 for each in of), 2))
            for op, of in sorted(others.items())
            if of
        },
    )


class ExecutedLayers:
    """Of one candidate on one machine."""

    def __init__(self, counted: Sequence[Counted], traced: Sequence[TracedLayers], ms: Array) -> None:
        """``ms``: of each network without a trace. Each has as many traced layers as counted ones."""
        us = 1000 * ms
        self._names = sorted({name for each in counted for name in each.features if not name.startswith(_MULTIPLYING)})
        slower, each_us = _cost_of_tracing(traced, us)

        def untraced(took: float, count: int = 1) -> float:
            return max(slower * took + each_us * count, 0.0)

        layers = [
            (layer, untraced(took))
            for network, one in zip(counted, traced, strict=True)
            for layer, took in zip(network.layers, one.multiplying_us, strict=True)
            if took is not None
        ]
        self._prices, self._trees = _learned([layer for layer, _ in layers], np.array([took for _, took in layers]))
        x, operators = self._others(counted), sorted({name for each in traced for name in each.others})
        self._operators = np.zeros(x.shape[1])
        for name in operators:
            found = (each.others.get(name) for each in traced)
            took = np.array([0.0 if each is None else untraced(each.us, each.count) for each in found])
            self._operators += nonnegative(x, took, 1 / us)
        left = us - self._layers_us(counted) - x @ self._operators
        self._calls = nonnegative(with_one(self._counts(counted)), np.maximum(left, 0.0), 1 / us)

    def __call__(self, counted: Sequence[Counted]) -> Array:
        """Milliseconds of each."""
        us = self._layers_us(counted) + self._others(counted) @ self._operators + with_one(self._counts(counted)) @ self._calls
        ms: Array = np.maximum(us / 1000, LEAST_MS)
        return ms

    def _layers_us(self, counted: Sequence[Counted]) -> Array:
        every = [layer for each in counted for layer in each.layers]
        us: Array = _price_of(every, self._prices) * self._trees.predict(_shapes(every))
        ends = np.cumsum([len(each.layers) for each in counted])
        return np.array([part.sum() for part in np.split(us, ends[:-1])])

    def _others(self, counted: Sequence[Counted]) -> Array:
        return np.array([[each.features.get(name, 0.0) for name in self._names] for each in counted])

    def _counts(self, counted: Sequence[Counted]) -> Array:
        """Operations of each, a column: every one is called."""
        return np.array([[total_of(each.features, "_count")] for each in counted])


def _cost_of_tracing(traced: Sequence[TracedLayers], us: Array) -> tuple[float, float]:
    """What traced time is to be multiplied with, and what is to be added for each layer, so that it comes to time without."""
    from scipy.optimize import lsq_linear

    whole = [sum(_multiplied(each)) + sum(other.us for other in each.others.values()) for each in traced]
    many = [len(list(_multiplied(each))) + sum(other.count for other in each.others.values()) for each in traced]
    x = with_one(np.column_stack([whole, many])) / us[:, None]
    slower, each_us, _ = lsq_linear(x, np.ones(len(us)), bounds=np.transpose(TRACING)).x
    return float(slower), float(each_us)


def _multiplied(each: TracedLayers) -> Iterator[float]:
    return (took for took in each.multiplying_us if took is not None)


def _learned(layers: Sequence[Layer], us: Array) -> tuple[dict[str, Array], Any]:
    """Prices by kind, and what a layer of its shape takes of what it is priced at."""
    from sklearn.ensemble import ExtraTreesRegressor

    kinds, work = np.array([each.kind for each in layers]), np.array([each.work for each in layers])
    prices = {"": nonnegative(work, us, 1 / (us + OF_A_FEW_US))}  # of a kind that was never timed: of all together
    for kind in set(kinds.tolist()):
        prices[kind] = nonnegative(work[kinds == kind], us[kinds == kind], 1 / (us[kinds == kind] + OF_A_FEW_US))
    expected = _price_of(layers, prices)
    trees = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, random_state=0)
    return prices, trees.fit(_shapes(layers), us / expected, sample_weight=expected)


def _price_of(layers: Sequence[Layer], prices: dict[str, Array]) -> Array:
    found = [float(np.dot(each.work, prices.get(each.kind, prices[""]))) for each in layers]
    us: Array = np.maximum(np.array(found), LEAST_US)
    return us


def _shapes(layers: Sequence[Layer]) -> Array:
    return np.array([each.shape for each in layers])


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


class Predicts(Protocol):
    """Predictions of one candidate on one machine, from whatever is known of it."""

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction | None, ...]:
        """In the order in which they are given; None where nothing is known of a network."""


def fastest_first(predictors: Mapping[str, Predicts], probe: Probe) -> tuple[Predicted, ...]:
    """A network in each candidate of which something is known; those of which the table has nothing like it are the last."""
    predictions = {candidate: predictor.predict([probe])[0] for candidate, predictor in predictors.items()}
    found = [
        Predicted(candidate=name, p50_ms=prediction.p50_ms, extrapolated=prediction.extrapolated)
        for name, prediction in predictions.items()
        if prediction is not None
    ]
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
