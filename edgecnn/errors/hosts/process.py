"""Failures of a process on a host: the runner's own error if it left one, otherwise how the process ended."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode, system_reason
from edgecnn.errors.wording import shortened


class RunnerFailed(EdgecnnError):
    """The runner ended with its own error, with the runner's reference and texts."""

    def __init__(self, *, ref: str, what: str, because: str | None, hint: str | None, missing: bool = False) -> None:
        """``missing``: the machine lacks something that the kit needs."""
        self.ref, self.exit_code = ref, ExitCode.MISSING if missing else ExitCode.BAD_INPUT
        super().__init__(what=what, because=because, hint=hint)

    @property
    def missing(self) -> bool:
        """Whether the machine lacks something, which does not concern the kit."""
        return self.exit_code is ExitCode.MISSING


class RunnerCrashed(EdgecnnError):
    """The runner's process ended without a result line, whatever its exit status was."""


class RunnerCannotWrite(RunnerCrashed):
    """The runner could not write: a full or failing disk prevents even its error line."""


class RunnerTimedOut(EdgecnnError):
    """The runner was silent for as long as its lease, and was killed."""


class RecordingUnusable(EdgecnnError):
    """A machine's Python did not answer questions about the machine."""


class WheelsNotFound(EdgecnnError):
    """No wheel of a package exists for a board's Python, processor and C library."""


RUNNER_CRASHED = ErrorRow(
    "runner-crashed",
    "runner {command} ended without a result ({ending})",
    "{because}",
    exit_code=ExitCode.OWN_FAULT,
    kind=RunnerCrashed,
)
RUNNER_CANNOT_WRITE = ErrorRow(
    "runner-cannot-write",
    "{where}runner {command} could not write its results",
    "the disk is full, or fails",
    "free space there, in the temporary folder too, then rerun the command",
    exit_code=ExitCode.MISSING,
    kind=RunnerCannotWrite,
)
RUNNER_TIMED_OUT = ErrorRow(
    "runner-timed-out",
    "runner {command} was silent for {lease_s:g} s and was killed",
    "{because}",
    exit_code=ExitCode.OWN_FAULT,
    kind=RunnerTimedOut,
)
RUNNER_NOT_STARTED = ErrorRow("runner-not-started", "{folder}: the runner could not be started here", "{because}")
FOREIGN_COMMAND_MISSING = ErrorRow(
    "foreign-command-missing",
    "{needed_for} needs {command}, which is not installed",
    fix="on Debian: apt-get install {package}",
    exit_code=ExitCode.MISSING,
)
DEBIAN_TREE_FAILED = ErrorRow(
    "debian-tree-failed",
    "Debian {suite}'s packages for {architecture} ({packages:commas}) could not be fetched",
    "{said}",
    "check the network, then rerun the command",
    exit_code=ExitCode.MISSING,
)
WHEELS_NOT_FOUND = ErrorRow(
    "wheels-not-found",
    "no wheels of {packages:commas} for {board} could be downloaded",
    "{said}",
    exit_code=ExitCode.MISSING,
    kind=WheelsNotFound,
)
NOTHING_TO_EMULATE_ON = ErrorRow(
    "nothing-to-emulate-on",
    "an Arm machine is emulated on {has:commas}, and this is {machine}",
    fix="{hint}",
    exit_code=ExitCode.MISSING,
)
RECORDING_UNUSABLE = ErrorRow(
    "recording-unusable",
    "{board} could not be examined",
    "{said}",
    "install Python 3.6 or newer there as python3, or name another one with --python",
    exit_code=ExitCode.MISSING,
    kind=RecordingUnusable,
)
WHEELS_NOT_UNPACKED = ErrorRow(
    "wheels-not-unpacked", "{board} could not store the packages that were sent to it", "{said}", exit_code=ExitCode.MISSING
)


def runner_crashed(argv: Sequence[str], ending: str, last_lines: Sequence[str]) -> EdgecnnError:
    because = _joined(last_lines) or "it wrote nothing to standard error"
    return RUNNER_CRASHED(command=_command(argv), ending=ending, because=because)


def runner_cannot_write(argv: Sequence[str], board: str | None) -> EdgecnnError:
    """``board``: where it ran; None: on this machine."""
    return RUNNER_CANNOT_WRITE(command=_command(argv), where="" if board is None else f"{board}: ")


def runner_timed_out(argv: Sequence[str], lease_s: float, last_lines: Sequence[str]) -> EdgecnnError:
    because = f"last on standard error: {_joined(last_lines)}" if last_lines else None
    return RUNNER_TIMED_OUT(command=_command(argv), lease_s=lease_s, because=because)


def runner_not_started(folder: object, why: OSError) -> EdgecnnError:
    return RUNNER_NOT_STARTED(folder=folder, because=system_reason(why))


def nothing_to_emulate_on(machine: str, has: Sequence[str]) -> EdgecnnError:
    hint = "a 64-bit Arm machine needs no emulation: --target cpu" if machine == "aarch64" else None
    return NOTHING_TO_EMULATE_ON(machine=machine, has=has, hint=hint)


def _joined(last_lines: Sequence[str]) -> str:
    """Join the last lines, each shortened, so that the very last one always fits."""
    return " | ".join(shortened(line, 2_000) for line in last_lines)


def _command(argv: Sequence[str]) -> str:
    return argv[0] if argv else "without a command"
