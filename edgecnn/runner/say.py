"""Standard output speaks JSON, a line an object: progress while it runs, and the result as the last line."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Dict, Optional

CANNOT_WRITE = 74
"""How a process exits that cannot say its last line: the disk behind its output is full, or fails (EX_IOERR of sysexits.h)."""


def say(value: Dict[str, Any]) -> None:
    """Print one line now."""
    print(json.dumps(value, sort_keys=True), flush=True)


class Teller:
    """Progress of one kind of work, at most a line every ``every_s`` seconds, and always the last one."""

    def __init__(self, what: str, total: int, unit: str, every_s: float = 0.5) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._every_s = every_s
        self._said_at: Optional[float] = None

    def step(self, done: int) -> None:
        """Say that ``done`` of the total are finished."""
        now = time.monotonic()
        if self._said_at is None or now - self._said_at >= self._every_s or done >= self._total:
            self._said_at = now
            progress(self._what, done, self._total, self._unit)


def progress(what: str, done: int, total: int, unit: str) -> None:
    """Say that ``done`` of ``total`` units of ``what`` are finished."""
    say({"progress": {"what": what, "done": done, "total": total, "unit": unit}})


def note(text: str) -> None:
    """Say one sentence that belongs in the record."""
    say({"note": text})


def drop_unwritable() -> None:
    """The rest of a stream that takes no more goes nowhere, so that Python's own flush at the end does not fail again."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # one that was closed before is None
        try:
            stream.flush()
        except OSError:
            os.dup(stream.fileno())  # whoever reads a pipe to its end must not take it for ours, and end us first
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
