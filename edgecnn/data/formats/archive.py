"""A zip of images, unpacked once into the store: nothing in it may reach outside, and nothing may grow beyond reason."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final

from edgecnn.data.index import read_json, write_json
from edgecnn.data.layout import unwrapped
from edgecnn.data.listing import ListingProgress, stamp_of, stamps_in
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.data.formats import ArchiveUnusable
from edgecnn.store.disk import refuse_known_cause
from edgecnn.store.failures import named_failures
from edgecnn.store.layout import ARCHIVES, UNPACKING, Layout, proof_of
from edgecnn.store.locks import Locks
from edgecnn.values.stage import Progress

SUFFIX: Final = ".zip"
RATIO_MAX: Final = 100
"""Photographs are compressed already; deflate itself ends at about a thousand (zlib's "Technical Details")."""
ALLOWED_BYTES: Final = 1 << 30
"""So much may come out of a small archive whatever the ratio."""
FILES_MAX: Final = 5_000_000
PATH_BYTES_MAX: Final = 1024
"""Of an entry's whole name: Linux takes 4,096 bytes with the store's own path before it (limits.h, PATH_MAX)."""
_CHUNK: Final = 1 << 20
_WORDS_MAX: Final = 300
_DAMAGED: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip
"""What zipfile and its decompressors raise for bytes that they cannot read; bz2 says it with an OSError."""


def is_archive(path: Path) -> bool:
    """Whether a data path names a zip and no folder."""
    return path.suffix.lower() == SUFFIX and path.is_file()


@contextmanager
def told_of(archive: Path, folder: Path) -> Iterator[None]:
    """Around what reads an unpacked archive: an error names the archive, and not the folder of the store."""
    try:
        yield
    except EdgecnnError as error:
        if archive == folder:
            raise
        raise error.retold(str(folder), str(archive)) from error


def unpacked(archive: Path, cache: Path, tell: Progress) -> Path:
    """The folder of an archive's images, in ``cache/archives``: as it was unpacked before, or now.

    A single folder that wraps all others is entered. One process at a time unpacks an archive,
    and the use is dated under the same lock, by which ``store gc`` goes.

    Raises:
        ArchiveUnusable: no zip, unreadable, damaged, encrypted, too large, or with an entry that cannot be a file there.
        StoreFull: no space.
        StoreUnusable: no permission.
        WrongBytes: see ``refuse_known_cause``.
    """
    refuse_known_cause(archive)
    folder = kept_folder(_name_of(archive), cache, lambda fresh: _unpack(archive, fresh, tell), tell)
    return unwrapped(folder, ListingProgress(tell))


def kept_folder(name: str, cache: Path, fill: Callable[[Path], None], tell: Progress) -> Path:
    """The folder ``cache/archives/name`` of images: as ``fill`` left it before, or now where it is not whole.

    Raises StoreFull: no space. StoreUnusable: no permission.
    """
    folder = cache / ARCHIVES / name
    with Locks(Layout(cache)).held(ARCHIVES, folder.name, tell):
        if not (folder.is_dir() and read_json(proof_of(folder)) == _proof(folder, tell)):
            _make(fill, folder, tell)
        with suppress(OSError):  # a store that may only be read is read
            os.utime(proof_of(folder))
    return folder


def _name_of(archive: Path) -> str:
    with _as_of(archive):
        stamp = stamp_of(os.path.realpath(archive), archive.stat())
    return hashlib.sha256(os.fsencode(stamp)).hexdigest()[:32]


def _make(fill: Callable[[Path], None], folder: Path, tell: Progress) -> None:
    with named_failures(folder.parent, "unpacking the images"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=folder.parent))
        try:
            fill(fresh)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.replace(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    write_json(proof_of(folder), _proof(folder, tell))


def _proof(folder: Path, tell: Progress) -> str:
    """Of names, sizes and times: that what was unpacked is there still, and as it was."""
    return hashlib.sha256(json.dumps(stamps_in(folder, ListingProgress(tell))).encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def _as_of(archive: Path) -> Iterator[None]:
    """Around the reading of an archive alone, so that its faults are not taken for those of the store."""
    try:
        yield
    except _DAMAGED as error:
        words = system_reason(error)
        raise ArchiveUnusable(file=archive, because=words if len(words) <= _WORDS_MAX else f"{words[:_WORDS_MAX]}…") from error


def _unpack(archive: Path, out: Path, tell: Progress) -> None:
    with ExitStack() as stack:
        with _as_of(archive):
            file = stack.enter_context(zipfile.ZipFile(archive))
            entries = [entry for entry in file.infolist() if not entry.filename.endswith("/")]
            _check(archive, entries)
        for done, entry in enumerate(entries, start=1):
            place = out / entry.filename
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as target:
                for chunk in _chunks(archive, file, entry):
                    target.write(chunk)
            tell.step("unpacking", done, len(entries), "files")


def _chunks(archive: Path, file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of an entry; whoever takes them writes them outside, for that is the store's."""
    with ExitStack() as stack:
        with _as_of(archive):
            source = stack.enter_context(file.open(entry))
        while True:
            with _as_of(archive):
                chunk = source.read(_CHUNK)
            if not chunk:
                return
            yield chunk


def _check(archive: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse before anything is written. What an entry says of its size holds: zipfile reads no further."""
    if len(entries) > FILES_MAX:
        raise ArchiveUnusable(file=archive, because=f"more than {FILES_MAX:,} files")
    total, packed = sum(entry.file_size for entry in entries), archive.stat().st_size
    if total > max(ALLOWED_BYTES, RATIO_MAX * packed):
        raise ArchiveUnusable(file=archive, because=f"{total:,} bytes would come out of {packed:,}, more than {RATIO_MAX} times")
    taken: set[str] = set()
    folders = {str(parent) for entry in entries for parent in PurePosixPath(entry.filename[:PATH_BYTES_MAX]).parents}
    for entry in entries:
        if why := _fault(entry, taken) or ("is a file and a folder" if entry.filename in folders else ""):
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
    if len(os.fsencode(name)) > PATH_BYTES_MAX:
        return f"has a path longer than {PATH_BYTES_MAX:,} bytes"
    if any(len(os.fsencode(part)) > 255 for part in parts):
        return "has a name longer than 255 bytes"
    return "is there twice" if name in taken else ""
