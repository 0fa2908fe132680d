"""One race at a time on this machine, whichever store and user it is of: two that share it measure each other.

The kernel's lock lets go when its holder dies. The file stays: to unlink it would let two hold "the" lock, each of its own file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecnn.store.locks import SILENT_S
from edgecnn.values.stage import Progress

try:
    import fcntl
except ImportError:  # a system without it has one user at a time
    fcntl = None  # type: ignore[assignment]

LOCK = Path("/tmp/edgecnn-race.lock")  # noqa: S108 - shared by all users on purpose: it is opened without following links
_LOOK_S = 0.1


@contextmanager
def alone(tell: Progress, file: Path = LOCK) -> Iterator[None]:
    """Hold the machine while the block runs, waiting for whoever has it as long as it takes.

    Where the file cannot be opened (a folder that nobody may write to), nothing is held: a race is no worse than before.
    """
    number = _opened(file) if fcntl is not None else None
    if number is None:
        yield
        return
    try:
        _wait(number, tell)
        yield
    finally:
        os.close(number)


def _opened(file: Path) -> int | None:
    """Without creating first: in a sticky folder the kernel may refuse to create over another user's file."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
    for more in (0, os.O_CREAT):
        try:
            return os.open(file, flags | more, 0o644)
        except FileNotFoundError:
            continue  # the first time, or a folder that is not there
        except OSError:
            return None
    return None


def _wait(number: int, tell: Progress) -> None:
    said_at: float | None = time.monotonic() + SILENT_S
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if said_at is not None and time.monotonic() >= said_at:
                tell.note("waiting for another race on this machine to end: two at once would measure each other")
                said_at = None
            time.sleep(_LOOK_S)
