"""What an axis spans, stated once: for the chart that draws it, and for whoever must know where on it a point will lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import altair as alt


@dataclass(frozen=True)
class Extent:
    """From the lowest to the highest value that is drawn."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies on the axis, 0…1."""
        low, high, at = (math.log(each) if self.logarithmic else each for each in (self.low, self.high, value))
        return (at - low) / (high - low)

    def scale(self) -> alt.Scale:
        """As every layer of the chart must state it."""
        if self.logarithmic:
            return alt.Scale(type="log", domain=[self.low, self.high], nice=False)
        return alt.Scale(domain=[self.low, self.high], nice=False, zero=False)
