"""Coordinate a process with its parent: the lease on its standard input, the time of its start, and its turn.

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

    So a board does not continue after its host disconnects. Each byte on standard input renews the lease. On Linux the kernel
    also kills the process when its parent dies, which holds even while foreign code keeps Python's lock.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_kill_when_silent, args=(sys.stdin.fileno(), lease_s), name="lease", daemon=True).start()


def _kill_when_silent(stream: int, lease_s: float) -> None:
    while select.select([stream], [], [], lease_s)[0]:
        if not os.read(stream, 4096):
            break
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


SPAWNED = "EDGECNN_SPAWNED_NS"
"""Environment variable of a worker: the monotonic clock just before its start. All processes of a machine share this clock."""


def spawn_variable() -> Dict[str, str]:
    """Return ``SPAWNED`` for a process that starts now."""
    return {SPAWNED: str(time.monotonic_ns())}


class ColdStart:
    """The time from the start of this process by its parent to its first logits, as after switching a device on.

    It covers the work of any program with a kit: the interpreter, imports, verifying the kit's files, decoding an image, opening
    the model and one inference.
    """

    def __init__(self, environ: Optional[Mapping[str, str]] = None) -> None:
        text = (os.environ if environ is None else environ).get(SPAWNED, "")
        self._spawned_ns = int(text) if text.isdigit() else None
        self._excluded_ns = 0

    @contextmanager
    def excluded(self) -> Iterator[None]:
        """Exclude the block, which does work that only a measurement needs."""
        begin = time.monotonic_ns()
        try:
            yield
        finally:
            self._excluded_ns += time.monotonic_ns() - begin

    def elapsed_ns(self) -> Optional[int]:
        """Return the nanoseconds since the start, without the excluded work; None if the start is not known."""
        if self._spawned_ns is None:
            return None
        return time.monotonic_ns() - self._spawned_ns - self._excluded_ns


TURN_OPTION = "--turn"
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


class StartedRun(NamedTuple):
    """A started process, and how to stop it and to report its end."""

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


def run_in_turn(started: Sequence[StartedRun], timeout_s: float, step: Callable[[int], None]) -> None:
    """Wait until each process is open or has ended, then let them run one after another. Processes that time out are stopped.

    ``step``: called with the number of processes that had their turn.
    """
    waiting = _Waiting(started, timeout_s)
    waiting.until(lambda: all(run.ready for run in started))
    late = [run for run in started if not run.ready]
    for run in late:
        run.stop()
    step(0)
    for number, run in enumerate(started):
        is_done = run not in late
        if is_done:
            run.turn.given.touch()
            is_done = waiting.until(lambda run=run: run.gone)  # type: ignore[misc]
        if not is_done:
            run.stop()
        run.ended(run.process.returncode if is_done else None)
        run.turn.clear()
        step(number + 1)


class _Waiting:
    """Waits for conditions, and renews the leases of the waiting processes."""

    def __init__(self, started: Sequence[StartedRun], timeout_s: float) -> None:
        self._started, self._timeout_s, self._renewed = started, timeout_s, time.monotonic()

    def until(self, reached: Callable[[], bool]) -> bool:
        """Wait for a condition; return whether it was reached in time."""
        begin = time.monotonic()
        while not reached():
            now = time.monotonic()
            if now - begin > self._timeout_s:
                return False
            if now - self._renewed > self._timeout_s / RENEWALS:  # the last renewal may have been turns ago
                self._renewed = now
                for run in self._started:
                    if not run.gone and run.process.stdin is not None:
                        with suppress(OSError):  # the process has ended meanwhile
                            os.write(run.process.stdin.fileno(), b"\n")
            time.sleep(POLL_S)
        return True
