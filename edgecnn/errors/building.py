"""Failures of a whole build, of measuring a finished one where it runs, and of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import did_you_mean, reason_in, shell_word


class NothingToBuild(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when no runtime that the target needs is installed here."""

    def __init__(self, *, device: str, reasons: tuple[str, ...], command: str | None) -> None:
        super().__init__(what=f"nothing can be built for {device} here", because="; ".join(reasons) or None, hint=command)


class OutputUnusable(EdgecnnError):
    """Raised before any work when the results could not be written."""

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} cannot hold the results", because=because, hint="choose another folder with --out FOLDER"
        )


class RunnerSourceChanged(EdgecnnError):
    """Raised when edgecnn itself was changed between planning and packaging: the kit would lie under another runner's key."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder} changed while the build was running",
            because="a kit carries the runner that it was planned with",
            hint="run the same command again",
        )


class OutputHoldsOtherFiles(EdgecnnError):
    """Raised before any work when publishing would replace something that edgecnn did not write."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path} was not written by edgecnn and would be replaced",
            because="a bundle holds a choice.json",
            hint="choose another folder with --out FOLDER",
        )


class OutputAmongData(EdgecnnError):
    """Raised before any work when results would become images of the next build."""

    def __init__(self, *, out: Path, data: Path) -> None:
        super().__init__(
            what=f"--out {out} lies inside the images' folder {data}",
            because="the next build would take the results for a class",
            hint="choose a folder beside it with --out FOLDER",
        )


class BaselineFailed(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when the fp32 network that every drop is counted from could not be measured."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(what="the fp32 baseline could not be measured, so no candidate can be judged", because=reason)


class EveryCandidateFailed(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when no kit works that the target may ship. Nothing is published."""

    def __init__(self, *, reasons: Mapping[str, str], device: str | None = None) -> None:
        """``reasons``: candidate, or the step that failed, to why; the baseline's first. ``device``: whose runtime was named."""
        first, *others = reasons or {"nothing was made": ""}
        because = ": ".join(filter(None, (first, reasons.get(first))))
        more = f"; {', '.join(others)} failed too" if others else ""
        hint = None if device is None else f"pass --target {shell_word(device)} to build for the other runtimes of the device"
        super().__init__(what="no candidate works, so nothing was published", because=f"{because}{more}", hint=hint)


class UnknownFailure(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Stands for an exception in one candidate's branch that no error of ours foresaw."""

    def __init__(self, *, error: Exception) -> None:
        super().__init__(
            what=f"stopped at an unexpected error ({type(error).__name__})",
            because=reason_in(error) if str(error) else None,
            hint="run the same command with --debug for the traceback",
        )


class SelfTestFailed(EdgecnnError):
    """Raised when a kit that was just packaged fails its own self-test with the runner that ships."""

    def __init__(self, *, candidate: str, failure: EdgecnnError) -> None:
        because = failure.what if failure.because is None else f"{failure.what} ({failure.because})"
        super().__init__(what=f"the kit of {candidate} fails its own self-test", because=because, hint=failure.hint)


class NothingToJudge(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when ``judge`` is asked of what was never built: it recomputes, it does not train."""

    def __init__(self, *, missing: tuple[str, ...], command: str) -> None:
        super().__init__(
            what=f"there is nothing to judge yet: {', '.join(missing)} not in the store",
            because="judge recomputes from what a build made",
            hint=command,
        )


class ResultsNotWritten(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when stdout takes no more, as on a full disk: the verdict was lost on the way, so none may be concluded."""

    def __init__(self, *, because: str) -> None:
        super().__init__(
            what="the results could not be written to stdout", because=because, hint="the same command gives them again"
        )


class OutputInsideData(EdgecnnError):
    """Raised when a result would be written into the folder that was looked at, and become data of it."""

    def __init__(self, *, path: Path, root: Path) -> None:
        super().__init__(
            what=f"{path}: lies inside the images of {root}", because="inputs are never modified", hint="choose another place"
        )


class NotOverwritten(EdgecnnError):
    """Raised when something stands where a result would be written, and it is not an earlier result."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: not overwritten", because=because, hint="choose another place, or remove it")


class OutputUnwritable(EdgecnnError):
    """Raised when a result cannot be written where it was asked for."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: cannot be written", because=because, hint="choose another place")


class BenchTargetDiffers(EdgecnnError):
    """Raised when a build is to be measured as another device than it was built for."""

    def __init__(self, *, folder: object, built_for: str, target: str) -> None:
        super().__init__(
            what=f"{folder} was built for {built_for}, and --target says {target}",
            because="what a device runs fast, and in which scheme, was decided when it was built",
            hint=f"edgecnn build … --target {shell_word(target)} --host …, or leave --target out",
        )


class BenchProcessorDiffers(EdgecnnError):
    """Raised when a build for whatever processor made it is to be measured on another, under the same device name."""

    def __init__(self, *, folder: object, device: str, built_for: str, machine: str, here: str) -> None:
        super().__init__(
            what=f"{folder} was built for {device} as it was then, {built_for}, and {machine} is {here}",
            because="schemes are chosen for a processor, and figures of two processors do not go under one device's name",
            hint="build for the board's device file, or write one: edgecnn devices add NAME --host BOARD",
        )


class BenchClassesDiffer(EdgecnnError):
    """Raised when a bundle is to be shown images of a class that it does not know."""

    def __init__(self, *, data: object, name: str, classes: Sequence[str]) -> None:
        super().__init__(
            what=f"{data}: its classes are not the bundle's",
            because=f"{name!r} is none of the {len(classes):,} in kit.json's labels",
            hint=f"{did_you_mean(name, classes)}call each sub-folder after one of these",
        )


class BenchOptionOfBuild(EdgecnnError):
    """Raised when a bundle alone is asked for what only a build's folder has the settings of."""

    def __init__(self, *, option: str, bundle: object) -> None:
        super().__init__(
            what=f"{option} is for a finished build, and {bundle} is benched as a bundle alone",
            hint="name the build's folder, without --data and --out",
        )


class BenchDeviceUnknown(EdgecnnError):
    """Raised when a bundle was built for a device that has no file here."""

    def __init__(self, *, bundle: object, device: str) -> None:
        super().__init__(
            what=f"{bundle} was built for {device}, which has no device file here",
            because="figures are filed under a device only where the machine is seen to be it",
            hint="--target with its file, or edgecnn devices add NAME --host BOARD and --target NAME",
        )


class NoKitRuns(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when none of a bundle's kits runs on the machine."""

    def __init__(self, *, bundle: object, machine: str, reasons: Sequence[str]) -> None:
        super().__init__(what=f"no kit of {bundle} runs on {machine}", because="; ".join(reasons))


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
            hint="edgecnn study history BUILD, or edgecnn study history --arch NAME --target DEVICE",
        )
