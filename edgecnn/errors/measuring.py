"""Failures of measuring that are no runner's."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class PixelsChanged(EdgecnnError):
    """Raised when a kit was shown other pixels than were prepared: its answers would be filed under the wrong ones."""

    ref = "pixels-changed"

    def __init__(self, *, file: Path, split: str) -> None:
        super().__init__(
            what=f"{file} is not what was prepared for {split}",
            because="its SHA-256 is another one",
            hint="edgecnn store verify --repair, then the same command",
        )
