"""What the layers that a runtime executes take together, learned layer by layer from traced processes.

A layer that multiplies takes what its kind of work is priced at, times what extremely randomized trees (Geurts and others 2006,
doi:10.1007/s10994-006-6226-1) say of its shape: means of ratios, so that sums of many layers come out right. What else a runtime
runs is a sum of prices, for each of its operators. Tracing costs time by itself, which is found from what the same networks took
without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.fit.features import Counted, total_of
from edgecnn.fit.layers import KINDS, Layer
from edgecnn.fit.prices import LEAST_MS, nonnegative, with_one
from edgecnn.values.fit import US_MAX, OtherLayers, TracedLayers
from edgecnn.values.layers import LayerResidency, MacTable, Residency

if TYPE_CHECKING:
    from edgecnn.fit.prices import Array

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
