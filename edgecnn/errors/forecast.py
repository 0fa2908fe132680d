"""Failures of `edgecnn forecast` and of the public tables that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class PublicTableDamaged(EdgecnnError):
    """Raised when a shipped table cannot be read."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(
            what=f"{path} is not a public table", because=because, hint="install edgecnn again, or restore the file from Git"
        )


class NothingForecast(EdgecnnError):
    """Raised when not one figure can be given for what was asked."""

    def __init__(self, *, reasons: Sequence[str]) -> None:
        super().__init__(
            what="no forecast can be made",
            because="; ".join(reasons[:3]),
            hint="`edgecnn forecast --arch resnet-18` lists the devices that have a table",
        )
