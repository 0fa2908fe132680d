"""Failures of a process on a host: the runner's own error if it printed one, otherwise how the process ended."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode, system_reason
from edgecnn.errors.wording import shortened


class RunnerFailed(EdgecnnError):
    """The runner ended with an error; its reference and texts are the runner's."""

    def __init__(self, *, ref: str, what: str, because: str | None, hint: str | None, missing: bool = False) -> None:
        """``missing``: the machine lacks something that the kit needs."""
        self.ref, self.exit_code = ref, ExitCode.MISSING if missing else ExitCode.BAD_INPUT
        super().__init__(what=what, because=because, hint=hint)

    @property
    def missing(self) -> bool:
        """Whether the machine lacks something, which is not a fault of the kit."""
        return self.exit_code is ExitCode.MISSING


class RunnerCrashed(EdgecnnError):
    """The runner's process ended without a result line, whatever its exit status was."""


class RunnerCannotWrite(RunnerCrashed):
    """The runner could not write even its error, because the disk is full or fails."""


class RunnerTimedOut(EdgecnnError):
    """The runner was silent for its whole lease, and was killed."""


class RecordingUnusable(EdgecnnError):
    """A machine's Python did not answer questions about the machine."""


class WheelsNotFound(EdgecnnError):
    """No wheel of a package exists for a board's Python, processor and C library."""


RUNNER_CRASHED = ErrorRow(
    "runner-crashed",
    "runner {command} ended without a result ({ending})",
    "{because}",
    "rerun the command; report a bug if it fails again",
    exit_code=ExitCode.OWN_FAULT,
    kind=RunnerCrashed,
)
RUNNER_CANNOT_WRITE = ErrorRow(
    "runner-cannot-write",
    "runner {command} could not write its results{where}",
    "the disk is full or failing",
    "free space on that disk and in the temporary folder, then rerun the command",
    exit_code=ExitCode.MISSING,
    kind=RunnerCannotWrite,
)
RUNNER_TIMED_OUT = ErrorRow(
    "runner-timed-out",
    "runner {command} was silent for {lease_s:g} s and was killed",
    "{because}",
    "rerun the command when the machine is idle; report a bug if it fails again",
    exit_code=ExitCode.OWN_FAULT,
    kind=RunnerTimedOut,
)
RUNNER_NOT_STARTED = ErrorRow(
    "runner-not-started",
    "the runner could not be started in {folder}",
    "{because}",
    "check that the folder exists and that this user may run programs in it",
)
FOREIGN_COMMAND_MISSING = ErrorRow(
    "foreign-command-missing",
    "{needed_for} needs {command}, which is not installed",
    fix="on Debian, run apt-get install {package}",
    exit_code=ExitCode.MISSING,
)
DEBIAN_TREE_FAILED = ErrorRow(
    "debian-tree-failed",
    "Debian {suite}'s packages for {architecture} ({packages:commas}) could not be fetched",
    "{because}",
    "check the network, then rerun the command",
    exit_code=ExitCode.MISSING,
)
WHEELS_NOT_FOUND = ErrorRow(
    "wheels-not-found",
    "the wheels of {packages:listed} for {board} could not be downloaded",
    "{because}",
    "check the network, or pass another Python of the board with --python",
    exit_code=ExitCode.MISSING,
    kind=WheelsNotFound,
)
NOTHING_TO_EMULATE_ON = ErrorRow(
    "nothing-to-emulate-on",
    "an Arm machine cannot be emulated on {machine}",
    "QEMU packages exist only for {has:listed}",
    "use such a machine; a 64-bit Arm machine needs no emulation, only --target cpu",
    exit_code=ExitCode.MISSING,
)
RECORDING_UNUSABLE = ErrorRow(
    "recording-unusable",
    "{board} could not be examined",
    "{because}",
    "install Python 3.6 or later there as python3, or pass another Python with --python",
    exit_code=ExitCode.MISSING,
    kind=RecordingUnusable,
)
WHEELS_NOT_UNPACKED = ErrorRow(
    "wheels-not-unpacked",
    "{board} could not store the packages that were sent to it",
    "{because}",
    "free space in the home folder of the board, and install python3-venv there",
    exit_code=ExitCode.MISSING,
)


def runner_crashed(argv: Sequence[str], ending: str, last_lines: Sequence[str]) -> EdgecnnError:
    because = _joined(last_lines) or "it wrote no error message"
    return RUNNER_CRASHED(command=_command(argv), ending=ending, because=because)


def runner_cannot_write(argv: Sequence[str], board: str | None) -> EdgecnnError:
    """``board``: where it ran; None: on this machine."""
    return RUNNER_CANNOT_WRITE(command=_command(argv), where="" if board is None else f" on {board}")


def runner_timed_out(argv: Sequence[str], lease_s: float, last_lines: Sequence[str]) -> EdgecnnError:
    because = f"last lines of standard error: {_joined(last_lines)}" if last_lines else None
    return RUNNER_TIMED_OUT(command=_command(argv), lease_s=lease_s, because=because)


def runner_not_started(folder: object, why: OSError) -> EdgecnnError:
    return RUNNER_NOT_STARTED(folder=folder, because=system_reason(why))


def _joined(last_lines: Sequence[str]) -> str:
    """Join the last lines. Each is shortened, so that the last one is always shown."""
    return " | ".join(shortened(line, 2_000) for line in last_lines)


def _command(argv: Sequence[str]) -> str:
    return argv[0] if argv else "(no command)"
