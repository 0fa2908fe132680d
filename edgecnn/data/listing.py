"""Every file under a folder, as the system stamps it: counted aloud where that takes long, and left at once by Ctrl-C.

Nothing is opened but folders, so that neither a pipe nor a device can hold the listing up.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from edgecnn.errors.base import system_reason
from edgecnn.errors.data.folder import DataFolderUnreadable
from edgecnn.runner.causes.known import LEFT_BEHIND
from edgecnn.store.disk import stamped
from edgecnn.values.stage import Progress

QUIET_FOR_S: Final = 1.0
"""100,000 files are listed within this, of which nothing needs to be said."""
SAID_EVERY_S: Final = 0.25
WHAT: Final = "listing files"


class ListingProgress:
    """Counts what was listed so far, and says it once the listing lasts."""

    def __init__(self, tell: Progress) -> None:
        self._tell = tell
        self._count = 0
        self._said = False
        self._due = time.monotonic() + QUIET_FOR_S

    def one(self) -> None:
        """Another entry of a folder."""
        self._count += 1
        now = time.monotonic()
        if now >= self._due:
            self._due = now + SAID_EVERY_S
            self._said = True
            self._tell.step(WHAT, self._count, None, "files")

    def all(self) -> None:
        """The listing is complete."""
        if self._said:
            self._tell.step(WHAT, self._count, self._count, "files")


def stamps_in(folder: Path, seen: ListingProgress) -> list[str]:
    """The stamps of all files under ``folder``, sub-folders included, sorted; paths are relative to it.

    A stamp holds path, size, mtime_ns, inode and ctime_ns, separated by slashes. A file that cannot be stamped (a link to
    nothing) has a size of -1.

    Raises DataFolderUnreadable: a folder may not be listed, or lies deeper than this process can follow.
    """
    stamps: list[str] = []
    try:
        _Walk(stamps, seen).into(folder, "", frozenset())
    except RecursionError as error:
        raise DataFolderUnreadable(folder=folder, because="its folders are nested too deeply") from error
    stamps.sort()
    return stamps


def stamp_of(name: str, facts: os.stat_result | None) -> str:
    """A file's stamp, under a name; ``facts``: None of a file that cannot be stamped."""
    return "/".join((name, *map(str, (-1, 0, 0, 0) if facts is None else stamped(facts))))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one; a link that leads nowhere, or to itself, does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


class _Walk:
    def __init__(self, stamps: list[str], seen: ListingProgress) -> None:
        self._stamps = stamps
        self._seen = seen

    def into(self, folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        # Listing an open folder spares the kernel a walk along the path for every file: a sixth of the whole.
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                here = os.fstat(handle)
                identity = (here.st_dev, here.st_ino)
                if identity not in above:  # else a link to one of its own parents
                    self._list(handle, folder, prefix, above | {identity})
            finally:
                os.close(handle)
        except OSError as error:
            raise DataFolderUnreadable(folder=folder, because=system_reason(error)) from error

    def _list(self, handle: int, folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        with os.scandir(handle) as entries:
            for entry in entries:
                name = entry.name
                self._seen.one()
                if name[0] == "." or name in LEFT_BEHIND:
                    continue
                if is_folder(entry):
                    self.into(folder / name, f"{prefix}{name}/", above)
                    continue
                try:
                    facts = entry.stat()
                except OSError:
                    facts = None
                self._stamps.append(stamp_of(f"{prefix}{name}", facts))
