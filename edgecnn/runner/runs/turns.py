"""Processes that open their models at once and are timed one after another, while the others wait and do nothing.

Opening a program of torch takes many times longer than timing it. How long each took to open beside the others is no figure.
"""

from __future__ import annotations

import os
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
    stop: Callable[[], None]
    """Kills it, and whatever it started."""
    ended: Callable[[Optional[int]], None]
    """Is told its exit status; None: it did not end in time, and was killed."""

    @property
    def gone(self) -> bool:
        """Whether it ended by itself or was stopped."""
        return self.process.poll() is not None

    @property
    def ready(self) -> bool:
        """Whether nothing of it goes on before its turn."""
        return self.gone or self.turn.opened.exists()


def in_turn(started: Sequence[Opening], timeout_s: float, step: Callable[[int], None]) -> None:
    """Wait until each is open or has ended, then let one after another run; who does not open or end in time is stopped at once.

    ``step``: is told how many had their turn, so that whoever listens knows that this lives.
    """
    waiting = _Waiting(started, timeout_s)
    waiting.until(lambda: all(opening.ready for opening in started))
    late = [opening for opening in started if not opening.ready]
    for opening in late:
        opening.stop()
    step(0)
    for number, opening in enumerate(started):
        done = opening not in late
        if done:
            opening.turn.given.touch()
            done = waiting.until(lambda opening=opening: opening.gone)  # type: ignore[misc]
        if not done:
            opening.stop()
        opening.ended(opening.process.returncode if done else None)
        opening.turn.clear()
        step(number + 1)


class _Waiting:
    """Waits, and tells those that wait for a turn that their parent lives."""

    def __init__(self, started: Sequence[Opening], timeout_s: float) -> None:
        self._started, self._timeout_s, self._renewed = started, timeout_s, time.monotonic()

    def until(self, reached: Callable[[], bool]) -> bool:
        """Whether it was reached in time."""
        begin = time.monotonic()
        while not reached():
            now = time.monotonic()
            if now - begin > self._timeout_s:
                return False
            if now - self._renewed > self._timeout_s / RENEWALS:  # since the last time, which may have been turns ago
                self._renewed = now
                for opening in self._started:
                    _renew(opening)
            time.sleep(POLL_S)
        return True


def _renew(opening: Opening) -> None:
    if not opening.gone and opening.process.stdin is not None:
        with suppress(OSError):  # it ended meanwhile
            os.write(opening.process.stdin.fileno(), b"\n")
