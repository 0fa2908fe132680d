"""What talks to a cluster has a process of its own: Ray ends a process whose cluster went away, and prints where it likes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from edgecnn.backends.installed import require_packages
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import ClusterUnusable
from edgecnn.store.store import Store
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.state import LOGS
from edgecnn.values.stage import Progress

LOG: Final = "cluster.log"
_TO_END_S: Final = 60.0
"""That it has to let go of the cluster."""
_GONE: Final = EOFError()
GO_ON: Final = "the same command goes on from what is finished"


def make_apart(address: str, cells: Sequence[Cell], out: Path, store: Store, tell: Progress) -> None:
    """Make what these builds lack on the machines of a cluster; what Ray says goes to ``logs/cluster.log``.

    ``address``: ``ray``, or ``ray://HOST:PORT``. ``out``: folder of the sweep's results.

    Raises:
        MissingPackage: Ray is not installed.
        ClusterUnusable: it cannot be reached, or went away. What was finished is in the store.
        EdgecnnError: as ``sweeps.cluster.make_on`` raises.
    """
    require_packages(("ray",), extra="ray", needed_for=f"--on {address}")
    (out / LOGS).mkdir(parents=True, exist_ok=True)
    log = out / LOGS / LOG
    context = get_context("spawn")
    ours, its = context.Pipe(duplex=False)
    process = context.Process(target=_there, args=(its, log, (address, tuple(cells), out, store.root)))
    process.start()
    its.close()
    try:
        ended = _heard(ours, tell)
    finally:
        if process.is_alive() and process.pid is not None and sys.exc_info()[0] is not None:
            os.kill(process.pid, signal.SIGINT)
        process.join(_TO_END_S)
        process.kill()
    if ended is _GONE:
        raise ClusterUnusable(address=address, because=f"it went away, as {log} says", hint=GO_ON)
    if ended is not None:
        raise ended


def _heard(ours: Connection, tell: Progress) -> BaseException | None:
    """Show what the other process tells, to its end: what it raised, None, or ``_GONE`` where it ended without a word."""
    with suppress(EOFError):
        while True:
            how, *said = ours.recv()
            if how == "ended":
                found: BaseException | None = said[0]
                return found
            getattr(tell, how)(*said)
    return _GONE


def _there(to: Connection, log: Path, asked: tuple[str, Sequence[Cell], Path, Path]) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG: a sweep that is killed takes it along
    with log.open("wb") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
    from edgecnn.sweeps.cluster import make_on

    address, cells, out, root = asked
    ended: BaseException | None = None
    try:
        make_on(address, cells, out, Store.open(root), _Told(to))
    except (EdgecnnError, KeyboardInterrupt) as error:
        ended = error
    with suppress(BrokenPipeError):
        to.send(("ended", ended))


class _Told:
    """Progress that the other process shows."""

    def __init__(self, to: Connection) -> None:
        self._to = to

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Send it on. Raises BrokenPipeError: nobody is there any more."""
        self._to.send(("step", what, done, total, unit))

    def note(self, text: str) -> None:
        """Send it on. Raises BrokenPipeError: nobody is there any more."""
        self._to.send(("note", text))
