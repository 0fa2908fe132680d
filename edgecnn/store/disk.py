"""Files and folders that appear whole or not at all, hashed and fsynced on their way; and what the disk refuses, by name."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.store import StoreFull, StoreUnusable
from edgecnn.values.artifact import FileFact

Stamp = tuple[int, int, int]
"""(size in bytes, mtime in ns, inode): while these stay, the bytes are taken to be those that were hashed."""


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a regular file, or None where there is none: absent, a folder or a link."""
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (facts.st_size, facts.st_mtime_ns, facts.st_ino) if stat.S_ISREG(facts.st_mode) else None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def synced(path: Path) -> FileFact:
    """Force a file's bytes onto the disk, and say what they are."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return FileFact(sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=os.fstat(file.fileno()).st_size)


def sync_all(files: Mapping[str, Path]) -> dict[str, FileFact]:
    """``synced`` for many files at once: a journal takes concurrent fsyncs together, one after the other costs 6 ms each."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(files, pool.map(synced, files.values()), strict=True))


def sync_folders(folder: Path) -> None:
    """Force the names in ``folder``, and in every folder below it, onto the disk."""
    for place, _, _ in os.walk(folder, topdown=False):
        fsync_folder(Path(place))


def fsync_folder(folder: Path) -> None:
    """Force the names in one folder onto the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, text: str) -> None:
    """Write a whole file and force it onto the disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def publish(work: Path, entry: Path) -> bool:
    """Rename a settled folder to where it is found. False where an entry stands there already; ``work`` is then untouched."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    try:
        work.rename(entry)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    fsync_folder(entry.parent)
    return True


def discard(folder: Path, trash: Path) -> Path | None:
    """Rename a folder into the trash, out of sight in one step. The place it has there, or None where there was none."""
    trash.mkdir(parents=True, exist_ok=True)
    place = trash / f"{folder.parent.name}-{folder.name[:16]}-{time.time_ns()}"
    try:
        return folder.rename(place)
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Delete a file or a folder with all that is in it. Nothing happens where there is none."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return


def files_under(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names relative to ``folder``, with slashes, and paths of everything in it that is no folder; links to folders too."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        for name in [*names, *(inner for inner in folders if (here / inner).is_symlink())]:
            yield (here / name).relative_to(folder).as_posix(), here / name


def bytes_of(files: Mapping[str, FileFact]) -> int:
    """The size of recorded files together."""
    return sum(fact.bytes for fact in files.values())


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file by one rename, so that a reader never sees half of it."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """As ``write_text_atomically``, for what is no text. A device or a pipe is written into and stays what it is.

    Raises OSError: no space, not permitted, or no such folder; what was there is still there.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def json_object(path: Path) -> Mapping[str, Any] | None:
    """A JSON object; None where there is none that can be read, which takes an explanation away and no verdict."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
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
        if _is_no_access(cause, root):
            return StoreUnusable(root=root, because=_in_words(cause))
    if isinstance(error, EdgecnnError) or (failed := _write_failure(root)) is None:
        return None
    if failed.errno in _NO_SPACE:
        return StoreFull(root=root, free_bytes=free_bytes(root), doing=doing)
    return StoreUnusable(root=root, because=system_reason(failed))


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


def _write_failure(root: Path) -> OSError | None:
    """Why nothing can be written there now: NumPy, safetensors and torch fail there without an errno."""
    try:
        with tempfile.TemporaryFile(dir=nearest_existing(root)) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error
    return None


def _is_no_access(error: BaseException, root: Path) -> TypeGuard[OSError]:
    if not isinstance(error, OSError) or error.errno not in _NO_ACCESS:
        return False
    return (error.filename is None and error.errno == errno.EIO) or _lies_under(error.filename, root)


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
