"""Failures of boards: connections, processes that run there, and leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode, system_reason
from edgecnn.errors.wording import shell_word, shortened


class BoardError(EdgecnnError):
    """A fault of a board or its connection, not of a candidate. It ends the call; the same call can continue."""


class BadAddress(EdgecnnError):
    """The word after ``--host`` is not an SSH destination."""


class BoardBusy(BoardError):
    """Another process is measuring there; two at once would disturb each other."""


class BoardDiskFull(BoardError):
    """The board cannot hold the files that it receives or writes."""


class AnswerUnusable(BoardError):
    """The answer of a board, or of a runner here, is too long, invalid or not expected."""


class RunnerFailed(EdgecnnError):
    """The runner ended with an error. The reference and texts are those of the runner's error."""

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


class LabgridAbsent(EdgecnnError):
    """The client of the coordinator that leases boards is not installed."""


class CoordinatorUnreachable(EdgecnnError):
    """A labgrid coordinator does not answer, or was lost during a wait or a measurement."""


class BoardTaken(EdgecnnError):
    """A board's lease ended during a measurement; later figures are not valid."""


BAD_ADDRESS = ErrorRow(
    "bad-address",
    "--host {text!r} is not an SSH destination",
    fix="pass user@board, or a host name from your ssh_config",
    kind=BadAddress,
)
ANDROID_HOST = ErrorRow(
    "android-host",
    "kits do not run over adb, as in --host {text!r}",
    "the runner needs Python, which Android does not have",
    "use the phone's browser, LiteRT's program or Debian inside Termux, as in docs/howto/use-an-android-telephone.md",
)
SSH_ABSENT = ErrorRow("ssh-absent", "{program} cannot be started", fix="apt install openssh-client", exit_code=ExitCode.MISSING)
BOARD_UNREACHABLE = ErrorRow(
    "board-unreachable",
    "{board} cannot be reached",
    "{because}",
    "check the connection with ssh {board:word}",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
BOARD_UNKNOWN = ErrorRow(
    "board-unknown",
    "the host key of {board} is unknown",
    fix="run ssh {board:word} once, and compare the fingerprint that it prints with the board's",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
BOARD_KEY_CHANGED = ErrorRow(
    "board-key-changed",
    "the host key of {board} has changed",
    "the board was set up again, or another machine answers",
    "run ssh {board:word} to see the line of known_hosts; remove that line only if you know why the key changed",
    kind=BoardError,
)
LOGIN_REFUSED = ErrorRow(
    "login-refused",
    "{board} refused the login",
    "{because}",
    "run ssh-copy-id {board:word}, so that ssh needs no password",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
LINK_LOST = ErrorRow(
    "link-lost",
    "the connection to {board} was lost during {doing}",
    "{because}",
    "rerun the command to continue",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
BOARD_LACKS_PYTHON = ErrorRow(
    "board-lacks-python",
    "{python} on {board} is not Python 3.8 or later",
    "{because}",
    "pass another Python of the board with --python",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
BOARD_IS_ANOTHER_DEVICE = ErrorRow("board-is-another-device", "{board} is not {device}", "it is {machine}", "{hint}")
BOARD_BUSY = ErrorRow(
    "board-busy",
    "{board} is in use by {owner}{age}",
    "{what}",
    "rerun your command when the board is free",
    exit_code=ExitCode.MISSING,
    kind=BoardBusy,
)
BOARD_DISK_FULL = ErrorRow(
    "board-disk-full",
    "{folder} on {board} has no space left",
    "{needed}{free_bytes:mib} are free",
    "free some space on the board, or remove {folder} with bench --clean",
    kind=BoardDiskFull,
)
BOARD_FAILED = ErrorRow(
    "board-failed",
    "{doing} failed on {board}",
    "{because}",
    "check the board with ssh {board:word}, then rerun the command to continue",
    kind=BoardError,
)
ANSWER_UNUSABLE = ErrorRow(
    "answer-unusable",
    "the answer of {board} to {doing} cannot be used",
    "{because:reason}",
    "remove edgecnn's files from the board with bench --clean, then rerun the command from the start",
    kind=AnswerUnusable,
)
OWN_ANSWER_UNUSABLE = ErrorRow(
    "own-answer-unusable",
    "the answer of this machine to {doing} cannot be used",
    "{because:reason}",
    "rerun the command; report a bug if it fails again",
    kind=AnswerUnusable,
)
"""A separate reference, since such an answer is not a fault of a board."""
BOARD_LACKS_BUILDER = ErrorRow("board-lacks-builder", "on {board}, {what}", "{because}", "{hint}", exit_code=ExitCode.MISSING)
BUILDER_UNFIT = ErrorRow(
    "builder-unfit",
    "{board} has {package} {version}, but the kits need {package}{wanted}",
    "TensorRT comes with JetPack: 5.1 has 8.5, 6.0 has 8.6, 6.1 and 6.2 have 10.3, 7.2 has 10.16",
    "flash the JetPack of the device file, or build for the installed one after edgecnn devices add NAME --host BOARD",
    exit_code=ExitCode.MISSING,
)
BOARD_NOT_READY = ErrorRow(
    "board-not-ready", "kits cannot run on {board} yet", "{whats:joined}", "{hint}", exit_code=ExitCode.MISSING
)
CARRY_WITHOUT_HOST = ErrorRow(
    "carry-without-host",
    "--carry-wheels copies packages to a board, but no board is given",
    fix="add --host user@board, or install the packages that the findings list",
)
_OTHER_PYTHON = (
    "pass the Python that has TensorRT with --python: JetPack's /usr/bin/python3, or a virtual environment with "
    "--system-site-packages; to install TensorRT, run sudo apt-get install nvidia-jetpack"
)
MODEL_CRASHED = ErrorRow(
    "model-crashed",
    "the model crashed its runtime ({ending})",
    "the kit {kit} ended the process that ran it; the sandbox contained the crash",
    "check the kit's signature, and tell its builder",
    also=("signal",),
)
KIT_NOT_SANDBOXED = ErrorRow(
    "kit-not-sandboxed",
    "kit {kit} from elsewhere needs {needs}, so no sandbox can hold it",
    "it is not in this store, and it could read your files and open connections",
    "pass --made-here to edgecnn bench, predict or bundle serve if you trust its builder, or use another kit of the bundle",
)
MODEL_TIMED_OUT = ErrorRow(
    "model-timed-out",
    "the kit {kit} gave no answer within {limit_s:g} s",
    fix="check the kit's signature, and tell its builder",
)
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
BOARDS_INVALID = ErrorRow(
    "boards-invalid",
    "boards {path} has {problems:counted problem}",
    "{problems:joined}",
    "docs/howto/sweep-at-scale.md shows an example, and docs/schemas/boards.json lists every key",
)
NO_SUCH_BOARDS = ErrorRow(
    "no-such-boards",
    "{where} has no board for {kind}",
    "its boards for this device are {others:listed}",
    "remove the tag from [tags], or add it to a board",
)
LABGRID_ABSENT = ErrorRow(
    "labgrid-absent",
    "{where} needs the package labgrid, which is not installed here",
    fix='pip install "edgecnn[labgrid]"',
    exit_code=ExitCode.MISSING,
    kind=LabgridAbsent,
)
COORDINATOR_UNREACHABLE = ErrorRow(
    "coordinator-unreachable",
    "the coordinator {where} does not answer",
    "{because}",
    "check with labgrid-client -x {address:word} places that it runs, then rerun the command to continue",
    exit_code=ExitCode.MISSING,
    kind=CoordinatorUnreachable,
)
COORDINATOR_REFUSED = ErrorRow(
    "coordinator-refused",
    "{where} refused the request",
    "{because}",
    "check the tags in the sweep file and the log of the coordinator",
)
BOARD_WITHOUT_ADDRESS = ErrorRow(
    "board-without-address",
    "the board {board} has no NetworkService",
    "no exporter offers a NetworkService for this board",
    "start the board's exporter",
    exit_code=ExitCode.MISSING,
)
BOARD_TAKEN = ErrorRow(
    "board-taken",
    "the lease of {board} ended during the measurement",
    "{because}",
    "check the places of the coordinator with labgrid-client places",
    exit_code=ExitCode.MISSING,
    kind=BoardTaken,
)
NO_BOARD_LEFT = ErrorRow(
    "no-board-left",
    "no board is left for {kind}",
    "{reasons:joined}",
    "repair one of them, then rerun the command to continue",
    exit_code=ExitCode.MISSING,
)
BOARDS_LOST_TO_BUILD = ErrorRow(
    "boards-lost-to-build",
    "{build} lost {reasons:counted board} in a row and was stopped",
    "{reasons:joined}",
    "run the command in the build's log on one of these boards; the next sweep run retries the build",
    exit_code=ExitCode.MISSING,
)
OF_A_BOARD = frozenset(
    row.ref
    for row in (
        BOARD_UNREACHABLE,
        BOARD_UNKNOWN,
        BOARD_KEY_CHANGED,
        LOGIN_REFUSED,
        LINK_LOST,
        BOARD_LACKS_PYTHON,
        BOARD_BUSY,
        BOARD_DISK_FULL,
        BOARD_FAILED,
        ANSWER_UNUSABLE,
        BOARD_IS_ANOTHER_DEVICE,
        BOARD_LACKS_BUILDER,
        BUILDER_UNFIT,
        BOARD_NOT_READY,
        RECORDING_UNUSABLE,
    )
)
"""Errors of a build's process that are faults of its board, not of the build."""
OF_A_TARGET = frozenset(row.ref for row in (BOARD_NOT_READY, BOARD_LACKS_BUILDER, BUILDER_UNFIT, BOARD_DISK_FULL))
"""Errors of a board that do not affect kits for another runtime."""


def board_unreachable(board: str, because: str) -> EdgecnnError:
    """``because``: the last line of ssh's output."""
    return BOARD_UNREACHABLE(board=board, because=because or "ssh printed nothing")


def link_lost(board: str, doing: str, because: str = "") -> EdgecnnError:
    return LINK_LOST(board=board, doing=doing, because=because)


def board_is_another_device(board: str, machine: str, device: str, matching: Sequence[str]) -> EdgecnnError:
    """``matching``: devices that match the machine."""
    hint = (
        f"pass --target {shell_word(matching[0])}"
        if matching
        else "describe the board in a device file, and pass the file with --target"
    )
    return BOARD_IS_ANOTHER_DEVICE(board=board, machine=machine, device=device, hint=hint)


def board_busy(board: str, owner: str, since_s: float | None, what: str) -> EdgecnnError:
    return BOARD_BUSY(board=board, owner=owner, age="" if since_s is None else f" for {since_s:.0f} s", what=what)


def board_disk_full(board: str, folder: str, needed_bytes: int | None, free_bytes: int) -> EdgecnnError:
    needed = "" if needed_bytes is None else f"{needed_bytes / 2**20:.1f} MiB are needed, "
    return BOARD_DISK_FULL(board=board, folder=folder, needed=needed, free_bytes=free_bytes)


def board_failed(board: str, doing: str, lines: Sequence[str]) -> EdgecnnError:
    return BOARD_FAILED(board=board, doing=doing, because=" | ".join(lines) or "there was no error message")


def board_lacks_builder(board: str, error: RunnerFailed | RunnerCrashed | RunnerTimedOut) -> EdgecnnError:
    """``error``: the runner's error about the builder, or its crash or time-out."""
    answered = isinstance(error, RunnerFailed)
    because = error.because if answered else ": ".join(filter(None, (error.what, error.because)))
    hint = error.hint if answered and error.ref != "builder-missing" else _OTHER_PYTHON
    return BOARD_LACKS_BUILDER(
        board=board, what=error.what if answered else "TensorRT does not respond", because=because, hint=hint
    )


def board_not_ready(board: str, whats: Sequence[str], hints: Sequence[str]) -> EdgecnnError:
    return BOARD_NOT_READY(board=board, whats=whats, hint="; ".join(dict.fromkeys(hints)) or None)


def model_crashed(kit: str, code: int, ending: str) -> EdgecnnError:
    """``code``: the exit status of the process; negative: a signal."""
    return MODEL_CRASHED(kit=kit, signal=-code if code < 0 else None, ending=ending)


def runner_crashed(argv: Sequence[str], ending: str, last_lines: Sequence[str]) -> EdgecnnError:
    because = _joined(last_lines) or "it wrote no error message"
    return RUNNER_CRASHED(command=_program(argv), ending=ending, because=because)


def runner_cannot_write(argv: Sequence[str], board: str | None) -> EdgecnnError:
    """``board``: the board on which it ran; None: this machine."""
    return RUNNER_CANNOT_WRITE(command=_program(argv), where="" if board is None else f" on {board}")


def runner_timed_out(argv: Sequence[str], lease_s: float, last_lines: Sequence[str]) -> EdgecnnError:
    because = f"last lines of standard error: {_joined(last_lines)}" if last_lines else None
    return RUNNER_TIMED_OUT(command=_program(argv), lease_s=lease_s, because=because)


def runner_not_started(folder: object, why: OSError) -> EdgecnnError:
    return RUNNER_NOT_STARTED(folder=folder, because=system_reason(why))


def _joined(last_lines: Sequence[str]) -> str:
    """Join the last lines. Each is shortened, so that the last one is always shown."""
    return " | ".join(shortened(line, 2_000) for line in last_lines)


def _program(argv: Sequence[str]) -> str:
    return argv[0] if argv else "(no command)"


def coordinator_unreachable(where: str, because: str) -> EdgecnnError:
    return COORDINATOR_UNREACHABLE(where=where, because=because, address=where.removeprefix("labgrid://"))


def no_board_left(kind: str, reasons: Mapping[str, str]) -> EdgecnnError:
    return NO_BOARD_LEFT(kind=kind, reasons=[f"{board} failed ({reason})" for board, reason in reasons.items()])


def boards_lost_to_build(build: str, reasons: Mapping[str, str]) -> EdgecnnError:
    return BOARDS_LOST_TO_BUILD(build=build, reasons=[f"{board} failed ({reason})" for board, reason in reasons.items()])
