"""Where everything in a store lies. Work, trash and finished entries share one file system, so a rename can publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECORD = "record.json"
FILES = "files"
STARTED = "started.json"
"""Inside a work folder: what the work began from, so that nothing is resumed from other bytes."""
ARCHIVES = "archives"
"""``archives/<name>/`` and ``archives/<name>.json``: an unpacked archive of images, and what shows that it is whole."""
UNPACKING = ".unpacking."
"""How a folder in there begins while it is filled; one that a killed process left is nobody's."""


def proof_of(unpacked: Path) -> Path:
    """What shows that an unpacked archive is whole; its time of change is when the archive was last used."""
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
        """``work/<kind>/<name>/``: what is being made, and what an interrupted process left."""
        return self.root / "work"

    @property
    def trash(self) -> Path:
        """Damaged and replaced entries, until ``edgecnn store gc``."""
        return self.root / "trash"

    @property
    def secret(self) -> Path:
        """Random bytes by which this store's machines are renamed in what is sent to others; they never leave it."""
        return self.root / "secret"

    def entry(self, kind: str, key: str) -> Path:
        """The folder of one finished artifact."""
        return self.artifacts / kind / key

    def work(self, kind: str, name: str) -> Path:
        """The folder in which one thing is made."""
        return self.works / kind / name

    def lock(self, kind: str, name: str) -> Path:
        """The file whose lock is held while that folder is in use. It is never deleted: see ``locks``."""
        return self.root / "locks" / kind / f"{name}.lock"

    def stamps(self, kind: str, key: str) -> Path:
        """The stat index of one finished artifact: outside the entry, which so never changes once published."""
        return self.root / "index" / kind / f"{key}.json"
