"""An address of a board, and one connection that all commands share, since a login on a slow board takes seconds.

The connection's own command there is ``cat`` on a pipe of this process, so the connection always ends with this process. Exit
codes are ambiguous (255 may come from the link, the login or the command); the last output counts.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    ANDROID_HOST,
    BAD_ADDRESS,
    BOARD_KEY_CHANGED,
    BOARD_UNKNOWN,
    LOGIN_REFUSED,
    SSH_ABSENT,
    board_unreachable,
    link_lost,
)
from edgecnn.hosts.wire import Exchange, Silence, Tail, exchange, last_lines, usable
from edgecnn.runner.runs.processes import kill_group

_OPEN_S = 60.0
"""Time for name, connection, key exchange and login through jump hosts; ssh itself gives up earlier on a silent board."""
_POLL_S = 0.02
_MOMENT_S = 1.0
_SOCKET_BYTES = 80
"""A socket's path has at most 108 bytes in Linux and 104 elsewhere, and ssh adds seventeen while it makes one."""


@dataclass(frozen=True)
class Answer:
    """Output and exit status of a command there."""

    stdout: bytes
    stderr: str
    status: int

    @property
    def text(self) -> str:
        """Standard output as text, without surrounding white space."""
        return self.stdout.decode("utf-8", "replace").strip()


class Link:
    """A connection to a board, made by ``open``. Use it as a context manager."""

    def __init__(self, address: Address, folder: Path, master: subprocess.Popen[bytes]) -> None:
        assert master.stderr is not None
        self.address = address
        self._folder = folder
        self._master, self._stderr = master, Tail(master.stderr)

    @classmethod
    def open(cls, address: Address) -> Link:
        """Connect and log in.

        Raises SSH_ABSENT, BOARD_UNREACHABLE, BOARD_UNKNOWN, BOARD_KEY_CHANGED, LOGIN_REFUSED: the connection failed.
        """
        folder = _private_folder()
        try:
            master = _start_master(address, folder)
        except BaseException:
            _remove_folder(folder)
            raise
        link = cls(address, folder, master)
        try:
            link._wait_until_open()
        except BaseException:
            link.close()
            raise
        return link

    @property
    def board(self) -> str:
        """The board as the user named it."""
        return self.address.destination

    @property
    def alive(self) -> bool:
        """Whether the connection is open. A silent board is noticed after fifteen seconds."""
        return self._master.poll() is None

    def is_lost(self) -> bool:
        """Whether the connection is lost, after an error. Its process may end a moment after the processes that use it."""
        give_up_at = time.monotonic() + _MOMENT_S
        while self.alive and time.monotonic() < give_up_at:
            time.sleep(_POLL_S)
        return not self.alive

    def command(self, remote: str) -> list[str]:
        """Return the command of a process that runs a remote command over this connection, and never over another one."""
        only_shared = ("-o", "ControlMaster=no", "-o", "ProxyCommand=false")
        return self.address.command(str(self._folder / "c"), options=only_shared, remote=remote)

    def ask(self, remote: str, *, stdin: bytes = b"", timeout_s: float = 60.0, doing: str = "a command") -> Answer:
        """Run one line in the login shell there, and wait for its end.

        ``remote``: the line; quote its variable parts. ``timeout_s``: the link then counts as lost. Raises LINK_LOST: the
        connection was lost. AnswerUnusable: the output is too long.
        """
        process = self.start(remote)
        streams = self.exchange(process, stdin, timeout_s=timeout_s, doing=doing)
        if not self.alive:
            raise link_lost(board=self.board, doing=doing, because=_last_line(streams.stderr))
        return Answer(streams.stdout, streams.stderr, process.returncode)

    def start(self, remote: str) -> subprocess.Popen[bytes]:
        """Start a process that runs a remote command."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(remote), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)

    def exchange(self, process: subprocess.Popen[bytes], stdin: IO[bytes] | bytes, *, timeout_s: float, doing: str) -> Exchange:
        """Write to a process and return its output.

        Raises LINK_LOST: the process did not end in time. AnswerUnusable: the output is too long.
        """
        try:
            with usable(self.board, doing):
                return exchange(process, stdin, timeout_s)
        except Silence as error:
            raise link_lost(board=self.board, doing=doing, because=f"no answer in {timeout_s:g} s") from error
        finally:
            kill_group(process)

    def close(self) -> None:
        """Close the connection. Its remote processes end."""
        if self._master.stdin is not None:
            self._master.stdin.close()
        kill_group(self._master)
        if self._folder.exists():
            _remove_folder(self._folder)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _wait_until_open(self) -> None:
        give_up_at = time.monotonic() + _OPEN_S
        while not (self._folder / "c").exists():
            if self._master.poll() is not None or time.monotonic() > give_up_at:
                kill_group(self._master)
                raise connection_error(self.board, self._stderr.text)
            time.sleep(_POLL_S)


def _private_folder() -> Path:
    """Make a folder with mode 0700 and a path that is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="edgecnn-"))
    if len(bytes(folder / "c")) <= _SOCKET_BYTES:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="edgecnn-", dir="/tmp"))


def _remove_folder(folder: Path) -> None:
    (folder / "c").unlink(missing_ok=True)
    folder.rmdir()


def _start_master(address: Address, folder: Path) -> subprocess.Popen[bytes]:
    words = address.command(str(folder / "c"), options=("-M", "-o", "ControlPersist=no"), remote="exec cat")
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(words, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, start_new_session=True)
    except OSError as error:
        raise SSH_ABSENT(program=words[0]) from error


def shell_path(path: str) -> str:
    """Quote a path for the shell there; a leading ``~`` is its home folder."""
    if path == "~":
        return '"$HOME"'
    return f'"$HOME"/{shlex.quote(path[2:])}' if path.startswith("~/") else shlex.quote(path)


def connection_error(board: str, output: str) -> EdgecnnError:
    """Return the error of a failed connection, from ssh's output.

    The sentences are those of OpenSSH's ``sshconnect.c`` and ``sshconnect2.c``. The error quotes any other sentence.
    """
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in output:
        return BOARD_KEY_CHANGED(board=board)
    if "Host key verification failed" in output or "host key is known for" in output:
        return BOARD_UNKNOWN(board=board)
    if "Permission denied (" in output or "Too many authentication failures" in output:
        return LOGIN_REFUSED(board=board, because=_last_line(output))
    return board_unreachable(board=board, because=_last_line(output))


def _last_line(text: str) -> str:
    return "".join(last_lines(text, 1))


COMMAND = "EDGECNN_SSH"
"""Environment variable with the client and its options, such as ``ssh -F boards.conf``; default ``ssh``."""
_SETTINGS = (
    "BatchMode=yes",  # never ask a question
    "StrictHostKeyChecking=yes",  # only the user accepts an unknown key
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ConnectTimeout=15",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
)


@dataclass(frozen=True)
class Address:
    """A destination for ``ssh``: ``user@board``, a name of ssh_config, or ``ssh://user@board:port``."""

    destination: str
    client: tuple[str, ...] = ("ssh",)

    @classmethod
    def of(cls, text: str) -> Address:
        """Parse a destination that a user named.

        Raises BadAddress: it is empty, contains a space, or begins like an option. ANDROID_HOST: it is an address of adb, such as
        ``adb:SERIAL``.
        """
        if text.startswith("adb:"):
            raise ANDROID_HOST(text=text)
        if not text or text.startswith("-") or any(not character.isprintable() or character.isspace() for character in text):
            raise BAD_ADDRESS(text=text)
        return cls(text, tuple(shlex.split(os.environ.get(COMMAND, ""))) or ("ssh",))

    def command(self, socket: str, *, options: Sequence[str] = (), remote: str | None = None) -> list[str]:
        """Return the client's command line. ``socket``: the socket of the shared connection."""
        settings = [word for setting in _SETTINGS for word in ("-o", setting)]
        words = [*self.client, *settings, "-a", "-x", "-T", "-S", socket, *options, "--", self.destination]
        return words if remote is None else [*words, remote]
