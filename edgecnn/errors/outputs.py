"""Failures of what is written beside a data set: a contact sheet, a divided copy."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class OutputInsideData(EdgecnnError):
    """Raised when a result would be written into the folder that was looked at, and become data of it."""

    ref = "output-inside-data"

    def __init__(self, *, path: Path, root: Path) -> None:
        super().__init__(
            what=f"{path}: lies inside the images of {root}", because="inputs are never modified", hint="choose another place"
        )


class NotOverwritten(EdgecnnError):
    """Raised when something stands where a result would be written, and it is not an earlier result."""

    ref = "not-overwritten"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: not overwritten", because=because, hint="choose another place, or remove it")


class OutputUnwritable(EdgecnnError):
    """Raised when a result cannot be written where it was asked for."""

    ref = "output-unwritable"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: cannot be written", because=because, hint="choose another place")
