"""Failures of making a page from a finished build."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import reason_in, shell_word


class NoReport(EdgecnnError):
    """Raised when the folder that was named holds no finished build."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder} holds no report.json",
            because="a build writes it when it is finished",
            hint="name the folder of a finished build; one that was interrupted goes on with the command that began it",
        )


class ReportUnreadable(EdgecnnError):
    """Raised when a report.json is truncated, was edited, or is of another version of edgecnn."""

    def __init__(self, *, path: Path, because: str, command: str | None = None) -> None:
        hint = command or "the same build command writes it again"
        super().__init__(what=f"{path} cannot be read as a report", because=because, hint=hint)


class PageUnwritable(EdgecnnError, exit_code=ExitCode.BAD_INPUT):
    """Raised when the page cannot be written where it was asked for."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} cannot be written", because=because, hint="name another file in its place")


class PageFailed(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the page could not be drawn: a library below failed, or a figure is one that no chart can show."""

    def __init__(self, *, because: str) -> None:
        super().__init__(
            what="the page could not be drawn",
            because=reason_in(because),
            hint="report.json and report.md hold the same figures; edgecnn report BUILD --debug shows where it broke",
        )


class PageIsForeign(EdgecnnError):
    """Raised when a page would replace a file that no page of edgecnn is."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path} is left as it is", because="it was not written by edgecnn", hint="name another file, or move it away"
        )


class PlotFormUnknown(EdgecnnError):
    """Raised when a plot is asked for in a file whose name says no form that can be drawn."""

    def __init__(self, *, path: Path, forms: Sequence[str]) -> None:
        super().__init__(
            what=f"no plot can be drawn into {path}",
            because=f"its name ends in {path.suffix!r}; this plot is drawn in {', '.join(forms)}",
            hint=f"--plot {shell_word(path.with_suffix(forms[0]).name)}",
        )


class NoHistory(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when the store has no dated profile of what was asked for."""

    def __init__(self, *, asked: str, store: Path, known: Sequence[str]) -> None:
        super().__init__(
            what=f"the store {store} holds no measurement of {asked}",
            because=f"measured there: {', '.join(known)}" if known else "nothing was measured with this store",
            hint="edgecnn build … measures; EDGECNN_STORE names another store",
        )


class HistoryOfWhat(EdgecnnError):
    """Raised when a history is asked of a build and of something else at once."""

    def __init__(self, *, options: Sequence[str]) -> None:
        super().__init__(
            what=f"BUILD says already what {' and '.join(options)} would say",
            hint="edgecnn history BUILD, or edgecnn history --arch NAME --target DEVICE",
        )
