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


class ResolutionTooSmall(EdgecnnError):
    """Raised before any work where the images asked for would shrink to nothing inside the network."""

    ref = "resolution-too-small"

    def __init__(self, *, arch: str, asked_px: int, least_px: int) -> None:
        super().__init__(
            what=f"{arch} cannot see images of {asked_px} px",
            because=f"its layers shrink them to nothing; it takes {least_px} px and more",
            hint=f"--set model.resolution_px={least_px}, or leave it out",
        )
