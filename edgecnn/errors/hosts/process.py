"""Failures of a process on a host: the runner's own words where it had any, the bare facts where it died."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ExitCode, system_reason
from edgecnn.errors.wording import shortened


class RunnerFailed(EdgecnnError):
    """Raised when the runner ended with an error of its own; ``ref`` and text are the runner's."""

    def __init__(self, *, ref: str, what: str, because: str | None, hint: str | None, missing: bool = False) -> None:
        self.__dict__["ref"] = ref  # the runner names its failures, so the class cannot
        self.missing = missing
        if missing:
            self.__dict__["exit_code"] = ExitCode.MISSING
        super().__init__(what=what, because=because, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        return (_failed_again, (self.ref, self.what, self.because, self.hint, self.missing))


class RunnerCrashed(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the runner's process ended without a result line, whatever its exit status was."""

    def __init__(self, *, argv: Sequence[str], ending: str, last_lines: Sequence[str]) -> None:
        super().__init__(
            what=f"runner {_command(argv)} ended without a result ({ending})",
            because=_joined(last_lines) or "it said nothing on standard error",
        )


class RunnerCannotWrite(RunnerCrashed, exit_code=ExitCode.MISSING):
    """Raised when nothing took what the runner wrote: a full or failing disk keeps it from saying even that."""

    def __init__(self, *, argv: Sequence[str], board: str | None) -> None:
        """``board``: where it ran; None: on this machine."""
        where = "" if board is None else f"{board}: "
        EdgecnnError.__init__(
            self,
            what=f"{where}runner {_command(argv)} could not write what it found",
            because="the disk is full, or fails",
            hint="make room there, in the temporary folder too, then run the same command again",
        )


class RunnerTimedOut(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the runner said nothing for as long as its lease; it was killed."""

    def __init__(self, *, argv: Sequence[str], lease_s: float, last_lines: Sequence[str]) -> None:
        super().__init__(
            what=f"runner {_command(argv)} said nothing for {lease_s:g} s and was killed",
            because=f"last on standard error: {_joined(last_lines)}" if last_lines else None,
        )


class RunnerNotStarted(EdgecnnError):
    """Raised when no process could be started in a kit's folder."""

    def __init__(self, *, folder: object, why: OSError) -> None:
        super().__init__(what=f"{folder}: no runner could be started here", because=system_reason(why))


def _joined(last_lines: Sequence[str]) -> str:
    """The last lines, each cut, so that the very last one is always there."""
    return " | ".join(shortened(line, 2_000) for line in last_lines)


def _command(argv: Sequence[str]) -> str:
    return argv[0] if argv else "without a command"


def _failed_again(ref: str, what: str, because: str | None, hint: str | None, missing: bool) -> RunnerFailed:
    return RunnerFailed(ref=ref, what=what, because=because, hint=hint, missing=missing)


class ForeignCommandMissing(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a program that unpacks or runs a foreign machine's files is not installed."""

    def __init__(self, *, command: str, needed_for: str, package: str) -> None:
        super().__init__(
            what=f"{needed_for} needs {command}, which is not installed", hint=f"on Debian: apt-get install {package}"
        )


class DebianTreeFailed(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when Debian's packages for another machine could not be fetched or unpacked; nothing half-done is kept."""

    def __init__(self, *, suite: str, architecture: str, packages: Sequence[str], said: str) -> None:
        super().__init__(
            what=f"Debian {suite}'s packages for {architecture} ({', '.join(packages)}) could not be fetched",
            because=said,
            hint="look at the network, then run it again",
        )


class WheelsNotFound(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when no wheel of a package exists for a board's Python, processor and C library."""

    def __init__(self, *, packages: Sequence[str], board: str, said: str) -> None:
        super().__init__(what=f"no wheels of {', '.join(packages)} for {board} could be downloaded", because=said)


class NothingToEmulateOn(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised where no emulator is to be had for this machine."""

    def __init__(self, *, machine: str, has: Sequence[str]) -> None:
        super().__init__(
            what=f"an Arm machine is emulated on {', '.join(has)}, and this is {machine}",
            hint="on a 64-bit Arm machine nothing needs emulating: --target cpu" if machine == "aarch64" else None,
        )


class RecordingUnusable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a machine's Python did not answer what was asked of it."""

    def __init__(self, *, board: str, said: str) -> None:
        super().__init__(
            what=f"{board} could not be asked what it is",
            because=said,
            hint="it takes Python 3.6 or newer there, by the name python3 or the one that --python gives",
        )


class WheelsNotUnpacked(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when packages that were sent to a board could not be stored or unpacked there."""

    def __init__(self, *, board: str, said: str) -> None:
        super().__init__(what=f"{board} could not take the packages that were sent to it", because=said)
