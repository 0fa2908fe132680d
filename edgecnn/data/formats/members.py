"""The files in a zip or a tar, before unpacking: names, sizes and reasons to refuse them."""

from __future__ import annotations

import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

from edgecnn.errors.base import system_reason
from edgecnn.errors.data import ARCHIVE_UNUSABLE
from edgecnn.runner.files import open_regular

ZIP: Final = ".zip"
TARS: Final = (".tar", ".tar.gz", ".tgz")
RATIO_MAX: Final = 100
"""Images are already compressed. Deflate itself reaches a ratio of about a thousand (zlib's "Technical Details")."""
ALLOWED_BYTES: Final = 1 << 30
"""Bytes that an archive may unpack to at any ratio."""
FILES_MAX: Final = 5_000_000
CHUNK: Final = 1 << 20
_WORDS_MAX: Final = 300
_DAMAGED: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip
"""Exceptions of zipfile, tarfile and their decompressors for damaged bytes; bz2 raises an OSError."""
_UTF8: Final = 0x800
"""The flag of an entry whose name is UTF-8 (PKWARE APPNOTE, 4.4.4); without it, a name is of code page 437."""


class Member(NamedTuple):
    """A file in an archive."""

    name: str
    size: int
    """In bytes."""
    fault: str
    """Why it cannot be unpacked; empty if it can."""
    stream: Callable[[], IO[bytes]]
    """Opens it for reading."""


def is_archive(path: Path) -> bool:
    """Whether a data path is a zip or a tar, not a folder."""
    return is_archive_name(path.name) and path.is_file()


def is_archive_name(name: str) -> bool:
    """Whether a file has the suffix of a zip or a tar."""
    return name.lower().endswith((ZIP, *TARS))


def bare_name(archive: Path) -> str:
    """Return the name without the suffix of an archive."""
    suffix = next(suffix for suffix in (ZIP, *TARS) if archive.name.lower().endswith(suffix))
    return archive.name[: -len(suffix)]


@contextmanager
def faults_of(archive: Path) -> Iterator[None]:
    """Report faults of an archive as such, apart from those of the store."""
    try:
        yield
    except _DAMAGED as error:
        words = system_reason(error)
        raise ARCHIVE_UNUSABLE(file=archive, because=words if len(words) <= _WORDS_MAX else f"{words[:_WORDS_MAX]}…") from error


def bytes_allowed(archive: Path) -> int:
    """Return the number of bytes that an archive may unpack to."""
    return max(ALLOWED_BYTES, RATIO_MAX * archive.stat().st_size)


def members_of(archive: Path, stack: ExitStack) -> list[Member]:
    """Return the files of an archive, which stays open as long as ``stack``. Raises ARCHIVE_UNUSABLE: it is damaged."""
    with faults_of(archive):
        return _members_of_zip(archive, stack) if archive.name.lower().endswith(ZIP) else _members_of_tar(archive, stack)


def _members_of_zip(archive: Path, stack: ExitStack) -> list[Member]:
    file = stack.enter_context(zipfile.ZipFile(archive))
    entries = (entry for entry in file.infolist() if not entry.filename.endswith("/"))
    return [Member(_name(entry), entry.file_size, _fault(entry), partial(file.open, entry)) for entry in entries]


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the name. Names that are valid UTF-8 are read as such even without the flag, which many tools omit."""
    if entry.flag_bits & _UTF8 or entry.filename.isascii():
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _fault(entry: zipfile.ZipInfo) -> str:
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or a device"
    return "is encrypted" if entry.flag_bits & 1 else ""


class _BoundedReads:
    """A stream that refuses to read a tar header larger than any real one."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= CHUNK:
            raise tarfile.ReadError(f"a header has more than {CHUNK:,} bytes")
        return self._stream.read(size)


def _members_of_tar(archive: Path, stack: ExitStack) -> list[Member]:
    """Stop reading once the stated sizes exceed the allowed bytes; ``archive._check`` then refuses the archive."""
    plain = stack.enter_context(open_regular(archive))
    packed = not archive.name.lower().endswith(TARS[0])
    stream = stack.enter_context(cast("IO[bytes]", gzip.GzipFile(fileobj=plain))) if packed else plain
    file = stack.enter_context(tarfile.open(fileobj=cast("Any", _BoundedReads(stream)), mode="r:"))  # noqa: SIM115
    members, left = list[Member](), bytes_allowed(archive)
    for number, entry in enumerate(iter(file.next, None), start=1):
        cast("Any", file).members.clear()  # tarfile keeps each one
        if entry.size < 0:  # tarfile would reread this entry in an endless loop
            raise tarfile.ReadError(f"its entry {ascii(entry.name)[:200]} has a negative size")
        left -= entry.size
        if number > FILES_MAX:
            raise tarfile.ReadError(f"more than {FILES_MAX:,} files")
        if not entry.isdir():
            is_file = entry.isreg() and not entry.issparse()
            fault = "" if is_file else "is a link or a device"
            members.append(Member(entry.name.removeprefix("./"), entry.size, fault, partial(_opened, file, entry)))
        if left < 0:
            break
    return members


def _opened(file: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = file.extractfile(entry)
    assert stream is not None, "only regular files are opened"
    return stream
