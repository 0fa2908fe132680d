"""Failures of making a page from a finished build."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode


class NoReport(EdgecnnError):
    """Raised when the folder that was named holds no finished build."""

    ref = "no-report"

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder} holds no report.json",
            because="a build writes it when it is finished",
            hint="name the folder of a finished build, such as builds/ARCH-DEVICE",
        )


class ReportUnreadable(EdgecnnError):
    """Raised when a report.json is truncated, was edited, or is of another version of edgecnn."""

    ref = "report-unreadable"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(
            what=f"{path} cannot be read as a report", because=because, hint="the same build command writes it again"
        )


class PageUnwritable(EdgecnnError):
    """Raised when the page cannot be written where it was asked for."""

    ref = "page-unwritable"
    exit_code = ExitCode.BAD_INPUT

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} cannot be written", because=because, hint="choose another file with --out FILE")


class PageFailed(EdgecnnError):
    """Raised when the page could not be drawn: a library below failed, or a figure is one that no chart can show."""

    ref = "page-failed"
    exit_code = ExitCode.OWN_FAULT

    def __init__(self, *, because: str) -> None:
        super().__init__(
            what="the page could not be drawn",
            because=" ".join(because.split())[:500],
            hint="report.json and report.md hold the same figures; edgecnn report BUILD --debug shows where it broke",
        )
