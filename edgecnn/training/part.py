"""One process's share of a batch."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """Images ``start`` to ``stop`` of a batch of ``whole``."""

    start: int
    stop: int
    whole: int

    @property
    def images(self) -> int:
        """How many they are."""
        return self.stop - self.start
