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
def child(command: Sequence[str], **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """Started, and killed where it still runs at the end: leaving ``Popen`` would wait for it, for ever where a test failed.

    Args:
        command: program and words.
        settings: further ones of ``subprocess.Popen``; stdout and stderr are pipes of text unless told.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **{**pipes, **settings}, preexec_fn=hear_ctrl_c) as process:
        try:
            yield process
        finally:
            process.kill()
