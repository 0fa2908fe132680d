"""A zip of images, unpacked once into the store: nothing in it may reach outside, and nothing may grow beyond reason."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from edgecnn.data.layout import PART_NAMES
from edgecnn.data.listing import LEFT_BEHIND, Seen, stamps_in
from edgecnn.data.settled import read_json, write_json
from edgecnn.errors.data import ArchiveUnusable
from edgecnn.store.failures import named_failures
from edgecnn.values.stage import Progress

SUFFIX: Final = ".zip"
RATIO_MAX: Final = 100
"""Photographs are compressed already; deflate itself ends at about a thousand (zlib's "Technical Details")."""
ALLOWED_BYTES: Final = 1 << 30
"""So much may come out of a small archive whatever the ratio."""
FILES_MAX: Final = 5_000_000
_CHUNK: Final = 1 << 20


def is_archive(path: Path) -> bool:
    """Whether a data path names a zip and no folder."""
    return path.suffix.lower() == SUFFIX and path.is_file()


def unpacked(archive: Path, cache: Path, tell: Progress) -> Path:
    """The folder of an archive's images, in ``cache/archives``: as it was unpacked before, or now.

    A single folder that holds all others is entered, as archivers of folders make one.

    Raises:
        ArchiveUnusable: no zip, damaged, encrypted, too large, or with an entry that would leave its folder.
        StoreFull: no space.
        StoreUnusable: no permission.
    """
    facts = archive.stat()
    stamp = f"{os.path.realpath(archive)}/{facts.st_size}/{facts.st_mtime_ns}/{facts.st_ino}"
    folder = cache / "archives" / hashlib.sha256(os.fsencode(stamp)).hexdigest()[:32]
    proof = folder.with_suffix(".json")
    if not folder.is_dir() or read_json(proof) != _proof(folder, tell):
        with named_failures(folder.parent, "unpacking the images"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=".unpacking.", dir=folder.parent))
            try:
                _unpack(archive, fresh, tell)
                shutil.rmtree(folder, ignore_errors=True)
                fresh.replace(folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        write_json(proof, _proof(folder, tell))
    return _entered(folder)


def _proof(folder: Path, tell: Progress) -> str:
    """Of names, sizes and times: that what was unpacked is there still, and as it was."""
    return hashlib.sha256(json.dumps(stamps_in(folder, Seen(tell))).encode("utf-8", "surrogatepass")).hexdigest()


def _entered(folder: Path) -> Path:
    inside = [path for path in folder.iterdir() if path.name not in LEFT_BEHIND and not path.name.startswith(".")]
    if len(inside) == 1 and inside[0].is_dir() and inside[0].name.lower() not in PART_NAMES:
        return inside[0] if any(path.is_dir() for path in inside[0].iterdir()) else folder
    return folder


def _unpack(archive: Path, out: Path, tell: Progress) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [entry for entry in file.infolist() if not entry.is_dir()]
            _check(archive, entries)
            for done, entry in enumerate(entries, start=1):
                place = out / entry.filename
                place.parent.mkdir(parents=True, exist_ok=True)
                with file.open(entry) as source, place.open("xb") as target:
                    shutil.copyfileobj(source, target, _CHUNK)
                tell.step("unpacking", done, len(entries), "files")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError, ValueError) as error:
        raise ArchiveUnusable(file=archive, because=str(error) or type(error).__name__) from error


def _check(archive: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse before anything is written. What an entry says of its size holds: zipfile reads no further."""
    if len(entries) > FILES_MAX:
        raise ArchiveUnusable(file=archive, because=f"more than {FILES_MAX:,} files")
    total, packed = sum(entry.file_size for entry in entries), archive.stat().st_size
    if total > max(ALLOWED_BYTES, RATIO_MAX * packed):
        raise ArchiveUnusable(file=archive, because=f"{total:,} bytes would come out of {packed:,}, more than {RATIO_MAX} times")
    taken: set[str] = set()
    for entry in entries:
        if why := _fault(entry, taken):
            raise ArchiveUnusable(file=archive, because=f"its entry {ascii(entry.filename)[:200]} {why}")
        taken.add(entry.filename)


def _fault(entry: zipfile.ZipInfo, taken: set[str]) -> str:
    name = entry.filename
    parts = name.split("/")
    if PurePosixPath(name).is_absolute() or "\\" in name or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        return "would leave its folder"
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link or a device"
    if entry.flag_bits & 1:
        return "is encrypted"
    if any(len(os.fsencode(part)) > 255 for part in parts):
        return "has a name longer than 255 bytes"
    return "is there twice" if name in taken else ""
