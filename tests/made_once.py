"""What is made once a test run, however many processes share the tests: who comes first makes it, the others wait."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

_FOLDERS: list[Path] = []


def begin(folder: Path | None = None) -> Path:
    """Use this folder, or a new one, for what is made once."""
    _FOLDERS[:] = [folder or Path(tempfile.mkdtemp(prefix="edgecnn-tests-"))]
    return _FOLDERS[0]


def end() -> None:
    """Take away all that was made."""
    shutil.rmtree(_FOLDERS.pop(), ignore_errors=True)


def run_folder() -> Path:
    """Of this test run, the same in all of its processes."""
    return _FOLDERS[0]


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name, which ``make`` fills when nobody did; a maker that failed left nothing that counts."""
    folder = run_folder() / name
    finished = folder.with_name(f"{name}.finished")
    with FileLock(f"{folder}.lock"):
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            finished.touch()
    return folder
