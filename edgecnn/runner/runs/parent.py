"""What a process and its parent tell each other: the lease on its standard input, the time of its start, and its turn.

Processes of one round may open their models at the same time and are then timed one after another, while the others are idle:
opening a program of torch takes many times longer than timing it. Load times in parallel are not reported.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Sequence

_PR_SET_PDEATHSIG = 1


def hold_lease(lease_s: float) -> None:
    """Kill this process, and its group if it leads one, when standard input closes or stays silent for ``lease_s`` seconds.

    Each byte on standard input renews the lease. On Linux the kernel also kills the process when its parent dies, which
    holds even while foreign code keeps Python's lock.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(sys.stdin.fileno(), lease_s), name="lease", daemon=True).start()


def _watch(stream: int, lease_s: float) -> None:
    while select.select([stream], [], [], lease_s)[0]:
        if not os.read(stream, 4096):
            break
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


SPAWNED = "EDGECNN_SPAWNED_NS"
"""Environment variable of a worker: the monotonic clock just before its start. All processes of a machine share this clock."""


def spawned_now() -> Dict[str, str]:
    """Return the variable for a process that starts now."""
    return {SPAWNED: str(time.monotonic_ns())}


class ColdStart:
    """The time since this process's parent started it."""

    def __init__(self, environ: Optional[Mapping[str, str]] = None) -> None:
        text = (os.environ if environ is None else environ).get(SPAWNED, "")
        self._spawned_ns = int(text) if text.isdigit() else None
        self._aside_ns = 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Exclude the enclosed work, which only a measurement does."""
        begin = time.monotonic_ns()
        try:
            yield
        finally:
            self._aside_ns += time.monotonic_ns() - begin

    def answered(self) -> Optional[int]:
        """Return the nanoseconds since the start, right after the first logits; None if the start is not known."""
        if self._spawned_ns is None:
            return None
        return time.monotonic_ns() - self._spawned_ns - self._aside_ns


OPTION = "--turn"
POLL_S = 0.02
RENEWALS = 8
"""Renewals of a waiting process's lease within the time-out, each by a byte from its parent."""


class Turn:
    """Two files next to a process's run file: the process writes one when its model is open, and waits for the other."""

    def __init__(self, run_file: Path) -> None:
        self.opened, self.given = run_file.with_suffix(".opened"), run_file.with_suffix(".turn")

    def wait(self) -> None:
        """Signal that the model is open, and wait for the turn. The lease ends a process that waits in vain."""
        self.opened.touch()
        while not self.given.exists():
            time.sleep(POLL_S)

    def clear(self) -> None:
        """Delete the files, also those of an interrupted call."""
        for path in (self.opened, self.given):
            if path.exists():
                path.unlink()


class Opening(NamedTuple):
    """A started process."""

    process: Any
    turn: Turn
    stop: Callable[[], None]
    """Kills the process and its children."""
    ended: Callable[[Optional[int]], None]
    """Called with the exit status; None if the process timed out and was killed."""

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    @property
    def ready(self) -> bool:
        """Whether the process is idle until its turn."""
        return self.gone or self.turn.opened.exists()


def run_in_turn(started: Sequence[Opening], timeout_s: float, step: Callable[[int], None]) -> None:
    """Wait until each process is open or has ended, then let them run one after another. Processes that time out are stopped.

    ``step``: called with the number of processes that had their turn.
    """
    waiting = _Waiting(started, timeout_s)
    waiting.until(lambda: all(opening.ready for opening in started))
    late = [opening for opening in started if not opening.ready]
    for opening in late:
        opening.stop()
    step(0)
    for number, opening in enumerate(started):
        is_done = opening not in late
        if is_done:
            opening.turn.given.touch()
            is_done = waiting.until(lambda opening=opening: opening.gone)  # type: ignore[misc]
        if not is_done:
            opening.stop()
        opening.ended(opening.process.returncode if is_done else None)
        opening.turn.clear()
        step(number + 1)


class _Waiting:
    """Waits for conditions, and renews the leases of the waiting processes."""

    def __init__(self, started: Sequence[Opening], timeout_s: float) -> None:
        self._started, self._timeout_s, self._renewed = started, timeout_s, time.monotonic()

    def until(self, reached: Callable[[], bool]) -> bool:
        """Wait for a condition; return whether it was reached in time."""
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
