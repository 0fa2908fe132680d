"""Failures of a whole build."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode


class NothingToBuild(EdgecnnError):
    """Raised when no runtime that the target needs is installed here."""

    ref = "nothing-to-build"
    exit_code = ExitCode.MISSING

    def __init__(self, *, device: str, reasons: tuple[str, ...], command: str | None) -> None:
        super().__init__(what=f"nothing can be built for {device} here", because="; ".join(reasons) or None, hint=command)


class OutputUnusable(EdgecnnError):
    """Raised before any work when the results could not be written."""

    ref = "output-unusable"

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} cannot hold the results", because=because, hint="choose another folder with --out FOLDER"
        )


class EveryCandidateFailed(EdgecnnError):
    """Raised when not even the fp32 kit came out."""

    ref = "every-candidate-failed"
    exit_code = ExitCode.MISSING

    def __init__(self, *, reasons: tuple[str, ...]) -> None:
        super().__init__(what="no candidate could be built", because="; ".join(reasons))
