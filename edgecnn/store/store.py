"""The local store: artifacts by key, profiles by subject. It only moves bytes and records."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecnn.errors.store import STORE_UNUSABLE
from edgecnn.store.artifacts import Artifacts
from edgecnn.store.disk import lacks_home, nearest_existing, remove, user_path, write_bytes_atomically
from edgecnn.store.entry import Layout
from edgecnn.store.failures import makers_failures, named_failures
from edgecnn.store.locks import InUse, Locks
from edgecnn.store.profiles import Profiles
from edgecnn.values.stage import Progress

REMOTE = "EDGECNN_STORE_REMOTE"
"""Environment variable with the URL of a remote store, which is asked before an artifact is made."""


class Store:
    """A folder with artifacts, profiles and locks."""

    def __init__(self, layout: Layout, remote: str | None = None) -> None:
        self.layout = layout
        self.remote = remote
        self.locks = Locks(layout)
        self.in_use = InUse(layout, self.locks)
        self.artifacts = Artifacts(layout, self.locks, remote)
        self.profiles = Profiles(layout, self.locks)

    @classmethod
    def open(cls, root: Path | None = None) -> Store:
        """Open the store at ``root``, $EDGECNN_STORE, $XDG_CACHE_HOME/edgecnn or ~/.cache/edgecnn.

        Nothing is created before something is stored. A read-only store still serves its contents.

        Raises StoreUnusable: the root is unknown, not a folder, unreadable, or cannot be created.
        """
        root = _absolute(root) if root else default_root()
        with named_failures(root, "opening the store"):
            existing = nearest_existing(root)
            if not existing.is_dir():
                raise STORE_UNUSABLE(root=root, because=f"{existing} is not a folder")
            needed = os.R_OK | os.X_OK if existing == root else os.W_OK | os.X_OK
            if not os.access(existing, needed):
                raise STORE_UNUSABLE(root=root, because=f"permission denied: {existing}")
        return cls(Layout(root), os.environ.get(REMOTE) or None)

    @property
    def root(self) -> Path:
        """Absolute path of the store's folder."""
        return self.layout.root

    def secret(self, tell: Progress) -> bytes:
        """Return 32 random bytes, drawn at the first call and kept with the store. They are never sent.

        Raises StoreFull, StoreUnusable: they cannot be stored or read.
        """
        path = self.layout.secret
        with self.locks.held("secret", "secret", tell), named_failures(self.root, "keeping its secret"):
            if not path.is_file():
                write_bytes_atomically(path, secrets.token_bytes(32))
            return path.read_bytes()

    @contextmanager
    def workspace(self, kind: str, name: str, tell: Progress) -> Iterator[Path]:
        """A locked folder for resumable work, such as runs of a race.

        Work of an interrupted process is still there. The folder is removed when the block ends without an exception.

        Raises StoreFull, StoreUnusable: the folder cannot be made, or writing to it fails.
        """
        folder = self.layout.work(kind, name)
        with self.locks.held(kind, name, tell):
            with named_failures(self.root, f"starting {kind} {name[:12]}"):
                folder.mkdir(parents=True, exist_ok=True)
            with makers_failures(self.root, f"working on {kind} {name[:12]}"):
                yield folder
                remove(folder)


def default_root() -> Path:
    """Return $EDGECNN_STORE, else ``edgecnn`` in the XDG cache folder, as an absolute path.

    A relative $XDG_CACHE_HOME is ignored, as XDG demands.

    Raises StoreUnusable: nothing is set, and the user has no home folder.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    stated = os.environ.get("EDGECNN_STORE")
    root = Path(stated) if stated else (cache if cache.is_absolute() else Path("~/.cache")) / "edgecnn"
    return _absolute(root)


def _absolute(root: Path) -> Path:
    if lacks_home(user_path(root)):
        raise STORE_UNUSABLE(root=root, because="the home folder is unknown")
    return user_path(root).absolute()
