"""One lock for everything that is made under one name, let go by the kernel when its holder dies.

Lock files stay when the lock is released: unlinking one would let two processes hold "the" lock, each on its own inode.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from edgecnn.store.failures import named_failures
from edgecnn.store.layout import Layout
from edgecnn.values.stage import Progress

SILENT_S = 2.0
"""How long waiting may last before it is said."""


class Locks:
    """The locks of one store."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @contextmanager
    def held(self, kind: str, name: str, tell: Progress) -> Iterator[None]:
        """Hold the lock of (kind, name) inside the block, waiting for it as long as it takes.

        Raises:
            StoreUnusable: the lock file cannot be made.
        """
        lock = self._lock(kind, name)
        with named_failures(self._layout.root, f"locking {kind} {name[:12]}"):
            try:
                lock.acquire(timeout=SILENT_S)
            except Timeout:
                tell.note(f"waiting for another process that is making {kind} {name[:12]}")
                lock.acquire(timeout=-1)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def held_if_free(self, kind: str, name: str, *, within_s: float = 0.0) -> Iterator[bool]:
        """Yield True with the lock held, or False where another holds it, at once or for all of ``within_s``.

        Raises:
            StoreUnusable: the lock file cannot be made.
        """
        lock = self._lock(kind, name)
        with named_failures(self._layout.root, f"locking {kind} {name[:12]}"):
            try:
                lock.acquire(timeout=within_s)
            except Timeout:
                free = False
            else:
                free = True
        try:
            yield free
        finally:
            if free:
                lock.release()

    def _lock(self, kind: str, name: str) -> FileLock:
        path = self._layout.lock(kind, name)
        with named_failures(self._layout.root, f"locking {kind} {name[:12]}"):
            path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)
