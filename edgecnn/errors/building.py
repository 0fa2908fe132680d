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


class RunnerSourceChanged(EdgecnnError):
    """Raised when edgecnn itself was changed between planning and packaging: the kit would lie under another runner's key."""

    ref = "runner-source-changed"

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder} changed while the build was running",
            because="a kit carries the runner that it was planned with",
            hint="run the same command again",
        )


class OutputHoldsOtherFiles(EdgecnnError):
    """Raised before any work when publishing would replace something that edgecnn did not write."""

    ref = "output-holds-other-files"

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path} was not written by edgecnn and would be replaced",
            because="a bundle holds a choice.json",
            hint="choose another folder with --out FOLDER",
        )


class OutputAmongData(EdgecnnError):
    """Raised before any work when results would become images of the next build."""

    ref = "output-among-data"

    def __init__(self, *, out: Path, data: Path) -> None:
        super().__init__(
            what=f"--out {out} lies inside the images' folder {data}",
            because="the next build would take the results for a class",
            hint="choose a folder beside it with --out FOLDER",
        )


class BaselineFailed(EdgecnnError):
    """Raised when the fp32 network that every drop is counted from could not be measured."""

    ref = "baseline-failed"
    exit_code = ExitCode.MISSING

    def __init__(self, *, reason: str) -> None:
        super().__init__(what="the fp32 baseline could not be measured, so no candidate can be judged", because=reason)


class EveryCandidateFailed(EdgecnnError):
    """Raised when not even the fp32 kit came out."""

    ref = "every-candidate-failed"
    exit_code = ExitCode.MISSING

    def __init__(self, *, reasons: tuple[str, ...]) -> None:
        super().__init__(what="no candidate could be built", because="; ".join(reasons))


class NothingToJudge(EdgecnnError):
    """Raised when ``judge`` is asked of what was never built: it recomputes, it does not train."""

    ref = "nothing-to-judge"
    exit_code = ExitCode.MISSING

    def __init__(self, *, missing: tuple[str, ...], command: str) -> None:
        super().__init__(
            what=f"there is nothing to judge yet: {', '.join(missing)} not in the store",
            because="judge recomputes from what a build made",
            hint=command,
        )


class ResultsNotWritten(EdgecnnError):
    """Raised when stdout takes no more, as on a full disk: the verdict was lost on the way, so none may be concluded."""

    ref = "results-not-written"
    exit_code = ExitCode.MISSING

    def __init__(self, *, because: str) -> None:
        super().__init__(
            what="the results could not be written to stdout", because=because, hint="the same command gives them again"
        )


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
