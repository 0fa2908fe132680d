"""A figure, and what it would be without each image: its variance and its bias."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


class LeftOut(NamedTuple):
    """A figure, and the same without each image: float64 (images,)."""

    estimate: float
    without: Doubles

    @property
    def variance(self) -> float:
        """Of the estimate, by the delete-one jackknife."""
        images = len(self.without)
        return float(np.var(self.without)) * (images - 1) if images > 1 else 0.0

    @property
    def bias(self) -> float:
        """Of the estimate, by the same."""
        images = len(self.without)
        return (images - 1) * (float(self.without.mean()) - self.estimate) if images > 1 else 0.0
