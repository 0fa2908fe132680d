"""The folder of a sweep's results is the user's: where a file or folder in it cannot be used, that is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecnn.errors.base import system_reason
from edgecnn.errors.sweeps import NotASweepFolder


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """What the block reads or writes lies there. Raises NotASweepFolder: the system refuses it."""
    try:
        yield
    except OSError as error:
        raise NotASweepFolder(path=path, because=system_reason(error)) from error
