"""A child process that a test talks to: it hears Ctrl-C however the tests were started, and never outlives its test."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def hear_ctrl_c() -> None:
    """In a child, before its program begins: a job in the background is deaf to SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def child(command: Sequence[str], *, piped: bool = True, **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """Started, and killed where it still runs at the end: leaving ``Popen`` would wait for it, for ever where a test failed.

    Args:
        command: program and words.
        piped: whether stdout and stderr are pipes that the test reads; otherwise they are the test's own.
        settings: further ones of ``subprocess.Popen``.
    """
    pipe = subprocess.PIPE if piped else None
    given = {"stdout": pipe, "stderr": pipe, "text": True, **settings}
    with subprocess.Popen(command, **given, preexec_fn=hear_ctrl_c) as process:
        try:
            yield process
        finally:
            process.kill()
