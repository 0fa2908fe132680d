"""From the operating system's error to ours: which failures are the store's, and what mends them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.store import StoreFull, StoreUnusable

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO})
_FULL_BELOW_BYTES = 1 << 20
"""Libraries that write through C++ report a full disk as a RuntimeError without an errno; then so little space is left."""


@contextmanager
def named_failures(root: Path, doing: str) -> Iterator[None]:
    """Around the store's own reading and writing: every OSError becomes a store error.

    Raises:
        StoreFull: no space or quota.
        StoreUnusable: anything else, in the operating system's words.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StoreFull(root=root, free_bytes=free_bytes(root), doing=doing) from error
        raise StoreUnusable(root=root, because=_in_words(error)) from error


def failure_of_maker(error: Exception, root: Path, doing: str) -> EdgecnnError | None:
    """The store error behind what a maker raised, or None where the failure is the maker's own."""
    causes = list(_chain(error))
    if any(_is_no_space(cause, root) for cause in causes):
        return StoreFull(root=root, free_bytes=free_bytes(root), doing=doing)
    if not isinstance(error, EdgecnnError) and free_bytes(root) < _FULL_BELOW_BYTES:
        return StoreFull(root=root, free_bytes=free_bytes(root), doing=doing)
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _NO_ACCESS and _lies_under(cause.filename, root):
            return StoreUnusable(root=root, because=_in_words(cause))
    return None


def free_bytes(root: Path) -> int:
    """Free bytes on the file system that holds ``root``, or would hold it once made; 0 where that cannot be told."""
    try:
        return shutil.disk_usage(nearest_existing(root)).free
    except OSError:
        return 0


def nearest_existing(path: Path) -> Path:
    """``path``, or its closest parent that exists."""
    return next((place for place in (path, *path.parents) if os.path.lexists(place)), Path("/"))


def _is_no_space(error: BaseException, root: Path) -> bool:
    if not isinstance(error, OSError) or error.errno not in _NO_SPACE:
        return False
    return error.filename is None or _lies_under(error.filename, root)  # a write() to an open file names no file


def _lies_under(filename: object, root: Path) -> bool:
    return isinstance(filename, (str, os.PathLike)) and Path(filename).is_relative_to(root)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__


def _in_words(error: OSError) -> str:
    words = system_reason(error)
    return f"{words}: {error.filename}" if error.filename else words
