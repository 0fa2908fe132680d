"""How often a network is right, and what another is right about more, on the same images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import tango_drop_pp, wilson
from edgecnn.values.verdict import Interval


def share_right(right: NDArray[np.bool_]) -> Interval | None:
    """Top-1, 0…1, of bool (images,); None of no images."""
    return wilson(int(right.sum()), len(right))


def gain_pp(better: NDArray[np.bool_], other: NDArray[np.bool_]) -> Interval | None:
    """What ``better`` gets right more than ``other``, in percentage points, paired; None of no images.

    It is the drop of ``other``: what ``better`` alone gets right is lost without it.

    Args:
        better, other: bool (images,), which of the same images each answers rightly.
    """
    return tango_drop_pp(int((better & ~other).sum()), int((other & ~better).sum()), len(better))
