"""Sums with non-negative prices: what a network takes as so much for every kind of operation, errors counted in proportion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.fit.features import FUSED, Counted

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
