"""Failures of looking into a network, and of putting networks together, after their builds are finished."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode


class NetworkGone(EdgecnnError):
    """Raised when the store no longer has what a finished build was made of."""

    ref = "network-gone"
    exit_code = ExitCode.MISSING

    def __init__(self, *, folder: Path, missing: str, store: Path, command: str) -> None:
        super().__init__(
            what=f"the {missing} of {folder} cannot be had from the store {store}",
            because="it was removed or changed, or the build used another store",
            hint=f"make it again: {command}" if command else "the same build command makes it again",
        )


class NoMaps(EdgecnnError):
    """Raised when nothing in a network is a map of places: there is no channel whose strongest place could be shown."""

    ref = "no-maps"

    def __init__(self, *, network: str) -> None:
        super().__init__(
            what=f"{network} has no maps to look at",
            because="no tensor behind a multiplying layer has channels, rows and columns of more than one position",
        )
