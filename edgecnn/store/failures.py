"""Which failures are the store's disk's: an OSError there, and what libraries make of a disk that takes no more."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeGuard

from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.store import StoreFull, StoreUnusable
from edgecnn.store.disk import free_bytes, nearest_existing

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO})
_FULL_BELOW_BYTES = 1 << 20
"""Libraries that write through C++ report a full disk as a RuntimeError without an errno; then so little space is left."""
_PROBE_BYTES = 4096


@contextmanager
def named_failures(root: Path, doing: str) -> Iterator[None]:
    """Around the store's own reading and writing: every OSError becomes a store error.

    Raises StoreFull: no space or quota. StoreUnusable: anything else, in the operating system's words.
    """
    try:
        yield
    except OSError as error:
        raise _store_error(error, root, doing) from error


def failure_of_maker(error: Exception, root: Path, doing: str) -> EdgecnnError | None:
    """The store error behind what a maker raised, or None where the failure is the maker's own."""
    causes = list(_chain(error))
    unnamed = not isinstance(error, EdgecnnError)
    if any(_is_no_space(cause, root) for cause in causes) or (unnamed and free_bytes(root) < _FULL_BELOW_BYTES):
        return StoreFull(root=root, free_bytes=free_bytes(root), doing=doing)
    failed = next((cause for cause in causes if _is_no_access(cause, root)), None)
    if failed is None and unnamed:
        failed = _write_failure(root)
    return None if failed is None else _store_error(failed, root, doing)


@contextmanager
def makers_failures(root: Path, doing: str) -> Iterator[None]:
    """Around what others do in the store's folders: raises what ``failure_of_maker`` names, else what they raised."""
    try:
        yield
    except Exception as error:
        named = failure_of_maker(error, root, doing)
        if named is None:
            raise
        raise named from error


def _store_error(error: OSError, root: Path, doing: str) -> StoreFull | StoreUnusable:
    if error.errno in NO_SPACE:
        return StoreFull(root=root, free_bytes=free_bytes(root), doing=doing)
    words = system_reason(error)
    return StoreUnusable(root=root, because=f"{words}: {error.filename}" if error.filename else words)


def _is_no_space(error: BaseException, root: Path) -> bool:
    if not isinstance(error, OSError) or error.errno not in NO_SPACE:
        return False
    return error.filename is None or lies_under(error.filename, root)  # a write() to an open file names no file


def _write_failure(root: Path) -> OSError | None:
    """Why nothing can be written there now: NumPy, safetensors and torch fail there without an errno."""
    try:
        with tempfile.TemporaryFile(dir=nearest_existing(root)) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return OSError(*error.args)  # without the probe's name
    return None


def _is_no_access(error: BaseException, root: Path) -> TypeGuard[OSError]:
    if not isinstance(error, OSError) or error.errno not in _NO_ACCESS:
        return False
    return (error.filename is None and error.errno == errno.EIO) or lies_under(error.filename, root)


def lies_under(filename: object, root: Path) -> bool:
    """Whether an OSError's file is below that folder; it may have none."""
    return isinstance(filename, (str, os.PathLike)) and Path(filename).is_relative_to(root)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__
