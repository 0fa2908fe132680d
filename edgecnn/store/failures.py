"""Distinguish failures of a disk, of the store or of temporary files from failures of a stage. Some libraries hide them."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeGuard

from edgecnn.errors.base import FULL_ERRNOS, EdgecnnError, causes_of, system_reason
from edgecnn.errors.limits import process_limit
from edgecnn.errors.store import STORE_FULL, STORE_UNUSABLE, TEMPORARY_FOLDER_FULL
from edgecnn.store.disk import free_bytes, nearest_existing, same_disk, temporary_folder

NO_SPACE = FULL_ERRNOS | {errno.EFBIG}
DISK_FAILURES = NO_SPACE | {errno.EROFS, errno.EIO}
"""Error numbers of a disk."""
_NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO})
FULL_BELOW_BYTES = 1 << 20
"""A disk with less free space than this counts as full. Libraries in C++ report a full disk without an errno."""
_PROBE_BYTES = 4096
_UNSUPPORTED = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
"""Error numbers of a file system that cannot reserve space, such as under FUSE or with musl. Its free space is unknown then."""


@contextmanager
def named_failures(root: Path, doing: str) -> Iterator[None]:
    """Turn each OSError in the block, which reads or writes the store, into a store error.

    Raises StoreFull: no space or quota. StoreUnusable: any other reason of the operating system.
    """
    try:
        yield
    except OSError as error:
        raise _store_error(error, root, doing) from error


def failure_of_maker(error: Exception, root: Path, doing: str) -> EdgecnnError | None:
    """Return the error of the store or the temporary folder that caused a maker's exception; None if the maker itself failed."""
    causes = list(causes_of(error))
    unnamed = not isinstance(error, EdgecnnError)
    if unnamed and (limited := process_limit(error)) is not None:
        return limited
    elsewhere = next(filter(None, (temporary_folder_full(cause, root, doing) for cause in causes)), None)
    if elsewhere is not None:
        return elsewhere
    if any(_is_no_space(cause, root) for cause in causes) or (unnamed and free_bytes(root) < FULL_BELOW_BYTES):
        return STORE_FULL(root=root, free_bytes=free_bytes(root), doing=doing)
    if unnamed and _is_other_disk_full(root):
        return full_temporary_folder(doing)
    failed = next((cause for cause in causes if _is_no_access(cause, root)), None)
    if failed is None and unnamed:
        failed = refusal_of_disk(root)
    return None if failed is None else _store_error(failed, root, doing)


@contextmanager
def makers_failures(root: Path, doing: str) -> Iterator[None]:
    """Turn exceptions of a maker into the error of ``failure_of_maker``, if there is one."""
    try:
        yield
    except Exception as error:
        named = failure_of_maker(error, root, doing)
        if named is None:
            raise
        raise named from error


@contextmanager
def temporary_folder_errors(doing: str) -> Iterator[None]:
    """Raise TemporaryFolderFull if the block, which writes only temporary files, finds no space or quota."""
    try:
        yield
    except OSError as error:
        if (limited := process_limit(error)) is not None:
            raise limited from error
        nowhere = isinstance(error, FileNotFoundError) and error.filename is None  # ``tempfile`` found no usable folder
        if error.errno not in FULL_ERRNOS and not (nowhere and free_bytes(temporary_folder()) < FULL_BELOW_BYTES):
            raise
        raise full_temporary_folder(doing) from error


def temporary_folder_full(error: BaseException, root: Path, doing: str) -> EdgecnnError | None:
    """Return the error if the temporary folder's disk is full and differs from the disk of ``root``; else None.

    A write to an open file names no file. Then the full disk is the one that takes no bytes now, or the one with less free
    space, because the temporary file may be gone.
    """
    if not isinstance(error, OSError) or error.errno not in FULL_ERRNOS:
        return None
    folder, file = temporary_folder(), _failed_file(error)
    if file is not None:
        return full_temporary_folder(doing) if is_below(file, folder) and not is_below(file, root) else None
    if same_disk(folder, root) or _is_full(root):
        return None
    fuller = _is_full(folder) or free_bytes(folder) < free_bytes(root)
    return full_temporary_folder(doing) if fuller else None


def _failed_file(error: OSError) -> object:
    """Return the file that found no space, the second of two; None if the error names no file."""
    return error.filename2 or error.filename


def full_temporary_folder(doing: str) -> EdgecnnError:
    """Return the error of a full temporary folder."""
    folder = temporary_folder()
    return TEMPORARY_FOLDER_FULL(folder=folder, free_bytes=free_bytes(folder), doing=doing)


def _is_full(folder: Path) -> bool:
    return free_bytes(folder) < FULL_BELOW_BYTES or refusal_of_disk(folder) is not None


def _is_other_disk_full(root: Path) -> bool:
    """Whether the temporary folder's disk is full and differs from the disk of ``root``. A read-only disk does not count."""
    folder = temporary_folder()
    return not same_disk(folder, root) and os.access(folder, os.W_OK) and free_bytes(folder) < FULL_BELOW_BYTES


def _store_error(error: OSError, root: Path, doing: str) -> EdgecnnError:
    if (limited := process_limit(error)) is not None:
        return limited
    if error.errno in NO_SPACE:
        return STORE_FULL(root=root, free_bytes=free_bytes(root), doing=doing)
    words = system_reason(error)
    return STORE_UNUSABLE(root=root, because=f"{words}: {error.filename}" if error.filename else words)


def _is_no_space(error: BaseException, root: Path) -> bool:
    if not isinstance(error, OSError) or error.errno not in NO_SPACE:
        return False
    file = _failed_file(error)
    return file is None or is_below(file, root)  # a write() to an open file names no file


def refusal_of_disk(folder: Path, size: int = _PROBE_BYTES) -> OSError | None:
    """Return why the disk of a folder takes no file of ``size`` bytes now; None if it does, or if that is unknown.

    A file is written and removed, because libraries fail without an errno and quotas do not count as free space.
    """
    try:
        with tempfile.TemporaryFile(dir=nearest_existing(folder)) as probe:
            probe.write(bytes(min(size, _PROBE_BYTES)))
            probe.flush()
            os.fsync(probe.fileno())
            if size > _PROBE_BYTES and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(probe.fileno(), 0, size)
    except OSError as error:
        return None if error.errno in _UNSUPPORTED else OSError(*error.args)  # without the probe's name
    return None


def require_room(folder: Path, size: int = _PROBE_BYTES) -> None:
    """Raise the system's error if the disk of ``folder`` takes no file of ``size`` bytes."""
    if (refusal := refusal_of_disk(folder, size)) is not None:
        raise OSError(refusal.errno, refusal.strerror, str(folder)) from None


@contextmanager
def prefer_system_error(file: Path, size: int) -> Iterator[None]:
    """Run a library that writes ``file`` of about ``size`` bytes and may fail without an errno.

    Raises OSError: the system's error, if the disk does not take a file of that size. Otherwise the library's error.
    """
    try:
        yield
    except Exception as error:
        if not (isinstance(error, OSError) and error.errno is not None):
            require_room(file.parent, max(_PROBE_BYTES, size - _bytes_on_disk(file)))
        raise


def _bytes_on_disk(file: Path) -> int:
    """Return the disk space of a file, which is below its size while parts are unwritten."""
    try:
        facts = file.stat()
    except OSError:
        return 0
    return min(facts.st_size, 512 * facts.st_blocks)


def _is_no_access(error: BaseException, root: Path) -> TypeGuard[OSError]:
    if not isinstance(error, OSError) or error.errno not in _NO_ACCESS:
        return False
    return (error.filename is None and error.errno == errno.EIO) or is_below(error.filename, root)


def is_below(filename: object, root: Path) -> bool:
    """Whether the file of an OSError is below that folder."""
    return isinstance(filename, (str, os.PathLike)) and Path(filename).is_relative_to(root)
