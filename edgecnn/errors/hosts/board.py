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


_OTHER_PYTHON = (
    "pass the Python that has TensorRT with --python: JetPack's /usr/bin/python3, or a virtual environment with "
    "--system-site-packages; to install TensorRT, run sudo apt-get install nvidia-jetpack"
)


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
