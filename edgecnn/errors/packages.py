"""Failures of what is installed."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError, ExitCode


class MissingPackage(EdgecnnError):
    """Raised when a stage needs a distribution that is not installed; ``extra`` is the extra of edgecnn that brings it."""

    ref = "missing-package"
    exit_code = ExitCode.MISSING

    def __init__(self, *, distribution: str, extra: str, needed_for: str) -> None:
        super().__init__(
            what=f"{needed_for} needs the package {distribution}, which is not installed",
            hint=f'pip install "edgecnn[{extra}]"',
        )
