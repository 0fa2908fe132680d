"""The runner's messages.

For a program, they are one JSON object a line on standard output, with the result or the error as the last line. For a person,
``text`` shows them instead, once ``show_to_person`` was called.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from .text import Screen, error_line, result_lines, write_out


class RunnerError(Exception):
    """An error with its cause and its fix. ``str`` gives all of it on one line.

    Args:
        ref: kebab-case name to search for.
        what: what happened, with the value and the file.
        because: the cause.
        hint: the fix, a command if there is one.
        missing: True if a package, runtime or device is absent; False if an input is wrong.
    """

    results: Mapping[str, Any] = {}
    """Fields of the last line next to the error, if part of the work succeeded."""

    def __init__(
        self, ref: str, what: str, because: Optional[str] = None, hint: Optional[str] = None, missing: bool = False
    ) -> None:
        super().__init__(ref, what, because, hint, missing)
        self.ref = ref
        self.what = what
        self.because = because
        self.hint = hint
        self.missing = missing

    def __str__(self) -> str:
        return error_line(self.facts())

    def add_results(self, results: Mapping[str, Any]) -> RunnerError:
        """Add the results of the work that succeeded; return this error."""
        self.results = results
        return self

    def facts(self) -> Dict[str, Any]:
        """Return the ``error`` object of a result line and of a run file."""
        return {"ref": self.ref, "what": self.what, "because": self.because, "hint": self.hint, "missing": self.missing}


CANNOT_WRITE = 74
"""Exit status of a process that cannot write its last line, because a disk is full or fails (EX_IOERR of sysexits.h)."""


def say(value: Dict[str, Any]) -> None:
    """Print one line."""
    print(json.dumps(value, sort_keys=True), flush=True)


_screen: Optional[Screen] = None
"""Shows the messages to a person; None: a program reads JSON lines."""


def show_to_person() -> None:
    """Show all later messages of this process as text."""
    global _screen  # noqa: PLW0603 - the form of a process's output, which is set once, before its first message
    _screen = Screen()


def finish(command: str, result: Mapping[str, Any], error: Optional[RunnerError] = None) -> None:
    """Report the end of a command: its result, and the error if it failed. ``result`` may be empty if it failed."""
    facts = {"ok": error is None} if error is None else {"ok": False, "error": error.facts()}
    if _screen is None:
        say(dict(result, **facts))
        return
    if result:
        write_out(result_lines(command, result))
    if error is not None:
        _screen.line("runner {}: error: {}".format(command, error))


class Teller:
    """Progress of one kind of work: at most one line every ``every_s`` seconds, and always the last one."""

    def __init__(self, what: str, total: int, unit: str, every_s: float = 0.5) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._every_s = every_s
        self._told_at: Optional[float] = None

    def step(self, done: int) -> None:
        """Report that ``done`` units of the total are finished."""
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= self._every_s or done >= self._total:
            self._told_at = now
            progress(self._what, done, self._total, self._unit)


def progress(what: str, done: int, total: int, unit: str) -> None:
    """Report that ``done`` of ``total`` units of ``what`` are finished."""
    if _screen is not None:
        _screen.progress(what, done, total, unit)
        return
    say({"progress": {"what": what, "done": done, "total": total, "unit": unit}})


def note(text: str) -> None:
    """Report a sentence for the log."""
    if _screen is not None:
        _screen.line(text)
        return
    say({"note": text})


def drop_unwritable() -> None:
    """Send the rest of an unwritable stream to the null device, so that Python's flush at exit does not fail."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a stream that was closed before is None
        try:
            stream.flush()
        except OSError:
            os.dup(stream.fileno())  # keeps a pipe open: its reader must not see its end before this process exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def refuse_start_by_path() -> int:
    """Report the error, with this call's command in the right form; return the exit code."""
    kit = Path(__file__).resolve().parents[1]
    verb, words = sys.argv[1:2], sys.argv[2:]
    words = [os.path.realpath(word) if os.path.exists(word) else word for word in words]  # noqa: PTH110 - False of a long word
    command = " ".join(map(shlex.quote, [sys.executable or "python3", "-m", "runner", *verb, *words]))
    because, hint = "Python finds its files only as the package `runner`", "cd {} && {}".format(shlex.quote(str(kit)), command)
    if not is_for_program(sys.argv[1:]):
        show_to_person()
    finish("", {}, RunnerError("started-by-path", "the runner was started by its path", because, hint))
    return 1


JSON_OPTION, LEASE_OPTION = "--json", "--lease-s"


def is_for_program(words: Sequence[str]) -> bool:
    """Whether a command line asks for JSON lines. edgecnn passes a lease, which the runners of all versions have."""
    return any(word == JSON_OPTION or word.split("=")[0] == LEASE_OPTION for word in words)
