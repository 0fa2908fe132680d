"""Whether classes of unequal size count alike in training."""

from __future__ import annotations

from typing import Literal

Balance = Literal["none", "weights", "sampling"]
"""none: each image counts once. weights: its loss counts by the inverse of its class's size. sampling: each is shown as often."""
