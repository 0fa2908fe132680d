"""A stage in a process of its own, killed in the middle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.house.child import child


def killed_when(pattern: str, command: Sequence[str], out: Path) -> None:
    """Start the command, and kill -9 it as soon as a file of that name is in the folder."""
    until = time.monotonic() + 120
    with child(command, piped=False) as process:
        while not list(out.glob(pattern)):
            assert process.poll() is None, "it finished before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.002)
