"""Every file under a folder, as the system stamps it: counted aloud where that takes long, and left at once by Ctrl-C.

Nothing is opened but folders, so that neither a pipe nor a device can hold the listing up.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.errors.base import system_reason
from edgecnn.errors.data.folder import DataFolderMissing, DataFolderUnreadable, DataNotAFolder, NameNotUnicode
from edgecnn.errors.wording import counted
from edgecnn.runner.causes.left_behind import images_in, is_image_name, is_left_behind, is_skipped
from edgecnn.store.disk import stamped
from edgecnn.values.data.dataset import SkippedBecause, SkippedImages
from edgecnn.values.stage import Progress

QUIET_FOR_S: Final = 1.0
"""100,000 files are listed within this, of which nothing needs to be said."""
SAID_EVERY_S: Final = 0.25
WHAT: Final = "listing files"


class ListingProgress:
    """Counts what was listed so far, says it once the listing lasts, and remembers the images that were skipped."""

    def __init__(self, tell: Progress) -> None:
        self._tell = tell
        self._count = 0
        self._said = False
        self.contents: dict[Path, FolderContent] = {}
        self._skipped: dict[Path, tuple[int, SkippedBecause]] = {}
        self._due = time.monotonic() + QUIET_FOR_S

    def one(self) -> None:
        """Another entry of a folder."""
        self._count += 1
        now = time.monotonic()
        if now >= self._due:
            self._due = now + SAID_EVERY_S
            self._said = True
            self._tell.step(WHAT, self._count, None, "files")

    def skip(self, place: Path) -> None:
        """Remember a hidden file or folder, or a tool's, with the images in it."""
        if place not in self._skipped:
            self._skipped[place] = images_in(place), "left by a tool" if is_left_behind(place.name) else "hidden"

    def skip_outside(self, folder: Path, images: int) -> None:
        """Remember how many images a folder of class folders holds itself."""
        self._skipped[folder] = images, "not in a class folder"

    def skip_unlisted(self, root: Path, listed: Sequence[Sequence[str]]) -> None:
        """Remember how many images each folder under ``root`` holds that are not among the ``listed`` stamps.

        Raises DataFolderUnreadable: as ``stamps_in``.
        """
        known = {os.path.normpath(stamp.rsplit("/", 4)[0]) for stamps in listed for stamp in stamps}
        paths = (stamp.rsplit("/", 4)[0] for stamp in stamps_in(root, self))
        unlisted = Counter(path.rpartition("/")[0] for path in paths if is_image_name(path) and path not in known)
        self._skipped |= {root / folder: (images, "not in the list") for folder, images in unlisted.items()}

    def skipped_under(self, root: Path) -> tuple[SkippedImages, ...]:
        """Everything that was skipped and holds images, as seen from ``root``."""
        skipped = []
        for place, (images, why) in sorted(self._skipped.items()):
            path = os.fsencode(os.path.relpath(place, root)).decode(errors="backslashreplace")
            if images:
                skipped.append(SkippedImages(path=f"{path}/" if place.is_dir() else path, images=images, why=why))
        return tuple(skipped)

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


def skipped_phrases(skipped: Sequence[SkippedImages]) -> Iterator[str]:
    """As plans and inspections name them; what has one name in many folders, as ``@eaDir``, is named once."""
    groups = defaultdict[tuple[str, str], list[SkippedImages]](list)
    for place in skipped:
        groups[place.path.rstrip("/").rpartition("/")[2], place.why].append(place)
    for (name, why), places in groups.items():
        where = places[0].path if len(places) == 1 else f"{name} in {len(places):,} folders"
        yield f"{where} ({counted(sum(place.images for place in places), 'image')}, {why})"


def stamp_of(name: str, facts: os.stat_result | None) -> str:
    """A file's stamp, under a name; ``facts``: None of a file that cannot be stamped."""
    return "/".join((name, *map(str, (-1, 0, 0, 0) if facts is None else stamped(facts))))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one; a link that leads nowhere, or to itself, does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


class FolderContent(NamedTuple):
    """What lies directly in a folder, without hidden files and those of tools."""

    folders: tuple[str, ...]
    files: int
    images: int
    """Of these files, by their names."""


def content_of(folder: Path, seen: ListingProgress) -> FolderContent:
    """List one folder, and count its sub-folders; a folder is listed once.

    Raises DataFolderMissing, DataNotAFolder, DataFolderUnreadable, NameNotUnicode: as their names say.
    """
    if folder in seen.contents:
        return seen.contents[folder]
    names: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_skipped(entry.name):
                    seen.skip(folder / entry.name)
                elif is_folder(entry):
                    seen.one()
                    names.append(entry.name)
                else:
                    files.append(entry.name)
    except FileNotFoundError:
        raise DataFolderMissing(folder=folder) from None
    except NotADirectoryError:
        raise DataNotAFolder(path=folder) from None
    except OSError as error:
        raise DataFolderUnreadable(folder=folder, because=system_reason(error)) from error
    for name in names:
        if not name.isprintable() and any(0xDC80 <= ord(letter) <= 0xDCFF for letter in name):  # os.fsdecode's mark of such bytes
            raise NameNotUnicode(folder=folder, name=name)
    seen.contents[folder] = FolderContent(tuple(sorted(names)), len(files), sum(map(is_image_name, files)))
    return seen.contents[folder]


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
                if is_skipped(name):
                    self._seen.skip(folder / name)
                    continue
                if is_folder(entry):
                    self.into(folder / name, f"{prefix}{name}/", above)
                    continue
                try:
                    facts = entry.stat()
                except OSError:
                    facts = None
                self._stamps.append(stamp_of(f"{prefix}{name}", facts))
