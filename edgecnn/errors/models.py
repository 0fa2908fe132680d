"""Failures of naming a network."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError


class UnknownArch(EdgecnnError):
    """Raised when no row of the catalogue has the name that was asked for."""

    ref = "unknown-arch"

    def __init__(self, *, name: str, nearest: Sequence[str]) -> None:
        wish = f"did you mean {', '.join(nearest)}? " if nearest else ""
        super().__init__(what=f"no architecture is called {name!r}", hint=f"{wish}`edgecnn list archs` shows them all")
