"""Paths of a store. Work, trash and entries share one file system, so that a rename can publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECORD = "record.json"
FILES = "files"
STARTED = "started.json"
"""A file in a work folder that records its inputs, so that work is resumed only from the same bytes."""
ARCHIVES = "archives"
"""``archives/<name>/`` and ``archives/<name>.json``: an unpacked archive of images and the proof that it is complete."""
UNPACKING = ".unpacking."
"""Prefix of a folder that is being unpacked. A killed process may leave one."""


def proof_of(unpacked: Path) -> Path:
    """Return the proof that an unpacked archive is complete. Its mtime is the last use."""
    return unpacked.with_name(f"{unpacked.name}.json")


@dataclass(frozen=True)
class Layout:
    """Paths under ``root``. Nothing is created here."""

    root: Path

    @property
    def artifacts(self) -> Path:
        """``artifacts/<kind>/<key>/{files/, record.json}``."""
        return self.root / "artifacts"

    @property
    def profiles(self) -> Path:
        """``profiles/<subject>/<what>/<id>/{profile.json, files.json, …}``."""
        return self.root / "profiles"

    @property
    def works(self) -> Path:
        """``work/<kind>/<name>/``: current work, and work of interrupted processes."""
        return self.root / "work"

    @property
    def trash(self) -> Path:
        """Damaged and replaced entries, until ``edgecnn store gc`` deletes them."""
        return self.root / "trash"

    @property
    def secret(self) -> Path:
        """Random bytes that rename this store's machines in what is sent to others. They are never sent."""
        return self.root / "secret"

    def entry(self, kind: str, key: str) -> Path:
        """Return the folder of a finished artifact."""
        return self.artifacts / kind / key

    def work(self, kind: str, name: str) -> Path:
        """Return the folder of unfinished work."""
        return self.works / kind / name

    def lock(self, kind: str, name: str) -> Path:
        """Return the lock file of that folder. It is never deleted: see ``locks``."""
        return self.root / "locks" / kind / f"{name}.lock"

    def stamps(self, kind: str, key: str) -> Path:
        """Return the stat index of an artifact. It is outside the entry, which therefore never changes."""
        return self.root / "index" / kind / f"{key}.json"
