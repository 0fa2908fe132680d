"""Where everything in a store lies. Work, trash and finished entries share one file system, so a rename can publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECORD = "record.json"
FILES = "files"
STARTED = "started.json"
"""Inside a work folder: what the work began from, so that nothing is resumed from other bytes."""


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
