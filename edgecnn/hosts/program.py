"""A process that speaks as the runner does, here or at the other end of a link: what it says is believed, how it exits is not."""

from __future__ import annotations

import json
import queue
import site
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.host import RunnerCrashed, RunnerFailed, RunnerNotStarted, RunnerTimedOut
from edgecnn.runner.runs.schedule import clean_environment, ending, kill_group
from edgecnn.values.stage import Progress

_ROOT = Path(__file__).resolve().parents[2]
"""The folder that edgecnn is imported from."""
_BEATS_PER_LEASE = 4
_LAST_LINES = 3
_POLL_S = 0.5
"""A signal that arrives just before a wait begins is noticed when the wait ends."""


class Unheard:
    """Progress that nobody asked about."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Program:
    """A program that speaks as the runner does: JSON lines, the last with ``ok``, a lease on its standard input."""

    words: Sequence[str]
    called: Sequence[str]
    """What an error calls it."""
    folder: Path | None = None
    """Where it runs; None: where this process does."""
    environment: Mapping[str, str] | None = None
    """None: this process's own."""
    opening: bytes = b""
    """What its standard input begins with."""
    beat_s: float | None = None
    """Between two signs of life to it; None: a quarter of the lease."""
    failure: Callable[[Mapping[str, Any]], EdgecnnError] = lambda error: RunnerFailed(**error)
    """What its own ``error`` is here."""


def package_environment() -> dict[str, str]:
    """Variables for a process of edgecnn itself (``-P -m edgecnn…``): a kit's clean ones, with this very package found first."""
    environment = clean_environment(_ROOT)
    if str(_ROOT) in (*site.getsitepackages(), site.getusersitepackages()):
        del environment["PYTHONPATH"]  # found there anyway, and placed before the standard library it could hide parts of it
    return environment


def run_program(program: Program, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
    """Run such a program to its end. Returns and raises as ``Host.run`` does."""
    with tempfile.TemporaryFile() as said:
        process = _start(program, said)
        try:
            result = _Listener(process, program, lease_s, tell).result()
        finally:
            kill_group(process)
        return _judged(result, program, process.returncode, lease_s, said)


class _Silence(Exception):
    """Nothing was heard for a whole lease."""


class _Listener:
    """Reads a runner's lines, keeps its lease alive, and gives up after a lease of silence."""

    def __init__(self, process: subprocess.Popen[bytes], program: Program, lease_s: float, tell: Progress) -> None:
        self._process = process
        self._opening, self._beat_s = program.opening, program.beat_s or lease_s / _BEATS_PER_LEASE
        self._lease_s = lease_s
        self._tell = tell
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._done = threading.Event()

    def result(self) -> Mapping[str, Any] | _Silence | None:
        """The last JSON object that says ``ok``, None where there was none, or _Silence."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._beat)]
        for thread in threads:
            thread.start()
        try:
            return self._listen()
        finally:
            self._done.set()

    def _listen(self) -> Mapping[str, Any] | _Silence | None:
        last: Mapping[str, Any] | None = None
        heard_at = time.monotonic()
        while time.monotonic() - heard_at < self._lease_s:
            try:
                line = self._lines.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if line is None:
                return last
            last, heard_at = self._heard(line) or last, time.monotonic()
        return _Silence()

    def _heard(self, line: bytes) -> Mapping[str, Any] | None:
        try:
            value = json.loads(line)
        except ValueError:
            return None  # a runtime may print too
        if not isinstance(value, dict):
            return None
        if isinstance(value.get("progress"), dict):
            said = value["progress"]
            self._tell.step(str(said.get("what")), int(said.get("done", 0)), said.get("total"), str(said.get("unit", "")))
        elif "note" in value:
            self._tell.note(str(value["note"]))
        return value if "ok" in value else None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _beat(self) -> None:
        assert self._process.stdin is not None
        said = self._opening
        while True:
            try:
                self._process.stdin.write(said)
                self._process.stdin.flush()
            except OSError:
                return  # it has ended, which the reader notices
            if self._done.wait(self._beat_s):
                return
            said = b"\n"


def _start(program: Program, said: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(program.words),
            cwd=program.folder,
            env=program.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
    except OSError as error:
        raise RunnerNotStarted(folder=program.folder or program.words[0], why=error) from error


def _judged(
    result: Mapping[str, Any] | _Silence | None, program: Program, returncode: int, lease_s: float, said: IO[bytes]
) -> Mapping[str, Any]:
    if isinstance(result, _Silence):
        raise RunnerTimedOut(argv=program.called, lease_s=lease_s, last_lines=_last_lines(said))
    if result is not None and result.get("ok") is True:
        return {name: value for name, value in result.items() if name != "ok"}
    if result is not None and result.get("ok") is False:
        raise program.failure(result["error"])
    raise RunnerCrashed(argv=program.called, ending=ending(returncode), last_lines=_last_lines(said))


def _last_lines(said: IO[bytes]) -> list[str]:
    said.seek(0)
    lines = said.read().decode("utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()][-_LAST_LINES:]
