"""A rule of when to stop measuring, fixed before the first run."""

from __future__ import annotations

from edgecnn.values.base import Value


class Until(Value):
    """Rounds are run in blocks; after each the rule looks, and stops where every kit's p50 is known well enough."""

    half_width: float
    """Of the interval of p50, as a share of p50: 0.02 is ± 2 %."""
    looks: tuple[int, ...]
    """After how many rounds it looks; the last is the cap."""
