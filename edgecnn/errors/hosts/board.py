"""Failures on the way to a board: each says whose side it is on, and names the command that shows or mends it."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts.process import RunnerCrashed, RunnerFailed, RunnerTimedOut
from edgecnn.errors.wording import reason_in, shell_word


class BoardError(EdgecnnError):
    """What is amiss with a board or the way to it says nothing of a candidate: it ends the call, and the same call goes on."""


class BadAddress(EdgecnnError):
    """Raised before anything is started, for a word after ``--host`` that is no destination."""

    def __init__(self, *, text: str) -> None:
        super().__init__(what=f"--host {text!r} is no SSH destination", hint="give user@board, or a name of your ssh_config")


class AndroidHost(EdgecnnError):
    """Raised before anything is started, where ``--host`` names a telephone at adb."""

    def __init__(self, *, text: str) -> None:
        super().__init__(
            what=f"--host {text!r}: no kit runs over adb",
            because="the runner is Python, which Android does not have",
            hint="docs/howto/use-an-android-telephone.md has three ways: its browser, LiteRT's program, Debian inside Termux",
        )


class SshAbsent(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised where the OpenSSH client is not to be started."""

    def __init__(self, *, program: str) -> None:
        super().__init__(what=f"{program}: cannot be started", hint="apt install openssh-client")


class BoardUnreachable(BoardError, exit_code=ExitCode.MISSING):
    """Raised when OpenSSH could not connect or log in; the reason is its own last line."""

    def __init__(self, *, board: str, said: str) -> None:
        super().__init__(what=f"{board}: no link", because=said or "ssh said nothing", hint=f"ssh {shell_word(board)}")


class BoardUnknown(BoardError, exit_code=ExitCode.MISSING):
    """Raised when a host key is not among the known ones. It is never accepted here."""

    def __init__(self, *, board: str) -> None:
        super().__init__(
            what=f"{board}: its host key is not known here",
            hint=f"ssh {shell_word(board)} once, and compare the fingerprint that it shows with the board's",
        )


class BoardKeyChanged(BoardError):
    """Raised when a host key is another one than before."""

    def __init__(self, *, board: str) -> None:
        super().__init__(
            what=f"{board}: its host key is not the known one",
            because="it was set up anew, or another machine answers",
            hint=f"ssh {shell_word(board)} says which line of known_hosts; remove it only where you know why it changed",
        )


class LoginRefused(BoardError, exit_code=ExitCode.MISSING):
    """Raised when no key was accepted; a password is never asked for."""

    def __init__(self, *, board: str, said: str) -> None:
        super().__init__(
            what=f"{board}: login refused", because=said, hint=f"ssh-copy-id {shell_word(board)}, so that no password is needed"
        )


class LinkLost(BoardError, exit_code=ExitCode.MISSING):
    """Raised when the connection ended in the middle. What was finished on the board is kept."""

    def __init__(self, *, board: str, doing: str, said: str = "") -> None:
        super().__init__(
            what=f"{board}: the link was lost during {doing}",
            because=said or None,
            hint="the same command goes on where it stopped",
        )


class BoardLacksPython(BoardError, exit_code=ExitCode.MISSING):
    """Raised when the board's interpreter does not start, or is too old for the runner."""

    def __init__(self, *, board: str, python: str, said: str) -> None:
        super().__init__(
            what=f"{board}: {python} is no Python 3.8 or later", because=said or None, hint="--python names another one there"
        )


class BoardIsAnotherDevice(EdgecnnError):
    """Raised before anything is measured: figures of one device must not be filed as those of another."""

    def __init__(self, *, board: str, machine: str, device: str, matching: Sequence[str]) -> None:
        super().__init__(
            what=f"{board} is {machine}, which is not {device}",
            hint=f"--target {shell_word(matching[0])}"
            if matching
            else "describe it in a device file of its own, and give that to --target",
        )


class BoardBusy(BoardError, exit_code=ExitCode.MISSING):
    """Raised when somebody else measures there: two at once measure nothing."""

    def __init__(self, *, board: str, owner: str, since_s: float | None, what: str) -> None:
        age = "" if since_s is None else f" for {since_s:.0f} s"
        super().__init__(
            what=f"{board}: in use by {owner}{age}", because=what or None, hint="the same command when that has ended"
        )


class BoardDiskFull(BoardError):
    """Raised when the board cannot hold what it is given, or what it writes."""

    def __init__(self, *, board: str, folder: str, needed_bytes: int | None, free_bytes: int) -> None:
        mib = 1024 * 1024
        needed = "" if needed_bytes is None else f"{needed_bytes / mib:.1f} MiB are needed, "
        super().__init__(
            what=f"{board}: no room in {folder}",
            because=f"{needed}{free_bytes / mib:.1f} MiB are free",
            hint=f"make room there, or let bench --clean remove {folder}",
        )


class BoardFailed(BoardError):
    """Raised when the board's own side failed and said how, or ended and said nothing."""

    def __init__(self, *, board: str, doing: str, said: Sequence[str]) -> None:
        super().__init__(what=f"{board}: {doing} failed", because=" | ".join(said) or "it said nothing")


class AnswerUnusable(BoardError):
    """Raised when a board, or a runner here, says too much, or what is of another type, impossible or not asked for."""

    def __init__(self, *, board: str | None, doing: str, because: str) -> None:
        """``board``: None: it was said on this machine."""
        super().__init__(
            what=f"{board or 'this machine'}: its answer to {doing} cannot be used",
            because=reason_in(because),
            hint=None if board is None else "bench --clean removes what is ours there; then the same command begins anew",
        )


class OwnAnswerUnusable(AnswerUnusable):
    """Raised when it was said on this machine, which says nothing of any board."""

    def __init__(self, *, doing: str, because: str) -> None:
        super().__init__(board=None, doing=doing, because=because)


_OTHER_PYTHON = (
    "--python names the one that has it: JetPack's is the system's /usr/bin/python3, which a virtual environment made with "
    "--system-site-packages sees too; sudo apt-get install nvidia-jetpack where the system has none"
)


class BoardLacksBuilder(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised before anything is planned or measured for a board whose Python cannot build the engines that its kits need."""

    def __init__(self, *, board: str, error: RunnerFailed | RunnerCrashed | RunnerTimedOut) -> None:
        """``error``: what the builder was found to be, or that asking for it ended or hung its process."""
        answered = isinstance(error, RunnerFailed)
        super().__init__(
            what=f"{board}: {error.what}" if answered else f"{board}: its TensorRT does not answer: {error.what}",
            because=error.because,
            hint=error.hint if answered and error.ref != "builder-missing" else _OTHER_PYTHON,
        )


class BuilderUnfit(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised at the same time where the board's TensorRT is outside the range that its kits were made for."""

    def __init__(self, *, board: str, package: str, version: str, wanted: str) -> None:
        super().__init__(
            what=f"{board} has {package} {version}, and the kits need {package}{wanted}",
            because="TensorRT comes with JetPack: 5.1 has 8.5, 6.0 has 8.6, 6.1 and 6.2 have 10.3, 7.2 has 10.16",
            hint="flash the JetPack of the device's file, or build for what is there: edgecnn devices add NAME --host BOARD",
        )


class BoardNotReady(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised after the findings were shown, when kits cannot run on a machine as it is."""

    def __init__(self, *, board: str, whats: Sequence[str], hints: Sequence[str]) -> None:
        super().__init__(
            what=f"kits cannot run on {board} as it is", because="; ".join(whats), hint="; ".join(dict.fromkeys(hints)) or None
        )


class CarryWithoutHost(EdgecnnError):
    """Raised when packages are to be carried to the machine that they would be fetched on."""

    def __init__(self) -> None:
        super().__init__(
            what="--carry-wheels copies packages to a board, and --host names none",
            hint="say --host user@board, or install what the findings name",
        )
