"""Write standard output as JSON, one object a line: progress and notes, and the result as the last line."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Dict, Optional

CANNOT_WRITE = 74
"""Exit status of a process that cannot write its last line, because a disk is full or fails (EX_IOERR of sysexits.h)."""


def say(value: Dict[str, Any]) -> None:
    """Print one line."""
    print(json.dumps(value, sort_keys=True), flush=True)


class Teller:
    """Progress of one kind of work: at most one line every ``every_s`` seconds, and always the last one."""

    def __init__(self, what: str, total: int, unit: str, every_s: float = 0.5) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._every_s = every_s
        self._said_at: Optional[float] = None

    def step(self, done: int) -> None:
        """Report that ``done`` units of the total are finished."""
        now = time.monotonic()
        if self._said_at is None or now - self._said_at >= self._every_s or done >= self._total:
            self._said_at = now
            progress(self._what, done, self._total, self._unit)


def progress(what: str, done: int, total: int, unit: str) -> None:
    """Report that ``done`` of ``total`` units of ``what`` are finished."""
    say({"progress": {"what": what, "done": done, "total": total, "unit": unit}})


def note(text: str) -> None:
    """Report a sentence for the log."""
    say({"note": text})


def drop_unwritable() -> None:
    """Send the rest of a stream that cannot be written to the null device, so that Python's flush at exit does not fail."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a stream that was closed before is None
        try:
            stream.flush()
        except OSError:
            os.dup(stream.fileno())  # keeps a pipe open: its reader must not see its end before this process exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
