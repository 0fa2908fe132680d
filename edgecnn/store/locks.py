"""Locks by name. The kernel releases a lock when its holder dies.

Lock files stay after the release. Deleting one would let two processes hold "the" lock, each on another inode.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from filelock import FileLock, Timeout

from edgecnn.errors.store import BUILD_UNPROTECTED, StoreFull, StoreUnusable
from edgecnn.store.disk import remove, umask_mode
from edgecnn.store.entry import Layout
from edgecnn.store.failures import named_failures
from edgecnn.values.stage import Progress

SILENT_S = 2.0
"""Seconds of waiting before the wait is reported."""
KIND = "in-use"
CLOCKS_DIFFER_S = 60.0
"""Files of a shared store are dated by its server, whose clock may be behind."""
_DEAD_AFTER_S = 3600.0
"""Age from which a free lock belongs to a dead build. A younger lock may be about to be taken."""
_TIMEOUT_S = 10.0
"""A ``gc`` that looks for running builds can hold a new lock for a moment."""
_LOCK_NAME = re.compile(r"[0-9]{1,12}-[0-9]+-[0-9a-f]{8}")
"""Name of a lock: the start of the build in seconds since 1970, its process, and a random part."""


class Locks:
    """Locks of a store."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @contextmanager
    def held(self, kind: str, name: str, tell: Progress) -> Iterator[None]:
        """Hold the lock of (kind, name) inside the block, waiting as long as necessary.

        Raises StoreUnusable: the lock file cannot be made.
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
        """Yield True with the lock held, or False if another process holds it during all of ``within_s``.

        Raises StoreUnusable: the lock file cannot be made.
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
        return FileLock(path, mode=umask_mode(0o666))


class InUse:
    """The running builds of a store.

    A build holds a lock from before its first artifact until its end; the kernel releases it when the build dies. Every use of
    an artifact dates it. So ``gc`` needs no list of keys: anything used since the oldest running build began may be in use.
    """

    def __init__(self, layout: Layout, locks: Locks) -> None:
        self._layout = layout
        self._locks = locks

    @contextmanager
    def held(self) -> Iterator[None]:
        """Prevent ``gc``, in any process, from removing artifacts that are obtained inside the block.

        A read-only store has no such protection.

        Raises BUILD_UNPROTECTED: another process keeps the new lock.
        """
        with ExitStack() as stack:
            name = self._take_lock(stack)
            try:
                yield
            finally:
                if name is not None:  # no process waits for this file, because its name is not used again
                    with suppress(OSError):
                        remove(self._layout.lock(KIND, name))

    def since(self) -> float:
        """Return the start of the oldest running build in seconds since 1970, minus a minute; infinity if none runs."""
        began = [float(name.partition("-")[0]) for name in self._names() if not self._is_free(name)]
        return min(began, default=float("inf")) - CLOCKS_DIFFER_S

    def forget_dead(self) -> None:
        """Remove the locks of killed builds."""
        for name in self._names():
            if time.time() - float(name.partition("-")[0]) > _DEAD_AFTER_S and self._is_free(name):
                remove(self._layout.lock(KIND, name))

    def _take_lock(self, stack: ExitStack) -> str | None:
        """Return the name of a lock that is held until ``stack`` ends; None if the store is read-only."""
        name = f"{time.time():.0f}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            ours = stack.enter_context(self._locks.held_if_free(KIND, name, within_s=_TIMEOUT_S))
        except (StoreUnusable, StoreFull):
            return None
        if not ours:
            raise BUILD_UNPROTECTED(root=self._layout.root, lock=self._layout.lock(KIND, name), waited_s=_TIMEOUT_S)
        return name

    def _names(self) -> list[str]:
        """Return the names of locks. Files with other names are ignored."""
        folder = self._layout.lock(KIND, "x").parent
        return sorted(path.stem for path in folder.glob("*.lock") if _LOCK_NAME.fullmatch(path.stem))

    def _is_free(self, name: str) -> bool:
        with self._locks.held_if_free(KIND, name) as free:
            return free
