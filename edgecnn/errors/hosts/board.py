"""Failures of a connection to a board. Each names the side at fault, and the command that shows or fixes it."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.hosts.process import (
    RECORDING_UNUSABLE,
    RunnerCrashed,
    RunnerFailed,
    RunnerTimedOut,
)
from edgecnn.errors.wording import shell_word


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


BAD_ADDRESS = ErrorRow(
    "bad-address",
    "--host {text!r} is not an SSH destination",
    fix="pass user@board, or a name of your ssh_config",
    kind=BadAddress,
)
ANDROID_HOST = ErrorRow(
    "android-host",
    "--host {text!r}: kits do not run over adb",
    "the runner needs Python, which Android does not have",
    "docs/howto/use-an-android-telephone.md shows three ways: its browser, LiteRT's program, Debian inside Termux",
)
SSH_ABSENT = ErrorRow("ssh-absent", "{program}: cannot be started", fix="apt install openssh-client", exit_code=ExitCode.MISSING)
BOARD_UNREACHABLE = ErrorRow(
    "board-unreachable", "{board}: no connection", "{because}", "ssh {board:word}", exit_code=ExitCode.MISSING, kind=BoardError
)
BOARD_UNKNOWN = ErrorRow(
    "board-unknown",
    "{board}: its host key is unknown",
    fix="run ssh {board:word} once, and compare the fingerprint that it prints with the board's",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
BOARD_KEY_CHANGED = ErrorRow(
    "board-key-changed",
    "{board}: its host key is not the known one",
    "the board was set up again, or another machine answers",
    "ssh {board:word} prints the line of known_hosts; remove the line only if you know why the key changed",
    kind=BoardError,
)
LOGIN_REFUSED = ErrorRow(
    "login-refused",
    "{board}: login refused",
    "{because}",
    "run ssh-copy-id {board:word}, so that no password is needed",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
LINK_LOST = ErrorRow(
    "link-lost",
    "{board}: the connection was lost during {doing}",
    "{because}",
    "rerun the command to continue",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
BOARD_LACKS_PYTHON = ErrorRow(
    "board-lacks-python",
    "{board}: {python} is not Python 3.8 or later",
    "{because}",
    "name another Python of the board with --python",
    exit_code=ExitCode.MISSING,
    kind=BoardError,
)
BOARD_IS_ANOTHER_DEVICE = ErrorRow("board-is-another-device", "{board} is not {device}", "it is {machine}", "{hint}")
BOARD_BUSY = ErrorRow(
    "board-busy",
    "{board}: in use by {owner}{age}",
    "{what}",
    "rerun the command when the other one has finished",
    exit_code=ExitCode.MISSING,
    kind=BoardBusy,
)
BOARD_DISK_FULL = ErrorRow(
    "board-disk-full",
    "{board}: no space in {folder}",
    "{needed}{free_bytes:mib} are free",
    "free space there, or let bench --clean remove {folder}",
    kind=BoardDiskFull,
)
BOARD_FAILED = ErrorRow(
    "board-failed",
    "{board}: {doing} failed",
    "{because}",
    "check the board with ssh {board:word}, then rerun the command to continue",
    kind=BoardError,
)
ANSWER_UNUSABLE = ErrorRow(
    "answer-unusable",
    "{board}: its answer to {doing} cannot be used",
    "{because:reason}",
    "remove edgecnn's files there with bench --clean, then rerun the command from the start",
    kind=AnswerUnusable,
)
OWN_ANSWER_UNUSABLE = ErrorRow(
    "own-answer-unusable",
    "this machine: its answer to {doing} cannot be used",
    "{because:reason}",
    "rerun the command; report a bug if it fails again",
    kind=AnswerUnusable,
)
"""A separate reference, since such an answer is not a fault of a board."""
BOARD_LACKS_BUILDER = ErrorRow("board-lacks-builder", "{board}: {what}", "{because}", "{hint}", exit_code=ExitCode.MISSING)
BUILDER_UNFIT = ErrorRow(
    "builder-unfit",
    "{board} has {package} {version}, and the kits need {package}{wanted}",
    "TensorRT comes with JetPack: 5.1 has 8.5, 6.0 has 8.6, 6.1 and 6.2 have 10.3, 7.2 has 10.16",
    "flash the JetPack of the device's file, or build for the installed one: edgecnn devices add NAME --host BOARD",
    exit_code=ExitCode.MISSING,
)
BOARD_NOT_READY = ErrorRow(
    "board-not-ready", "kits cannot run on {board} yet", "{whats:joined}", "{hint}", exit_code=ExitCode.MISSING
)
CARRY_WITHOUT_HOST = ErrorRow(
    "carry-without-host",
    "--carry-wheels copies packages to a board, and no board is named",
    fix="add --host user@board, or install the packages that the findings name",
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
    """``matching``: devices that the machine is."""
    hint = f"--target {shell_word(matching[0])}" if matching else "describe it in a device file, and pass that to --target"
    return BOARD_IS_ANOTHER_DEVICE(board=board, machine=machine, device=device, hint=hint)


def board_busy(board: str, owner: str, since_s: float | None, what: str) -> EdgecnnError:
    return BOARD_BUSY(board=board, owner=owner, age="" if since_s is None else f" for {since_s:.0f} s", what=what)


def board_disk_full(board: str, folder: str, needed_bytes: int | None, free_bytes: int) -> EdgecnnError:
    needed = "" if needed_bytes is None else f"{needed_bytes / 2**20:.1f} MiB are needed, "
    return BOARD_DISK_FULL(board=board, folder=folder, needed=needed, free_bytes=free_bytes)


def board_failed(board: str, doing: str, lines: Sequence[str]) -> EdgecnnError:
    return BOARD_FAILED(board=board, doing=doing, because=" | ".join(lines) or "there was no error message")


_OTHER_PYTHON = (
    "name the Python that has TensorRT with --python: JetPack's is /usr/bin/python3, or a virtual environment with "
    "--system-site-packages; to install TensorRT: sudo apt-get install nvidia-jetpack"
)


def board_lacks_builder(board: str, error: RunnerFailed | RunnerCrashed | RunnerTimedOut) -> EdgecnnError:
    """``error``: the runner's error about the builder, or its crash or time-out."""
    answered = isinstance(error, RunnerFailed)
    what = error.what if answered else f"its TensorRT does not respond: {error.what}"
    hint = error.hint if answered and error.ref != "builder-missing" else _OTHER_PYTHON
    return BOARD_LACKS_BUILDER(board=board, what=what, because=error.because, hint=hint)


def board_not_ready(board: str, whats: Sequence[str], hints: Sequence[str]) -> EdgecnnError:
    return BOARD_NOT_READY(board=board, whats=whats, hint="; ".join(dict.fromkeys(hints)) or None)
