"""Read and write files. A result appears under its final name only when it is complete."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
from pathlib import Path
from typing import Any, Optional

from .messages import RunnerError

JSON_BYTES_MAX = 2 << 30
"""The largest JSON file that is read; a soak run of half a day has a third of this size."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Non-blocking: do not wait for a pipe that replaced a file."""


class UnfitFile(OSError):
    """Raised by ``open_regular`` if a file is not regular, is too large, or has a NUL in its path."""

    def __str__(self) -> str:
        return str(self.strerror)


def open_regular(path: Path, most_bytes: Optional[int] = None) -> io.BufferedReader:
    """Open a regular file for reading. A pipe or a device is not opened, because it may block or have no end.

    edgecnn reads every file that a user names through this function or through ``bounded_content``.

    Args:
        path: the file; a link to a regular file is one.
        most_bytes: a larger file is refused. None: any size.

    Raises:
        UnfitFile: see the class; ``strerror`` is the reason.
        OSError: the file is absent, a folder, or cannot be opened.
    """
    if "\0" in str(path):
        raise UnfitFile(errno.EINVAL, "its path holds a NUL character", str(path))
    _require_regular(path, path.stat(), most_bytes)
    stream = os.fdopen(os.open(str(path), _FLAGS), "rb")
    try:
        _require_regular(path, os.fstat(stream.fileno()), most_bytes)  # another file may have taken its place
    except OSError:
        stream.close()
        raise
    return stream


def _require_regular(path: Path, facts: os.stat_result, most_bytes: Optional[int]) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(facts.st_mode):
        raise UnfitFile(errno.EINVAL, "it is a pipe, a socket or a device, not a regular file", str(path))
    if most_bytes is not None and facts.st_size > most_bytes:
        raise _too_large(path, most_bytes)


def _too_large(path: Path, most_bytes: int) -> UnfitFile:
    limit = "{:,} MiB".format(most_bytes >> 20) if most_bytes >= 1 << 20 else "{:,} bytes".format(most_bytes)
    return UnfitFile(errno.EINVAL, "it is larger than {}".format(limit), str(path))


def bounded_content(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file of at most ``most_bytes``. Files of the kernel, which state no size, are bounded too.

    Raises:
        OSError: see ``open_regular``.
    """
    with open_regular(path, most_bytes) as stream:
        content = bytearray()
        while len(content) <= most_bytes:  # ``read(most_bytes)`` would always allocate that much
            part = stream.read(1 << 20)
            if not part:
                break
            content += part
    if len(content) > most_bytes:
        raise _too_large(path, most_bytes)
    return bytes(content)


def cause_of_missing(error: Exception) -> Optional[str]:
    """Return the cause in words if a path is absent, a folder, or not readable by this user; else None."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "it does not exist"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    return "this user may not read it" if isinstance(error, PermissionError) else None


def sha256_of(path: Path) -> str:
    """Return SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write to a temporary name, flush to the disk, then rename."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON with sorted names."""
    write_bytes(path, (json.dumps(value, sort_keys=True, indent=1) + "\n").encode("utf-8"))


def write_array(path: Path, array: Any) -> None:
    """Write an array in NumPy's ``.npy`` format."""
    import numpy as np  # a machine without NumPy can still compare files

    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    write_bytes(path, stream.getvalue())


def read_json(path: Path, most_bytes: int = JSON_BYTES_MAX) -> Any:
    """Return the value of a JSON file.

    Args:
        path: the file.
        most_bytes: a larger file is refused.

    Raises:
        RunnerError: unreadable-file, if the file is absent or not JSON.
    """
    try:
        return json.loads(bounded_content(path, most_bytes).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        because = cause_of_missing(error) or str(error)
        raise RunnerError("unreadable-file", "{}: cannot be read".format(path), because, "copy the file again") from error


def make_folder(path: Path) -> None:
    """Create a folder for results, unless it exists.

    Raises:
        RunnerError: unwritable-folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fix = "pass another folder with --out"
        raise RunnerError("unwritable-folder", "{}: cannot be created".format(path), str(error), fix) from error
