"""Read the output of another process or machine within bounds of length and time, and validate it before use.

The other side may be broken, replaced or hostile. Each line, the whole output and every silence have a bound. The end of
standard error is kept.
"""

from __future__ import annotations

import json
import math
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from os import read
from typing import IO, Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError

from edgecnn.errors.hosts import ANSWER_UNUSABLE, OWN_ANSWER_UNUSABLE
from edgecnn.errors.wording import first_problem

_KEPT_SIGNS = 10_000
_LARGEST = 10**19
"""No measured number is larger: nanoseconds since 1970 are a tenth of it."""


class Unusable(Exception):
    """Why an answer cannot be used, without its sender."""


@contextmanager
def usable(board: str | None, doing: str) -> Iterator[None]:
    """Add the sender to an answer that cannot be used. ``board``: None: this machine. Raises AnswerUnusable: of the block's
    Unusable."""
    try:
        yield
    except Unusable as error:
        if board is None:
            raise OWN_ANSWER_UNUSABLE(doing=doing, because=str(error)) from error
        raise ANSWER_UNUSABLE(board=board, doing=doing, because=str(error)) from error


class Message(BaseModel):
    """A message from another process. Unknown fields are ignored, since a newer version may send more."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


Words = Annotated[str, AfterValidator(lambda text: text[:_KEPT_SIGNS])]
"""A text of any length; only its beginning is kept."""
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Kind = TypeVar("Kind", bound=BaseModel)


def parsed(text: bytes | str) -> Any:
    """Parse JSON. Raises Unusable: invalid JSON, too deep nesting, or a number that no measurement has."""
    try:
        return json.loads(text, parse_int=_whole, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"invalid JSON: {error}") from error


def checked(kind: type[Kind], value: Any) -> Kind:
    """Validate the value as this kind. Raises Unusable: with the first wrong field."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise Unusable(first_problem(error)) from error


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) > _LARGEST:
        raise ValueError(f"{text[:20]}… is out of range")
    return number


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise ValueError(f"{text[:20]} is out of range")
    return number


class Failure(Message):
    """The error of a runner."""

    ref: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)
    what: Words
    because: Words | None = None
    hint: Words | None = None
    missing: bool = False


class _Step(Message):
    what: Words
    done: Count
    total: Count | None = None
    unit: Words = ""


class Line(Message):
    """A line of a runner's output that is a message."""

    progress: _Step | None = None
    note: Words | None = None
    ok: StrictBool | None = None
    error: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, line: bytes) -> tuple[Line, Mapping[str, Any]] | None:
        """Return the message and its JSON, or None for other output. Raises Unusable: see ``checked``."""
        if not line.lstrip().startswith(b"{"):
            return None
        try:
            value = parsed(line)
        except Unusable:
            return None
        if not isinstance(value, dict) or not (isinstance(value.get("progress"), dict) or "note" in value or "ok" in value):
            return None
        return checked(cls, value if isinstance(value.get("progress"), dict) else {**value, "progress": None}), value


LINE_BYTES = 16 * 1024 * 1024
"""The longest line is a listing of many results."""
STREAM_BYTES = 64 * 1024 * 1024
"""Bound of standard output: days of progress."""
_KEPT_BYTES = 64 * 1024
_BLOCK = 1 << 16
POLL_S = 0.5
"""Longest wait before a signal is noticed."""
_MOMENT_S = 1.0


class Silence(Exception):
    """Nothing arrived in time."""


class Tail:
    """The end of a stream. The stream is read as fast as it comes, so that its writer never waits."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._drain, args=(stream,), daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """The last output, once the stream has ended, or after a moment."""
        self._thread.join(_MOMENT_S)
        return bytes(self._kept).decode("utf-8", "replace")

    def _drain(self, stream: IO[bytes]) -> None:
        with suppress(OSError, ValueError), stream:  # it was closed meanwhile
            while block := read(stream.fileno(), _BLOCK):
                self._kept += block
                del self._kept[:-_KEPT_BYTES]


class Incoming:
    """A stream that is read by lines, then by bytes. Raises Unusable: a line, or the whole stream, is too long."""

    def __init__(self, stream: IO[bytes], content_bytes: int = 0) -> None:
        """``content_bytes``: expected bytes in addition to lines."""
        self._stream, self._left = stream, STREAM_BYTES + content_bytes
        self._most = self._left
        self._held = bytearray()
        self._ready = select.poll()
        self._ready.register(stream, select.POLLIN)

    def line(self, timeout_s: float) -> bytes | None:
        """Return the next line, or the rest at the end of the stream, or no bytes after it. None: it did not arrive in time."""
        until, searched = time.monotonic() + timeout_s, 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if searched > LINE_BYTES:
                raise Unusable(f"a line is longer than {LINE_BYTES >> 20} MiB")
            more = self._more(until - time.monotonic())
            if more is None:
                return None
            if not more:
                return self._taken(len(self._held))
            self._held += more
        return self._taken(end + 1)

    def some(self, timeout_s: float) -> bytes | None:
        """Return the bytes that arrived, or no bytes at the end. None: nothing arrived in time."""
        return self._taken(len(self._held)) if self._held else self._more(timeout_s)

    def exactly(self, count: int, timeout_s: float) -> Iterator[bytes]:
        """Yield this number of bytes, in blocks. Raises EOFError: the stream ended before. Silence: nothing arrived in time."""
        while count > 0:
            if not self._held:
                more = self._more(timeout_s)
                if more is None:
                    raise Silence
                if not more:
                    raise EOFError(f"it broke off {count:,} bytes before its end")
                self._held += more
            block = self._taken(min(count, len(self._held)))
            count -= len(block)
            yield block

    def _more(self, timeout_s: float) -> bytes | None:
        if not self._ready.poll(max(0.0, 1000 * timeout_s)):
            return None
        block = read(self._stream.fileno(), _BLOCK)
        self._left -= len(block)
        if self._left < 0:
            raise Unusable(f"it is longer than {self._most >> 20:,} MiB")
        return block

    def _taken(self, count: int) -> bytes:
        block = bytes(self._held[:count])
        del self._held[:count]
        return block


class Exchange(NamedTuple):
    """A process's standard output, and the end of its standard error."""

    stdout: bytes
    stderr: str


def exchange(process: subprocess.Popen[bytes], stdin: IO[bytes] | bytes, timeout_s: float) -> Exchange:
    """Write to a process's standard input, and read its output until it ends.

    ``timeout_s``: counted from the last write. Raises Silence: the process has not ended by then. Unusable: its output is too
    long.
    """
    assert process.stdout is not None and process.stderr is not None
    writing = _Writing(process, BytesIO(stdin) if isinstance(stdin, bytes) else stdin)
    incoming, tail, output = Incoming(process.stdout), Tail(process.stderr), bytearray()
    while (block := incoming.some(POLL_S)) != b"":
        output += block or b""
        if time.monotonic() - writing.taken_at > timeout_s:
            raise Silence
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise Silence from error
    return Exchange(bytes(output), tail.text)


class _Writing:
    """Writes to a process's standard input in a separate thread, since the process may write much before it reads."""

    def __init__(self, process: subprocess.Popen[bytes], source: IO[bytes]) -> None:
        self.taken_at = time.monotonic()
        threading.Thread(target=self._write, args=(process.stdin, source), daemon=True).start()

    def _write(self, target: IO[bytes], source: IO[bytes]) -> None:
        with suppress(OSError, ValueError), target:  # it ended before it had read everything
            while block := source.read(1 << 20):
                target.write(block)
                target.flush()
                self.taken_at = time.monotonic()


def last_lines(text: str, count: int) -> list[str]:
    """The last lines that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]
