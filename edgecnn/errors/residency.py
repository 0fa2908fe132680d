"""Failures of reading back what a runtime executed."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode


class TraceUnreadable(EdgecnnError):
    """Raised when a traced run left no trace, or one in another form than this runtime is known to write."""

    ref = "trace-unreadable"
    exit_code = ExitCode.MISSING

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(
            what=f"{path} does not tell what ran in which precision",
            because=why,
            hint="the runtime may be newer than edgecnn's reader of it: install a version inside the ranges of edgecnn's extras",
        )
