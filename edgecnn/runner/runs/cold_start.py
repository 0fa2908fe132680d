"""The time from the start of a process to its first logits, as after switching a device on.

It covers the work of any program with a kit: the interpreter, imports, verifying the kit's files, decoding an image, opening the
model and one inference. The extra work of a measurement is timed and subtracted.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import Dict, Iterator, Mapping, Optional

SPAWNED = "EDGECNN_SPAWNED_NS"
"""Environment variable of a worker: the monotonic clock just before its start. All processes of a machine share this clock."""


def spawned_now() -> Dict[str, str]:
    """Return the variable for a process that starts now."""
    return {SPAWNED: str(time.monotonic_ns())}


class ColdStart:
    """The time since this process's parent started it."""

    def __init__(self, environ: Optional[Mapping[str, str]] = None) -> None:
        text = (os.environ if environ is None else environ).get(SPAWNED, "")
        self._spawned_ns = int(text) if text.isdigit() else None
        self._aside_ns = 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Exclude the enclosed work, which only a measurement does."""
        begin = time.monotonic_ns()
        try:
            yield
        finally:
            self._aside_ns += time.monotonic_ns() - begin

    def answered(self) -> Optional[int]:
        """Return the nanoseconds since the start, right after the first logits; None if the start is not known."""
        if self._spawned_ns is None:
            return None
        return time.monotonic_ns() - self._spawned_ns - self._aside_ns
