"""Failures of any file that a user writes in TOML, before its meaning is looked at."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class FileUnreadable(EdgecnnError):
    """Raised when a TOML file cannot be opened or is no UTF-8 text."""

    ref = "file-unreadable"

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(what=f"{path} cannot be read", because=reason)


class NotToml(EdgecnnError):
    """Raised when a file breaks the grammar of TOML; ``line`` counts from 1, None where the parser names no line."""

    ref = "not-toml"

    def __init__(self, *, path: Path, line: int | None, reason: str) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(
            what=f"{where} is not valid TOML",
            because=reason,
            hint='text stands in quotes and tables in brackets, as in [train] and device = "jetson"',
        )
