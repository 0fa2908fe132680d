"""Failures of what a job reads beside the exit code."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class NothingJudged(EdgecnnError):
    """Raised when a verb that judges nothing is asked for a file of verdicts."""

    ref = "nothing-judged"

    def __init__(self, *, verb: str) -> None:
        super().__init__(
            what=f"edgecnn {verb} judges nothing, so --junit would hold no test",
            hint="give --junit to edgecnn build or edgecnn judge",
        )


class ResultFileUnwritable(EdgecnnError):
    """Raised, before any work where that can be told, when a file of results cannot be written."""

    ref = "result-file-unwritable"

    def __init__(self, *, option: str, path: Path, because: str) -> None:
        super().__init__(what=f"{option} {path} cannot be written", because=because, hint=f"choose another file with {option}")


class NoVerdict(EdgecnnError):
    """Never raised: what a file of verdicts says until there is one, so that a killed call leaves no older verdict behind."""

    ref = "no-verdict"

    def __init__(self) -> None:
        super().__init__(what="edgecnn ended before any verdict", because="it was killed, or is still running")
