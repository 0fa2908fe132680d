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

_PREFIX_BYTES = 4096
"""Most bytes before a JSON object on its line."""
_TRIED = 4
"""Most braces that are tried as the beginning of the object."""
_KEPT_CHARACTERS = 10_000
_LARGEST = 10**19
"""No measured number is larger: nanoseconds since 1970 are a tenth of it."""


class Unusable(Exception):
    """Raised with the reason why an answer cannot be used, without the answer's sender."""


@contextmanager
def usable(board: str | None, doing: str) -> Iterator[None]:
    """Turn ``Unusable`` of the block into an error that names the sender.

    ``board``: the sender; None: this machine. Raises AnswerUnusable.
    """
    try:
        yield
    except Unusable as error:
        if board is None:
            raise OWN_ANSWER_UNUSABLE(doing=doing, because=str(error)) from error
        raise ANSWER_UNUSABLE(board=board, doing=doing, because=str(error)) from error


class Message(BaseModel):
    """A message from another process. Unknown fields are ignored, since a newer version may send more."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


Words = Annotated[str, AfterValidator(lambda text: text[:_KEPT_CHARACTERS])]
"""A text of any length, of which only the beginning is kept."""
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
_Model = TypeVar("_Model", bound=BaseModel)


def parse_json(text: bytes | str) -> Any:
    """Parse JSON. Raises Unusable: the text is not JSON, is nested too deeply, or has a number that no measurement has."""
    try:
        return json.loads(text, parse_int=_parse_int, parse_float=_parse_float, parse_constant=_parse_float)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"invalid JSON: {error}") from error


def document_in(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object that ends a line; None if there is none.

    A login shell may print a window title or a greeting without a line end, directly before the object.
    """
    if not line.rstrip().endswith(b"}"):
        return None
    start = line.find(b"{", 0, _PREFIX_BYTES)
    for _ in range(_TRIED):
        if start < 0:
            break
        with suppress(Unusable):
            return dict(parse_json(line[start:]))
        start = line.find(b"{", start + 1, _PREFIX_BYTES)
    return None


def last_document(output: bytes) -> dict[str, Any]:
    """Return the last JSON object among the lines of an output. Raises Unusable: no line has one."""
    for line in reversed(output.splitlines()):
        if (value := document_in(line)) is not None:
            return value
    raise Unusable("no line of the output is a JSON object")


def validate(model: type[_Model], value: Any) -> _Model:
    """Validate the value as this model. Raises Unusable, with the first wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Unusable(first_problem(error)) from error


def _parse_int(text: str) -> int:
    number = int(text)
    if abs(number) > _LARGEST:
        raise ValueError(f"{text[:20]}… is out of range")
    return number


def _parse_float(text: str) -> float:
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
        """Return the message and its JSON, or None for other output. Raises Unusable: see ``validate``."""
        value = document_in(line)
        if value is None or not (isinstance(value.get("progress"), dict) or "note" in value or "ok" in value):
            return None
        return validate(cls, value if isinstance(value.get("progress"), dict) else {**value, "progress": None}), value


LINE_BYTES = 16 * 1024 * 1024
"""Bound of a line; the longest lines list many results."""
STREAM_BYTES = 64 * 1024 * 1024
"""Bound of standard output: days of progress."""
_KEPT_BYTES = 64 * 1024
_BLOCK = 1 << 16
_LARGE_BLOCK = 1 << 20
POLL_S = 0.5
"""Longest wait before a signal is noticed."""
_MOMENT_S = 1.0


class Silence(Exception):
    """Raised when nothing arrived in time."""


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

    def read_line(self, timeout_s: float) -> bytes | None:
        """Return the next line, or the rest at the end of the stream, or no bytes after it. None: it did not arrive in time."""
        until, searched = time.monotonic() + timeout_s, 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if searched > LINE_BYTES:
                raise Unusable(f"a line is longer than {LINE_BYTES >> 20} MiB")
            more = self._read(until - time.monotonic())
            if more is None:
                return None
            if not more:
                return self._take(len(self._held))
            self._held += more
        return self._take(end + 1)

    def read_available(self, timeout_s: float) -> bytes | None:
        """Return the bytes that arrived, or no bytes at the end. None: nothing arrived in time."""
        return self._take(len(self._held)) if self._held else self._read(timeout_s)

    def read_exactly(self, count: int, timeout_s: float) -> Iterator[bytes]:
        """Yield this number of bytes, in blocks. Raises EOFError: the stream ended before. Silence: nothing arrived in time."""
        while count > 0:
            if not self._held:
                block = self._read(timeout_s, min(count, _LARGE_BLOCK))
                if block is None:
                    raise Silence
                if not block:
                    raise EOFError(f"it broke off {count:,} bytes before its end")
            else:
                block = self._take(min(count, len(self._held)))
            count -= len(block)
            yield block

    def _read(self, timeout_s: float, most: int = _BLOCK) -> bytes | None:
        if not self._ready.poll(max(0.0, 1000 * timeout_s)):
            return None
        block = read(self._stream.fileno(), most)
        self._left -= len(block)
        if self._left < 0:
            raise Unusable(f"it is longer than {self._most >> 20:,} MiB")
        return block

    def _take(self, count: int) -> bytes:
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
    written_at = time.monotonic()

    def write(target: IO[bytes], source: IO[bytes]) -> None:
        nonlocal written_at
        with suppress(OSError, ValueError), target:  # the process may end before it has read everything
            while block := source.read(1 << 20):
                target.write(block)
                target.flush()
                written_at = time.monotonic()

    # In a separate thread, since the process may write much before it reads.
    source = BytesIO(stdin) if isinstance(stdin, bytes) else stdin
    threading.Thread(target=write, args=(process.stdin, source), daemon=True).start()
    incoming, tail, output = Incoming(process.stdout), Tail(process.stderr), bytearray()
    while (block := incoming.read_available(POLL_S)) != b"":
        output += block or b""
        if time.monotonic() - written_at > timeout_s:
            raise Silence
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise Silence from error
    return Exchange(bytes(output), tail.text)


def last_lines(text: str, count: int) -> list[str]:
    """Return the last lines that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]
