"""Results appear whole or not at all: a file under its final name was written to its end."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

from .failure import RunnerError


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside the final name, flush to the disk, then rename."""
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
    import numpy as np  # a machine without it can still compare files and say what it lacks

    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    write_bytes(path, stream.getvalue())


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        RunnerError: unreadable-file, when it is absent or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunnerError("unreadable-file", "{}: cannot be read".format(path), str(error)) from error


def make_folder(path: Path) -> None:
    """Create a folder for results, unless it is there.

    Raises:
        RunnerError: unwritable-folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunnerError("unwritable-folder", "{}: cannot be created".format(path), str(error)) from error
