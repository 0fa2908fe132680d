"""End a process together with its caller, so that a board does not continue after its host disconnects."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def hold_lease(lease_s: float) -> None:
    """Kill this process, and its group if it leads one, when standard input closes or stays silent for ``lease_s`` seconds.

    Each byte on standard input renews the lease. On Linux the kernel also kills the process when its parent dies, which
    holds even while foreign code keeps Python's lock.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(sys.stdin.fileno(), lease_s), name="lease", daemon=True).start()


def _watch(stream: int, lease_s: float) -> None:
    while select.select([stream], [], [], lease_s)[0]:
        if not os.read(stream, 4096):
            break
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
