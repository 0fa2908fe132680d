"""Send ``far.py`` to a board, run one process there for each request, and validate its answers."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    BOARD_LACKS_PYTHON,
    board_busy,
    board_disk_full,
    board_failed,
    link_lost,
)
from edgecnn.hosts.ssh.link import Link, shell_path
from edgecnn.hosts.wire import Count, Line, Message, Words, last_lines, usable, validate

_MOST_BYTES = 8 * 1024**3
"""Largest size of a results folder. A trace of the largest network has a tenth of it."""
_CENTURY_S = 100 * 366 * 86400.0
"""Largest plausible age: a clock that was never set begins in 1970."""


def _check_result_name(name: str) -> str:
    """Return the name of a result. Raises ValueError: it leaves the results folder, or a terminal cannot show it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or name == "." or not name.isprintable():
        raise ValueError("it is not the name of a result")
    return name


def _check_total_size(files: Mapping[str, FileFacts]) -> Mapping[str, FileFacts]:
    if sum(facts.bytes for facts in files.values()) > _MOST_BYTES:
        raise ValueError(f"they are larger than {_MOST_BYTES >> 30} GiB")
    return files


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileFacts(Message):
    """A finished file of a results folder."""

    sha256: Sha256
    bytes: Count
    age_s: float = Field(ge=-_CENTURY_S, le=_CENTURY_S)
    """Age by the board's clock."""


class _Done(Message):
    ok: Literal[True]


_PLAIN_PATH = re.compile(r"(/[\w.@+=, -]+)+")


def _require_plain_path(path: str) -> str:
    if not _PLAIN_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("it is not an absolute path of plain names")
    return path


PlainPath = Annotated[str, Field(max_length=4096), AfterValidator(_require_plain_path)]
"""An absolute path without signs that a shell or a terminal would interpret."""


class _Hello(_Done):
    python: tuple[Count, Count, Count]
    folder: PlainPath
    free_bytes: Count


class _Have(_Done):
    missing: list[Sha256]
    free_bytes: Count


class _Lay(_Done):
    path: PlainPath


class _List(_Done):
    files: Annotated[Mapping[Annotated[str, AfterValidator(_check_result_name)], FileFacts], AfterValidator(_check_total_size)]


class _Put(_Done):
    put: Count


class _Hold(_Done):
    held: Literal[True]


class _Clean(_Done):
    removed: Words


ANSWERS: Mapping[str, type[Message]] = {
    "hello": _Hello, "have": _Have, "lay": _Lay, "list": _List, "put": _Put, "hold": _Hold, "clean": _Clean,
}  # fmt: skip
"""Request to the type of its answer."""


class Refusal(Message):
    """A refused request, and why."""

    ref: Literal["board-busy", "board-disk-full", "board-failed"]
    because: Words | None = None
    free_bytes: Count = 0
    owner: Words = "somebody"
    what: Words = ""
    since_s: float | None = Field(default=None, le=_CENTURY_S)


FOLDER = "~/.cache/edgecnn"
"""The private folder on the board, mode 0700."""
PYTHON = "python3"
_FAR = Path(__file__).with_name("far.py")
_LINES = 3
_OLDEST = (3, 8)
SILENCE_S = 600.0
"""Time-out of one request, long enough for hashing on a slow card."""


class Board:
    """The private folder of a board, its Python, and the requests that ``far.py`` answers there."""

    def __init__(self, link: Link, *, python: str = PYTHON, folder: str = FOLDER) -> None:
        self.link, self.python, self.folder = link, python, folder
        content = _FAR.read_bytes()
        self._far = f"{folder}/far-{hashlib.sha256(content).hexdigest()[:16]}.py"
        self._far_bytes = len(content)
        self._installed = False
        self.about: Mapping[str, Any] = {}
        """The last answer to ``hello``."""

    @property
    def name(self) -> str:
        """The board as the user named it."""
        return self.link.board

    def relink(self, link: Link) -> None:
        """Continue over another connection to the same board."""
        self.link, self._installed = link, False

    def hello(self) -> Mapping[str, Any]:
        """Return Python's version, the private folder and its free bytes.

        Raises BOARD_LACKS_PYTHON, BoardDiskFull, BOARD_FAILED, LINK_LOST: edgecnn cannot run there.
        """
        self._install()
        about = self.about = self.ask("hello")
        if about["python"][:2] < _OLDEST:
            version = ".".join(str(part) for part in about["python"])
            raise BOARD_LACKS_PYTHON(board=self.name, python=self.python, because=f"it is Python {version}")
        return about

    def ask(self, command: str, stdin: IO[bytes] | None = None, **request: Any) -> Mapping[str, Any]:
        """Send one request, and return its answer.

        ``stdin``: content after the request. Raises BoardBusy, BoardDiskFull, BOARD_FAILED, LINK_LOST, AnswerUnusable.
        """
        process = self.start(command, **request)
        streams = self.link.exchange(process, b"" if stdin is None else stdin, timeout_s=SILENCE_S, doing=command)
        return self.parse_answer(command, *streams)

    def start(self, command: str, **request: Any) -> subprocess.Popen[bytes]:
        """Start a process for a request, and write the request to it."""
        process = self.link.start(self._shell_line)
        assert process.stdin is not None
        try:
            process.stdin.write(encode_request(command, **request))
            process.stdin.flush()
        except OSError:
            pass  # it has ended; its last line, or a missing one, is reported later
        return process

    def command(self) -> list[str]:
        """Return a command that reads a request from its standard input; see ``encode_request``."""
        return self.link.command(self._shell_line)

    @property
    def _shell_line(self) -> str:
        line = f"exec {shell_path(self.python)} {shell_path(self._far)} {shell_path(self.folder)}"
        return f"exec sh -c {shlex.quote(line)}"

    def parse_answer(self, doing: str, stdout: bytes, stderr: str) -> Mapping[str, Any]:
        """Return the last message with ``ok``. Raises the error in that message, or an error if there is none."""
        with usable(self.name, doing):
            for line in reversed(stdout.splitlines()):
                message = Line.of(line)
                if message is not None and message[0].ok is not None:
                    reply, value = message
                    if reply.ok:
                        return validate(ANSWERS[doing], value).model_dump()
                    raise self.refusal_error(doing, reply.error or {})
        if self.link.is_lost():
            raise link_lost(board=self.name, doing=doing)
        raise board_failed(board=self.name, doing=doing, lines=last_lines(stderr, _LINES))

    def refusal_error(self, doing: str, error: Mapping[str, Any]) -> EdgecnnError:
        """Return the error of a refusal. Raises Unusable: the refusal is invalid."""
        refused = validate(Refusal, error)
        if refused.ref == "board-busy":
            return board_busy(board=self.name, owner=refused.owner, since_s=refused.since_s, what=refused.what)
        if refused.ref == "board-disk-full":
            return board_disk_full(board=self.name, folder=self.folder, needed_bytes=None, free_bytes=refused.free_bytes)
        return board_failed(board=self.name, doing=doing, lines=[refused.because or refused.ref])

    def _install(self) -> None:
        """Send ``far.py`` unless the board has it.

        Its length is compared, since ``cat`` takes a lost link for the end of a file. The shell outlives a lost link just long
        enough to remove a partial file.
        """
        if self._installed:
            return
        python, folder, far = shell_path(self.python), shell_path(self.folder), shell_path(self._far)
        partial = f"{shell_path(f'{self._far}.part')}.$$"
        complete = f"{{ [ $(wc -c < {partial}) -eq {self._far_bytes} ] || {{ echo 'the file is incomplete' >&2; false; }}; }}"
        receive = f"cat > {partial} && {complete} && mv {partial} {far} || {{ rm -f {partial}; exit 1; }}"
        present = f"[ -f {far} ] && [ $(wc -c < {far}) -eq {self._far_bytes} ]"
        script = f"trap '' PIPE HUP; umask 077; mkdir -p {folder} && {{ {present} || {{ {receive}; }}; }} && {python} -V"
        answer = self.link.ask(f"exec sh -c {shlex.quote(script)}", stdin=_FAR.read_bytes(), doing="the first contact")
        if answer.status != 0:
            last = last_lines(answer.stderr, 1)
            if any("No space left" in line or "quota" in line for line in last):
                raise board_disk_full(board=self.name, folder=self.folder, needed_bytes=None, free_bytes=0)
            if answer.status == 127 or "python" in "".join(last).lower():  # noqa: PLR2004 - the shell's code for a missing program
                raise BOARD_LACKS_PYTHON(board=self.name, python=self.python, because=" ".join(last))
            raise board_failed(board=self.name, doing="making the private folder", lines=last)
        self._installed = True


def encode_request(command: str, **request: Any) -> bytes:
    """Encode a request for ``far.py``: its length, then its JSON."""
    text = json.dumps({**request, "command": command}).encode("utf-8")
    return b"%08x" % len(text) + text
