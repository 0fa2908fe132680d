"""One race at a time on this machine, whichever store and user it is of, and from wherever it is run: two that share it measure
each other. A race over SSH takes the same lock on its board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from edgecnn.store.locks import SILENT_S
from edgecnn.values.stage import Progress

MACHINE = "/tmp/edgecnn.lock"  # noqa: S108 - shared by all users on purpose: it is a lock, opened without following links
"""Whose holder measures on a board over SSH; the names of its other locks begin with it."""
RACE = ".race"
LOCK = Path(MACHINE + RACE)


WAITING = "waiting for another race on {} to end: two at once would measure each other"


@contextmanager
def alone(tell: Progress, file: Path = LOCK) -> Iterator[None]:
    """Hold the machine while the block runs, waiting for whoever has it as long as it takes.

    Where the file cannot be opened (a folder that nobody may write to), nothing is held: a race is no worse than before.
    """
    lock = FileLock(file, mode=0o666)
    try:
        lock.acquire(timeout=SILENT_S)
    except Timeout:
        tell.note(WAITING.format("this machine"))
        lock.acquire(timeout=-1)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()
