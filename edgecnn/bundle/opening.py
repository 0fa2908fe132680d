"""A bundle as a folder or a zip: names, sizes and bytes. Only the structure is read here.

A zip is accepted only in the form that ``edgecnn bundle zip`` writes: stored entries one after another from the first byte to
the directory, with nothing before, between or after. So two readers cannot see two archives in it, and its unpacked size is
known in advance.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
import weakref
import zipfile
from collections.abc import Callable, Container, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Final, Literal, Protocol

from edgecnn.bundle.manifest import NAME_BYTES_MAX, name_fault, require_distinct
from edgecnn.errors.base import system_reason
from edgecnn.errors.bundle import (
    NO_BUNDLE_HERE,
    bundle_archive_refused,
    bundle_entry_refused,
    bundle_file_changed,
    bundle_file_missing,
)
from edgecnn.runner.causes import cause_of_file
from edgecnn.runner.files import open_regular

FILES_MAX: Final = 65_000
"""A zip without 64-bit extension has at most 65,535 entries (PKWARE APPNOTE 6.3.10, 4.4.22)."""
TOTAL_BYTES_MAX: Final = 4 << 30
"""A zip without 64-bit extension has at most 4 GiB."""
_LOCAL: Final = struct.Struct("<4s5H3L2H")
"""A local file header (4.3.7)."""
_END: Final = struct.Struct("<4s4H2LH")
"""The end of the central directory (4.3.16)."""
_CENTRAL_BYTES: Final = 46
"""An entry of the central directory without its name (4.3.12)."""
_CHUNK: Final = 1 << 20
_ENCRYPTED: Final = 0x1
_RATIO_MAX: Final = 100  # an entry that grows by more may be a zip bomb


class Opened(Protocol):
    """A bundle's files."""

    form: Literal["folder", "zip"]
    path: Path
    files: Mapping[str, int]
    """Name, with slashes, to size in bytes."""

    def open(self, name: str) -> IO[bytes]:
        """Open one of ``files``."""
        ...


def open_bundle(path: Path) -> Opened:
    """Open a folder or a zip.

    Raises NO_BUNDLE_HERE: there is neither. BUNDLE_ARCHIVE_REFUSED, BundleEntryRefused: it is not safe to read.
    """
    try:
        folder, file = path.is_dir(), path.is_file()
    except OSError as error:  # the name is too long, or a parent folder may not be entered
        raise NO_BUNDLE_HERE(path=path, because=system_reason(error)) from error
    if not (folder or file):
        raise NO_BUNDLE_HERE(path=path, because="it does not exist")
    return FolderForm(path) if folder else ZipForm(path)


class FolderForm:
    """A folder, which is opened once: another folder that later takes its name is not read.

    Links in it are never followed, whether listing or opening.

    Raises BundleEntryRefused: it holds a link, a device or a pipe, or two names of one file (see ``require_distinct``).
    NO_BUNDLE_HERE: it cannot be listed, or holds too many files.
    """

    form: Literal["folder", "zip"] = "folder"

    def __init__(self, folder: Path) -> None:
        self.path = folder
        try:
            self._root = os.open(folder, _FOLDER_FLAGS)
            weakref.finalize(self, os.close, self._root)
            self.files: Mapping[str, int] = dict(islice(_list_folder(folder, self._root, ""), FILES_MAX + 1))
        except OSError as error:
            raise NO_BUNDLE_HERE(path=folder, because=system_reason(error)) from error
        if len(self.files) > FILES_MAX:
            raise NO_BUNDLE_HERE(path=folder, because=f"it holds more than {FILES_MAX:,} files")
        require_distinct(folder, self.files)

    def open(self, name: str) -> IO[bytes]:
        """Open the file, unless a link or a pipe has replaced it, or a folder above it, since it was listed.

        Raises BUNDLE_FILE_MISSING: it was removed. BundleEntryRefused: it is no longer a file, or may not be read.
        """
        *folders, last = name.split("/")
        opened: list[int] = []
        try:
            for part in folders:
                opened.append(os.open(part, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=(opened or [self._root])[-1]))
            handle = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=(opened or [self._root])[-1])
        except FileNotFoundError as error:
            raise bundle_file_missing(path=self.path, file=name) from error
        except OSError as error:
            is_link = error.errno in (errno.ELOOP, errno.ENOTDIR)
            because = "is a link or a device" if is_link else f"cannot be read ({system_reason(error)})"
            raise bundle_entry_refused(path=self.path, entry=name, because=because) from error
        finally:
            for folder in opened:
                os.close(folder)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise bundle_entry_refused(path=self.path, entry=name, because="is a link or a device")
        return os.fdopen(handle, "rb")


_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY


def _list_folder(root: Path, folder: int, before: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        name, facts = f"{before}{entry.name}", entry.stat(follow_symlinks=False)
        if (fault := name_fault(name)) != "":
            raise bundle_entry_refused(path=root, entry=name, because=fault)
        if stat.S_ISDIR(facts.st_mode):
            inner = os.open(entry.name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=folder)
            try:
                yield from _list_folder(root, inner, f"{name}/")
            finally:
                os.close(inner)
            continue
        if not stat.S_ISREG(facts.st_mode):
            raise bundle_entry_refused(path=root, entry=name, because="is a link or a device")
        yield name, facts.st_size


class ZipForm:
    """A zip, which is opened once. Only its directory and the headers of its entries are read.

    Raises BUNDLE_ARCHIVE_REFUSED: not a zip, damaged, or another layout than that of ``edgecnn bundle zip``.
    BundleEntryRefused: an entry is encrypted, compressed, repeated (ignoring case), a link, a device, or leaves the folder.
    """

    form: Literal["folder", "zip"] = "zip"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._stream = stream = open_regular(path)
            weakref.finalize(self, stream.close)
            directory, count = _directory_position(path, stream)
            with zipfile.ZipFile(stream) as archive:
                entries = archive.infolist()
                if (archive.start_dir, len(entries)) != (directory, count):  # a comment may hide a 64-bit record
                    raise bundle_archive_refused(path=path, because="it has two directories")
            _check_entries(path, entries)
            self._places = _entry_positions(path, stream, entries, directory)
        except (zipfile.BadZipFile, struct.error, OSError, ValueError, EOFError, NotImplementedError) as error:
            raise bundle_archive_refused(path=path, because=system_reason(error)[:200]) from error
        self.files: Mapping[str, int] = {name: size for name, (_, size) in self._places.items()}

    def open(self, name: str) -> IO[bytes]:
        """Open the stored bytes at the checked position."""
        start, size = self._places[name]
        return _Part(self._stream.fileno(), start, size)  # type: ignore[return-value] # has the methods that readers use


class _Part:
    """A part of an open file."""

    def __init__(self, handle: int, start: int, size: int) -> None:
        self._handle, self._at, self._left = handle, start, size

    def read(self, size: int = -1) -> bytes:
        content = os.pread(self._handle, self._left if size < 0 else min(size, self._left), self._at)
        self._at, self._left = self._at + len(content), self._left - len(content)
        return content

    def close(self) -> None:
        """Nothing to close: the archive stays open."""

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _directory_position(path: Path, stream: IO[bytes]) -> tuple[int, int]:
    """Return the start of the central directory and its number of entries. It must end 22 bytes before the end of the file."""
    size = stream.seek(0, os.SEEK_END)
    if size > TOTAL_BYTES_MAX:
        raise bundle_archive_refused(path=path, because=f"it is larger than {TOTAL_BYTES_MAX:,} bytes")
    stream.seek(max(0, size - _END.size))
    end = stream.read(_END.size)
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        if (cause := cause_of_file(path)) is not None:
            raise bundle_archive_refused(path=path, because=cause.why, hint=cause.fix)
        raise bundle_archive_refused(path=path, because="it is not a zip, is incomplete, or has data after its end")
    _, disk, first_disk, here, entries, length, start, comment = _END.unpack(end)
    if disk or first_disk or here != entries or comment or start + length != size - _END.size:
        raise bundle_archive_refused(path=path, because="its directory is not at the end")
    if entries > FILES_MAX:
        raise bundle_archive_refused(path=path, because=f"it holds more than {FILES_MAX:,} files")
    if length > entries * (_CENTRAL_BYTES + NAME_BYTES_MAX):  # zipfile reads all of it, whatever the number says
        raise bundle_archive_refused(path=path, because="its directory is larger than that of its files")
    stream.seek(0)
    return int(start), int(entries)


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    total = sum(entry.file_size for entry in entries)
    if total > TOTAL_BYTES_MAX:
        raise bundle_archive_refused(path=path, because=f"it would unpack to {total:,} bytes, more than {TOTAL_BYTES_MAX:,}")
    names = dict[str, None]()
    for entry in entries:
        if (fault := _entry_fault(entry, names)) != "":
            repacked = _is_of_another_tool(entry)
            raise bundle_entry_refused(path=path, entry=entry.orig_filename, because=fault, repacked=repacked)
        names[entry.filename] = None
    folders = {name[:index] for name in names for index, sign in enumerate(name) if sign == "/"}
    if both := sorted(folders & names.keys()):
        raise bundle_entry_refused(path=path, entry=both[0], because="is a file and a folder")
    require_distinct(path, names)


def _is_of_another_tool(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry has properties that other zip tools write. Unpacked, it may be a bundle."""
    bomb = entry.file_size > _RATIO_MAX * max(entry.compress_size, 1)
    usual = entry.is_dir() or bool(entry.extra) or entry.compress_type != zipfile.ZIP_STORED
    return usual and not bomb and not entry.flag_bits & _ENCRYPTED and name_fault(entry.orig_filename.rstrip("/")) == ""


def _entry_fault(entry: zipfile.ZipInfo, names: Container[str]) -> str:
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.is_dir() and name_fault(entry.orig_filename.rstrip("/")) == "":
        return "is a folder entry; a bundle's zip contains only files"
    if (fault := name_fault(entry.orig_filename)) != "":
        return fault
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or a device"
    if entry.compress_type != zipfile.ZIP_STORED:
        times = entry.file_size / max(entry.compress_size, 1)
        return f"is compressed ({times:,.0f} times); a bundle's files must be stored"
    if entry.comment or entry.extra:
        return "has a comment or extra data"
    if entry.file_size != entry.compress_size:
        return f"states {entry.file_size:,} bytes and stores {entry.compress_size:,}"
    return "is repeated" if entry.filename in names else ""


def _entry_positions(path: Path, stream: IO[bytes], entries: list[zipfile.ZipInfo], directory: int) -> dict[str, tuple[int, int]]:
    """Return the first byte and the size of each entry by name.

    Each entry must begin at the end of the previous entry, and its header must match the directory.
    """
    positions, at = {}, 0
    for entry in sorted(entries, key=lambda info: info.header_offset):
        if entry.header_offset != at:
            raise bundle_entry_refused(path=path, entry=entry.filename, because="overlaps another entry, or follows hidden bytes")
        stream.seek(at)
        signature, _, flags, method, _, _, _, packed, size, name_bytes, extra = _LOCAL.unpack(stream.read(_LOCAL.size))
        name = stream.read(name_bytes).decode("utf-8")
        same = (signature, name, method, packed, size, extra, flags & ~0x800) == (
            b"PK\x03\x04", entry.filename, zipfile.ZIP_STORED, entry.file_size, entry.file_size, 0, 0,
        )  # fmt: skip
        if not same:
            raise bundle_entry_refused(path=path, entry=entry.filename, because="differs from the directory")
        start = at + _LOCAL.size + name_bytes
        positions[name], at = (start, size), start + size
    if at != directory:
        raise bundle_archive_refused(path=path, because="it has hidden bytes before its directory")
    return positions


def sha256_of_entry(opened: Opened, name: str, take: Callable[[bytes], object] | None = None) -> str:
    """Return a file's SHA-256 in hexadecimal. ``take`` receives the bytes; exceptions that it raises are passed on.

    Raises BUNDLE_FILE_MISSING: it was removed after the listing. BundleEntryRefused: it cannot be read.
    """
    digest = hashlib.sha256()
    with opened.open(name) as source:
        while True:
            try:
                chunk = source.read(_CHUNK)
            except OSError as error:
                because = f"cannot be read ({system_reason(error)})"
                raise bundle_entry_refused(path=opened.path, entry=name, because=because) from error
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
            if take is not None:
                take(chunk)


def copy_verified(opened: Opened, name: str, sha256: str, take: Callable[[bytes], object]) -> None:
    """Pass the bytes of a verified file to ``take``.

    Raises BUNDLE_FILE_CHANGED: the file has changed, so the passed bytes must not be used. BUNDLE_FILE_MISSING,
    BundleEntryRefused: see ``sha256_of_entry``.
    """
    if sha256_of_entry(opened, name, take) != sha256:
        raise bundle_file_changed(path=opened.path, file=name, because="it changed while it was copied")
