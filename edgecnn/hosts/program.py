"""Run a process that speaks the runner's protocol, here or over a link. Its messages count, its exit code does not."""

from __future__ import annotations

import site
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    RunnerFailed,
    runner_cannot_write,
    runner_crashed,
    runner_not_started,
    runner_timed_out,
)
from edgecnn.hosts.wire import POLL_S, Failure, Incoming, Line, Message, Silence, Tail, last_lines, usable, validate
from edgecnn.runner.messages import CANNOT_WRITE
from edgecnn.runner.packages import dropped_path_in
from edgecnn.runner.runs.processes import clean_environment, exit_text, kill_group
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

_ROOT = Path(__file__).resolve().parents[2]
"""The parent folder of the package edgecnn."""
_BEATS_PER_LEASE = 4
_LAST_LINES = 3


class IgnoredProgress:
    """Progress that is ignored."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Program:
    """A program that speaks the runner's protocol: JSON lines, the last one with ``ok``, and a lease on its standard input."""

    words: Sequence[str]
    called: Sequence[str]
    """The command as errors name it."""
    folder: Path | None = None
    """Working folder; None: this process's."""
    environment: Mapping[str, str] | None = None
    """Environment variables; None: this process's."""
    opening: bytes = b""
    """First bytes of its standard input."""
    beat_s: float | None = None
    """Interval between signs of life; None: a quarter of the lease."""
    failure: Callable[[Mapping[str, Any]], EdgecnnError] = lambda error: runner_failed(error)
    """Makes an error from the program's ``error``. Raises Unusable: the program's error is invalid."""
    board: str | None = None
    """The board on which it runs; None: this machine."""
    crashed: Callable[[int], EdgecnnError] | None = None
    """Makes the error of an end by a signal, whose number is negative; None: RunnerCrashed, as of every other end."""


def runner_failed(error: Mapping[str, Any]) -> RunnerFailed:
    """Return the error that the runner reported. Raises Unusable: the runner's error is invalid."""
    return RunnerFailed(**validate(Failure, error).model_dump())


def package_environment() -> dict[str, str]:
    """Return the environment of a process of edgecnn itself (``-P -m edgecnn…``): a kit's, with this package first."""
    environment = clean_environment(_ROOT)
    if str(_ROOT) in (*site.getsitepackages(), site.getusersitepackages()):
        del environment["PYTHONPATH"]  # it is found anyway, and first in the path it could hide the standard library
    return environment


def run_program(program: Program, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
    """Run a program to its end. The result and the errors are those of ``Host.run``."""
    process = _start(program)
    assert process.stderr is not None
    stderr = Tail(process.stderr)
    with usable(program.board, " ".join(program.called[:1]) or "a command"):
        try:
            result = _Listener(process, program, lease_s, tell).result()
        finally:
            kill_group(process)
        return _result_or_error(result, program, process.returncode, lease_s, stderr)


class _Listener:
    """Reads a runner's lines, keeps its lease alive, and stops after a lease of silence."""

    def __init__(self, process: subprocess.Popen[bytes], program: Program, lease_s: float, tell: Progress) -> None:
        self._process = process
        self._opening, self._beat_s = program.opening, program.beat_s or lease_s / _BEATS_PER_LEASE
        self._lease_s = lease_s
        self._tell = tell
        self._done = threading.Event()

    def result(self) -> Mapping[str, Any] | Silence | None:
        """Return the last message with ``ok``, None if there was none, or Silence. Raises Unusable: a message is invalid."""
        threading.Thread(target=self._beat, daemon=True).start()
        try:
            return self._listen()
        finally:
            self._done.set()

    def _listen(self) -> Mapping[str, Any] | Silence | None:
        assert self._process.stdout is not None
        incoming = Incoming(self._process.stdout)
        last: Mapping[str, Any] | None = None
        heard_at = time.monotonic()
        while time.monotonic() - heard_at < self._lease_s:
            line = incoming.read_line(POLL_S)
            if line is None:
                continue
            if not line:
                return last
            last, heard_at = self._pass_on(line) or last, time.monotonic()
        return Silence()

    def _pass_on(self, line: bytes) -> Mapping[str, Any] | None:
        """Pass on a line of progress or a note; return the message if it has ``ok``."""
        parsed = Line.of(line)
        if parsed is None:
            return None
        message, content = parsed
        if (step := message.progress) is not None:
            self._tell.step(step.what, step.done, step.total, step.unit)
        elif message.note is not None:
            self._tell.note(message.note)
        return None if message.ok is None else content

    def _beat(self) -> None:
        assert self._process.stdin is not None
        content = self._opening
        while True:
            try:
                self._process.stdin.write(content)
                self._process.stdin.flush()
            except OSError:
                return  # it has ended; the reader notices
            if self._done.wait(self._beat_s):
                return
            content = b"\n"


def _start(program: Program) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(program.words),
            cwd=program.folder,
            env=program.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise runner_not_started(folder=program.folder or program.words[0], why=error) from error


def _result_or_error(
    result: Mapping[str, Any] | Silence | None, program: Program, returncode: int, lease_s: float, stderr: Tail
) -> Mapping[str, Any]:
    if isinstance(result, Silence):
        raise runner_timed_out(argv=program.called, lease_s=lease_s, last_lines=last_lines(stderr.text, _LAST_LINES))
    if result is not None and result.get("ok") is True:
        return {name: value for name, value in result.items() if name != "ok"}
    if result is not None and result.get("ok") is False:
        raise program.failure(result.get("error") or {})
    if returncode == CANNOT_WRITE:
        raise runner_cannot_write(argv=program.called, board=program.board)
    if program.crashed is not None and returncode < 0:
        raise program.crashed(returncode)
    dropped = dropped_path_in(stderr.text) if program.board is None else None
    lines = [*last_lines(stderr.text, _LAST_LINES), *filter(None, [dropped])]
    raise runner_crashed(argv=program.called, ending=exit_text(returncode), last_lines=lines)


class MachineInfo(Message):
    """The answer to ``info`` without a kit."""

    environment: Environment
    runtimes: Mapping[str, str | None]


class _Builder(Message):
    builder: EngineBuilder


def parse_info(answer: Mapping[str, Any], board: str | None) -> MachineInfo:
    """Validate the answer to ``info``. ``board``: None: this machine. Raises AnswerUnusable: see ``usable``."""
    with usable(board, "info"):
        return validate(MachineInfo, answer)


def parse_builder(answer: Mapping[str, Any], board: str | None) -> EngineBuilder:
    """Validate the answer to ``info --builder``; see ``parse_info``."""
    with usable(board, "info --builder"):
        return validate(_Builder, answer).builder
