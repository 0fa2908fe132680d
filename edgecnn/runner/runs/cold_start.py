"""How long a process takes from being started to its first answer, as somebody feels who switches a device on.

It covers what an embedding program pays too: the interpreter, imports, comparing the kit's files with their hashes, decoding a
picture, opening the model and one inference. What only a measurement does meanwhile is timed and left out.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import Dict, Iterator, Mapping, Optional

SPAWNED = "EDGECNN_SPAWNED_NS"
"""Variable of a worker: its parent's monotonic clock just before the process was started. That clock is the whole machine's."""


def spawned_now() -> Dict[str, str]:
    """The variable, for a process that is started at once."""
    return {SPAWNED: str(time.monotonic_ns())}


class ColdStart:
    """Begins where this process's parent started it."""

    def __init__(self, environ: Optional[Mapping[str, str]] = None) -> None:
        text = (os.environ if environ is None else environ).get(SPAWNED, "")
        self._spawned_ns = int(text) if text.isdigit() else None
        self._aside_ns = 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Around what a program that only wants answers would not do."""
        begin = time.monotonic_ns()
        try:
            yield
        finally:
            self._aside_ns += time.monotonic_ns() - begin

    def answered(self) -> Optional[int]:
        """Nanoseconds since the start, to be asked right after the first answer; None where nobody said when that was."""
        if self._spawned_ns is None:
            return None
        return time.monotonic_ns() - self._spawned_ns - self._aside_ns
