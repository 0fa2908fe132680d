"""Predict the latency of networks from a device's table, with an interval.

A network is described by its cost, counted from shapes alone. If the runtime times layers, the time of each multiplying layer is
its priced work times a factor of its shape, which extremely randomized trees learn (Geurts and others 2006,
doi:10.1007/s10994-006-6226-1). Otherwise latency is a sum of arithmetic and memory traffic with a non-negative price for each
kind of operation, fitted by relative error.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from edgecnn.graph.layer_features import FUSED, KINDS, Layer, fused_operations, layers_of, sum_features, total_of
from edgecnn.values.fit import LEAST_TIMED, US_MAX, OtherLayers, Predicted, Probe, TimedProbe, TracedLayers
from edgecnn.values.layers import LayerResidency, MacTable, Residency
from edgecnn.values.verdict import Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


class Counted(NamedTuple):
    """The cost of one image for a network."""

    parameters: int
    macs: int
    layers: tuple[Layer, ...]
    """Layers that multiply, in order."""
    features: Mapping[str, float]
    """By name: ``<kind>_mmac`` multiply-adds in millions, ``<kind>_padded`` with idle lanes, ``<kind>_melem`` millions of numbers
    read and written, ``<kind>_count`` operations, and ``weights_m`` millions of weights."""


@lru_cache(maxsize=4096)
def count_cost(probe: Probe) -> Counted:
    """Return the cost of a network, built from shapes alone and only once.

    Raises MissingPackage: torch, or the network's library, is not installed. UnknownArch: there is no such network.
    """
    import torch

    from edgecnn.graph.torch_operations import operations_of
    from edgecnn.models.catalogue import timed_arch
    from edgecnn.models.networks import build_network, shipped_parameter_count
    from edgecnn.models.surgery import apply_surgery_untrained

    spec = timed_arch(probe.arch)
    with torch.device("cpu" if probe.form.pruned else "meta"):  # pruning chooses channels by their weights
        network = build_network(spec, probe.classes)
    changed = apply_surgery_untrained(network, probe.form, probe.resolution_px).to("meta")
    operations = operations_of(changed, probe.resolution_px)
    passes = fused_operations(operations)
    layers = layers_of(operations, passes)
    features = sum_features(operations, layers, passes)
    return Counted(shipped_parameter_count(changed, spec), sum(layer.macs for layer in layers), layers, features)


Base = Callable[[Sequence[Counted]], "Array"]
"""Predicts milliseconds of networks."""
RIDGE = 1e-2
"""Regularisation of the prices, relative to a column's typical share of the sum, so that no correlated column takes everything.
"""
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
"""Features that share one price. Sums and clipped activations are part of the layer before them. One price for each feature fits
a table better, but predicts networks of other families worse."""


def priced_amounts(counted: Sequence[Counted]) -> Array:
    """Return the priced amounts of each network, one row each."""
    return np.array(
        [[sum(network.features.get(name, 0.0) for name in names) for names in _PRICED.values()] for network in counted]
    )


def priced(counted: Sequence[Counted], ms: Array) -> Base:
    """Learn prices from timed networks, including a price for each call, and return the function that applies them."""
    prices = nonnegative_prices(append_ones(priced_amounts(counted)), ms, 1 / ms)
    return lambda networks: np.maximum(append_ones(priced_amounts(networks)) @ prices, LEAST_MS)


def append_ones(x: Array) -> Array:
    """Append a column of ones."""
    return np.column_stack([x, np.ones(len(x))])


def nonnegative_prices(x: Array, y: Array, weights: Array) -> Array:
    """Return the prices p ≥ 0 of the columns of x that minimize the weighted squares of x·p − y."""
    from scipy.optimize import nnls

    weighted = x * weights[:, None]
    unit = np.sqrt((weighted**2).mean(axis=0)) + 1e-12
    ridge = RIDGE * np.sqrt(len(y)) * np.eye(x.shape[1])
    scaled, _ = nnls(np.vstack([weighted / unit, ridge]), np.concatenate([y * weights, np.zeros(len(ridge))]))
    return np.asarray(scaled / unit)


TREES, LEAF = 100, 2
LEAST_US = 0.1
"""Least time of a layer: runtimes report whole microseconds, and some layers take none."""
OF_A_FEW_US = 3.0
"""Errors of a layer count relative to its time plus this, because the shortest times are less precise."""
TRACING = ((0.5, 1.5), (-20.0, 20.0), (-np.inf, np.inf))
"""Bounds of the effect of tracing on times: a factor, microseconds for each layer, and microseconds for each call."""
_MULTIPLYING = tuple(f"{kind}_" for kind in KINDS) + ("weights_m",)


def traced_layers(residency: Residency, macs: MacTable) -> TracedLayers | None:
    """Return the layer times of a trace; None if the runtime does not time each layer.

    Layers that ran fused share their time in proportion to their multiply-adds.
    """
    times = [layer.time_us or 0.0 for layer in residency.layers]
    if not any(times) or not all(0 <= us <= US_MAX for us in times) or sum(times) > US_MAX:  # a NaN is not inside either
        return None
    counts, us = {counted_layer.name: counted_layer.macs for counted_layer in macs.layers}, dict[str, float]()
    others = defaultdict[str, list[LayerResidency]](list)
    for layer in residency.layers:
        whole = sum(counts[name] for name in layer.onnx_nodes)
        us |= {name: round((layer.time_us or 0.0) * counts[name] / whole, 2) for name in layer.onnx_nodes}
        others[layer.op] += [] if layer.onnx_nodes else [layer]
    return TracedLayers(
        multiplying_us=tuple(us.get(counted_layer.name) for counted_layer in macs.layers),
        others={
            op: OtherLayers(count=len(layers), us=round(sum(layer.time_us or 0.0 for layer in layers), 2))
            for op, layers in sorted(others.items())
            if layers
        },
    )


class ExecutedLayers:
    """Latency of one candidate on one machine, from the times of executed layers."""

    def __init__(self, counted: Sequence[Counted], traced: Sequence[TracedLayers], ms: Array) -> None:
        """``ms``: latency of each network without tracing. Each network has as many traced layers as counted ones."""
        us = 1000 * ms
        self._names = sorted({name for network in counted for name in network.features if not name.startswith(_MULTIPLYING)})
        slower, each_us = _cost_of_tracing(traced, us)

        def untraced(took: float, count: int = 1) -> float:
            return max(slower * took + each_us * count, 0.0)

        layers = [
            (layer, untraced(took))
            for network, one in zip(counted, traced, strict=True)
            for layer, took in zip(network.layers, one.multiplying_us, strict=True)
            if took is not None
        ]
        self._prices, self._trees = _layer_prices([layer for layer, _ in layers], np.array([took for _, took in layers]))
        x, operators = self._unlayered_features(counted), sorted({name for network in traced for name in network.others})
        self._operators = np.zeros(x.shape[1])
        for name in operators:
            times = (network.others.get(name) for network in traced)
            took = np.array([0.0 if other is None else untraced(other.us, other.count) for other in times])
            self._operators += nonnegative_prices(x, took, 1 / us)
        left = us - self._layers_us(counted) - x @ self._operators
        self._calls = nonnegative_prices(append_ones(self._operation_counts(counted)), np.maximum(left, 0.0), 1 / us)

    def __call__(self, counted: Sequence[Counted]) -> Array:
        """Return milliseconds of each network."""
        calls_us = append_ones(self._operation_counts(counted)) @ self._calls
        us = self._layers_us(counted) + self._unlayered_features(counted) @ self._operators + calls_us
        ms: Array = np.maximum(us / 1000, LEAST_MS)
        return ms

    def _layers_us(self, counted: Sequence[Counted]) -> Array:
        every = [layer for network in counted for layer in network.layers]
        us: Array = _layer_prices_us(every, self._prices) * self._trees.predict(_shape_rows(every))
        ends = np.cumsum([len(network.layers) for network in counted])
        return np.array([part.sum() for part in np.split(us, ends[:-1])])

    def _unlayered_features(self, counted: Sequence[Counted]) -> Array:
        return np.array([[network.features.get(name, 0.0) for name in self._names] for network in counted])

    def _operation_counts(self, counted: Sequence[Counted]) -> Array:
        """Return the number of operations of each network, as one column."""
        return np.array([[total_of(network.features, "_count")] for network in counted])


def _cost_of_tracing(traced: Sequence[TracedLayers], us: Array) -> tuple[float, float]:
    """Return the factor and the microseconds for each layer that convert traced time to time without tracing."""
    from scipy.optimize import lsq_linear

    whole = [sum(_timed_us(network)) + sum(other.us for other in network.others.values()) for network in traced]
    many = [len(list(_timed_us(network))) + sum(other.count for other in network.others.values()) for network in traced]
    x = append_ones(np.column_stack([whole, many])) / us[:, None]
    slower, each_us, _ = lsq_linear(x, np.ones(len(us)), bounds=np.transpose(TRACING)).x
    return float(slower), float(each_us)


def _timed_us(layers: TracedLayers) -> Iterator[float]:
    return (took for took in layers.multiplying_us if took is not None)


def _layer_prices(layers: Sequence[Layer], us: Array) -> tuple[dict[str, Array], Any]:
    """Return prices by kind of layer, and trees that predict a layer's time relative to its price from its shape."""
    from sklearn.ensemble import ExtraTreesRegressor

    kinds, work = np.array([layer.kind for layer in layers]), np.array([layer.work for layer in layers])
    prices = {"": nonnegative_prices(work, us, 1 / (us + OF_A_FEW_US))}  # for a kind that was never timed: the mean of all kinds
    for kind in set(kinds.tolist()):
        prices[kind] = nonnegative_prices(work[kinds == kind], us[kinds == kind], 1 / (us[kinds == kind] + OF_A_FEW_US))
    expected = _layer_prices_us(layers, prices)
    trees = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, random_state=0)
    return prices, trees.fit(_shape_rows(layers), us / expected, sample_weight=expected)


def _layer_prices_us(layers: Sequence[Layer], prices: dict[str, Array]) -> Array:
    prices_us = [float(np.dot(layer.work, prices.get(layer.kind, prices[""]))) for layer in layers]
    us: Array = np.maximum(np.array(prices_us), LEAST_US)
    return us


def _shape_rows(layers: Sequence[Layer]) -> Array:
    return np.array([layer.shape for layer in layers])


CONFIDENCE = 0.9
NEARLY_ALL = 0.8
FOLDS = 5
"""Parts of a table for cross-prediction, which measures the error of predictions."""
BEYOND = math.log(1.5)
"""How far outside the table's range a feature may be, as a logarithm."""
_LOG_MOST = math.log(1e9)
"""Largest prediction in ms, as a logarithm: contradicting times would give infinite bounds."""
_TOTALS = ("_mmac", "_melem", "_count")
"""Suffixes of the totals by which a network is compared with those of the table."""


class Prediction(NamedTuple):
    """Predicted latency of one network, which passes no gate."""

    p50_ms: Interval
    spread: float
    """Standard deviation of the logarithm. The most uncertain networks are measured next."""
    extrapolated: tuple[str, ...]
    """Features outside the table's range."""


class Predicts(Protocol):
    """A source of latency predictions for one candidate on one machine."""

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction | None, ...]:
        """Predict each network, in order; None if nothing is known about it."""


def fastest_first(predictors: Mapping[str, Predicts], probe: Probe) -> tuple[Predicted, ...]:
    """Return a network's predictions, the fastest candidate first and extrapolated ones last."""
    predictions = {candidate: predictor.predict([probe])[0] for candidate, predictor in predictors.items()}
    predicted = [
        Predicted(candidate=name, p50_ms=prediction.p50_ms, extrapolated=prediction.extrapolated)
        for name, prediction in predictions.items()
        if prediction is not None
    ]
    return tuple(sorted(predicted, key=lambda prediction: (bool(prediction.extrapolated), prediction.p50_ms.estimate)))


class Predictor:
    """Predictions of one candidate on one machine, from its latency table."""

    def __init__(self, timed: Sequence[TimedProbe]) -> None:
        """Raises ValueError: fewer than ``LEAST_TIMED`` networks."""
        if len(timed) < LEAST_TIMED:
            raise ValueError(f"{len(timed)} networks were timed, a prediction needs {LEAST_TIMED}")
        rows, base_of = _choose_base(timed)
        ms = np.array([row.timed.least_ms for row in rows])
        self._known = {name for row in rows for name in row.counted.features}
        self._log_ranges = dict[str, tuple[float, float]]()
        for suffix in _TOTALS:
            logs = [math.log(total_of(row.counted.features, suffix)) for row in rows]
            self._log_ranges[suffix] = min(logs), max(logs)
        x = priced_amounts([row.counted for row in rows])
        self._middle, self._scale = np.log1p(x).mean(axis=0), np.log1p(x).std(axis=0) + 1e-9
        shapes, missed = self._standardized(x), np.log(ms / _cross_predict(rows, ms, base_of))
        self._base, self._fit_process = base_of(rows, ms), _fit_process(shapes, missed, None)
        misses = sorted(_standardized_miss(shapes, missed, index, self._fit_process.kernel_) for index in range(len(rows)))
        self._allowed = misses[math.ceil((len(misses) + 1) * CONFIDENCE) - 1]

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction, ...]:
        """Predict each network, in order."""
        counted = [count_cost(probe) for probe in probes]
        missed, spread = self._fit_process.predict(self._standardized(priced_amounts(counted)), return_std=True)
        mean = np.log(self._base(counted)) + missed
        predictions = []
        for middle, sd, network in zip(mean.tolist(), spread.tolist(), counted, strict=True):
            logs = (middle, middle - self._allowed * sd, middle + self._allowed * sd)
            estimate, low, high = (math.exp(min(max(log, -_LOG_MOST), _LOG_MOST)) for log in logs)
            p50_ms = Interval(estimate=estimate, low=low, high=high, confidence=CONFIDENCE)
            predictions.append(Prediction(p50_ms, sd, self._outside_range(network.features)))
        return tuple(predictions)

    def _standardized(self, x: Array) -> Array:
        shapes: Array = (np.log1p(x) - self._middle) / self._scale
        return shapes

    def _outside_range(self, features: Mapping[str, float]) -> tuple[str, ...]:
        unknown = [name for name in features if name not in self._known]
        for suffix, (least, most) in self._log_ranges.items():
            if not least - BEYOND <= math.log(total_of(features, suffix)) <= most + BEYOND:
                unknown.append(f"total{suffix}")
        return tuple(unknown)


class _Row(NamedTuple):
    timed: TimedProbe
    counted: Counted


_BaseOf = Callable[[Sequence[_Row], "Array"], Base]


def _choose_base(timed: Sequence[TimedProbe]) -> tuple[list[_Row], _BaseOf]:
    """Return rows and base predictor: executed layers if nearly all networks were traced, else prices of all networks."""
    rows = [_Row(probe, count_cost(probe.probe)) for probe in timed]
    traced = [row for row in rows if _is_traced(row)]
    if len(traced) >= max(LEAST_TIMED, NEARLY_ALL * len(rows)):
        return traced, lambda known, ms: ExecutedLayers(
            [row.counted for row in known], [row.timed.traced for row in known if row.timed.traced], ms
        )
    return rows, lambda known, ms: priced([row.counted for row in known], ms)


def _is_traced(row: _Row) -> bool:
    traced = row.timed.traced
    if traced is None or len(traced.multiplying_us) != len(row.counted.layers):
        return False
    return any(took is not None for took in traced.multiplying_us)


def _cross_predict(rows: Sequence[_Row], ms: Array, base_of: _BaseOf) -> Array:
    """Predict each network of a table from the other parts of the table."""
    predicted, places = np.empty(len(ms)), range(len(ms))
    for fold in range(FOLDS):
        known, wanted = ([place for place in places if (place % FOLDS == fold) is of_it] for of_it in (False, True))
        base = base_of([rows[index] for index in known], ms[known])
        predicted[wanted] = base([rows[index].counted for index in wanted])
    return predicted


def _standardized_miss(shapes: Array, missed: Array, index: int, kernel: Any) -> float:
    """Return the distance of one network from its prediction by the others, in standard deviations."""
    others = np.arange(len(missed)) != index
    mean, spread = _fit_process(shapes[others], missed[others], kernel).predict(shapes[index : index + 1], return_std=True)
    return float(abs(missed[index] - mean[0]) / spread[0])


def _fit_process(shapes: Any, residual: Any, kernel: Any) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    if kernel is not None:
        return GaussianProcessRegressor(kernel, optimizer=None).fit(shapes, residual)
    wide = ConstantKernel(0.05, (1e-4, 1.0)) * Matern(5.0, (0.5, 100.0), nu=2.5) + WhiteKernel(0.002, (1e-5, 0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reaching a bound means that there is only noise to learn
        return GaussianProcessRegressor(wide, random_state=0, n_restarts_optimizer=2).fit(shapes, residual)
