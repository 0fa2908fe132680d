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


class MeterLogUnreadable(EdgecnnError):
    """Raised before anything is measured, and again after, when an external meter's log is no CSV of times and watts."""

    ref = "meter-log-unreadable"

    def __init__(self, *, what: str, because: str | None) -> None:
        super().__init__(what=what, because=because, hint="give --meter a CSV file whose lines are a time and watts")


class RunsUnusable(EdgecnnError):
    """Raised when run files that a device measured are not whole, not of the kit, or not of one machine in one state."""

    ref = "runs-unusable"

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} holds no runs that can be used",
            because=because,
            hint="measure again on the device, in the kit's folder: python3 -m runner measure ../.. --out NEW_FOLDER",
        )
