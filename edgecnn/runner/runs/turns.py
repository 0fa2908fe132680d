"""Processes that open their models at once and are timed one after another, while the others wait and do nothing.

Opening a program of torch takes many times longer than timing it. How long each took to open beside the others is no figure.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional, Sequence

OPTION = "--turn"
POLL_S = 0.02
RENEWALS = 8
"""How often within its lease, which is as long as the time-out, a process that waits hears by a byte that its parent lives."""


class Turn:
    """A process's own: two files beside its run file, one that it writes when its model is open, one that it waits for."""

    def __init__(self, run_file: Path) -> None:
        self.opened, self.given = run_file.with_suffix(".opened"), run_file.with_suffix(".turn")

    def wait(self) -> None:
        """Say that the model is open, and wait; whoever waits in vain is ended by its lease."""
        self.opened.touch()
        while not self.given.exists():
            time.sleep(POLL_S)

    def clear(self) -> None:
        """What an interrupted call left must tell nobody to go on."""
        for path in (self.opened, self.given):
            if path.exists():
                path.unlink()


class Opening(NamedTuple):
    """A process that was started."""

    process: Any
    turn: Turn
    ended: Callable[[Optional[int]], None]
    """Is told its exit status; None: it did not end in time, and was killed."""


def in_turn(started: Sequence[Opening], timeout_s: float) -> None:
    """Wait until each is open or has ended, then let one after another run. All of them are gone when this returns."""
    _until(lambda: all(each.process.poll() is not None or each.turn.opened.exists() for each in started), started, timeout_s)
    for each in started:
        each.turn.given.touch()
        done = _until(lambda each=each: each.process.poll() is not None, started, timeout_s)  # type: ignore[misc]
        each.ended(each.process.returncode if done else None)
        each.turn.clear()


def _until(reached: Callable[[], bool], started: Sequence[Opening], timeout_s: float) -> bool:
    begin = renewed = time.monotonic()
    while not reached():
        now = time.monotonic()
        if now - begin > timeout_s:
            return False
        if now - renewed > timeout_s / RENEWALS:
            renewed = now
            for each in started:
                _renew(each.process)
        time.sleep(POLL_S)
    return True


def _renew(process: subprocess.Popen) -> None:  # type: ignore[type-arg]
    if process.poll() is None and process.stdin is not None:
        with suppress(OSError):  # it ended meanwhile
            os.write(process.stdin.fileno(), b"\n")
