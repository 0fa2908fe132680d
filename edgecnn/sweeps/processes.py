"""The processes of a sweep: each build is a separate process with a command line that a person could type, and a log."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Semaphore
from typing import Final

from edgecnn.devices.leases import Lease
from edgecnn.errors.base import KEPT_IN, EdgecnnError, ExitCode, error_again
from edgecnn.runner.runs.schedule import kill_group
from edgecnn.sweeps.boards import Ended, words_of
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.state import LOGS, build_folder, usable
from edgecnn.training.settings import training_threads

MAKE: Final = "package"
"""The verb that makes kits and measures nothing."""
INTERRUPTED: Final = (ExitCode.INTERRUPTED, -signal.SIGINT)
"""Exit codes of an interrupted build."""
_TO_END_S: Final = 60.0
"""Time that an interrupted build has to save its work."""
_LOOK_S: Final = 1.0
_JOB_VARIABLES: Final = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")
"""Variables by which a build would report to a CI job; the sweep reports once for all builds."""
_ENDS_WITH_PARENT: Final = (
    "import ctypes, os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); ctypes.CDLL(None).prctl(1, signal.SIGINT); "
    "os.execv(sys.executable, [sys.executable, '-m', 'edgecnn', *sys.argv[1:]])"
)
"""prctl(2), PR_SET_PDEATHSIG: a killed sweep interrupts its builds. The setting survives exec, and works in background jobs
too."""
_COMMAND: Final = ("-c", _ENDS_WITH_PARENT) if sys.platform.startswith("linux") else ("-m", "edgecnn")


@dataclass
class Children:
    """Running builds, each a process in a separate session, so that Ctrl-C reaches it only once, from here."""

    out: Path
    jobs: int = 1
    """Number of processes that make kits at the same time."""
    threads: int | None = None
    """Threads of trainings on a cluster; None: the threads of this machine."""
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._making = Semaphore(self.jobs)

    def run(self, verb: str, cell: Cell, threads: int | None = None, lease: Lease | None = None) -> Ended:
        """Run a verb of one build to its end, with its output in the build's log.

        ``lease``: of the board that measures it. Raises BoardTaken, CoordinatorUnreachable: the lease was lost, and the build
        has ended.
        """
        if self.stopped.is_set():
            return Ended(ExitCode.INTERRUPTED)
        host = words_of(lease.board) if lease else () if cell.host is None or verb == MAKE else ("--host", cell.host)
        return self.start([verb, *cell.words, *host, "--out", str(build_folder(self.out, cell.name))], cell, threads, lease)

    def make(self, cell: Cell) -> Ended:
        """Make a build's kits with its share of the cores; at most ``jobs`` builds at the same time."""
        with self._making:
            return self.run(MAKE, cell, max(1, training_threads() // self.jobs))

    def start(self, words: Sequence[str], cell: Cell, threads: int | None = None, lease: Lease | None = None) -> Ended:
        """Run any command for the build, as ``run`` does. Raises NOT_A_SWEEP_FOLDER: its log cannot be written."""
        inherited = {name: value for name, value in os.environ.items() if name not in _JOB_VARIABLES}
        threads = self.threads or threads
        own = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        with usable(path := log_of(self.out, cell.name)):
            log = path.open("ab")
        with log, tempfile.TemporaryDirectory(prefix="edgecnn-ended-") as folder:
            file = Path(folder) / "error.json"
            log.write(f"$ {shlex.join(['edgecnn', *words])}\n".encode())
            log.flush()
            child = subprocess.Popen(  # noqa: S603 - words of the sweep's own cells
                [sys.executable, *_COMMAND, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**inherited, **own, KEPT_IN: str(file)}, start_new_session=True,
            )  # fmt: skip
            self.running.add(child)
            if self.stopped.is_set():  # in the meantime
                child.send_signal(signal.SIGINT)
            try:
                code = child.wait() if lease is None else _under(lease, child)
                return Ended(code, _error_in(file))
            finally:
                if child.poll() is not None:
                    self.running.discard(child)

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Stop every build at the end of the block; a stopped build keeps what it finished."""
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Interrupt running builds, like Ctrl-C, and wait until they have saved their work."""
        self.stopped.set()
        _interrupt(list(self.running))


def _interrupt(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
    end = time.monotonic() + _TO_END_S
    for child in children:
        try:
            child.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill_group(child)  # with its children: it leads a session


def _under(lease: Lease, child: subprocess.Popen[bytes]) -> int:
    """Wait for the process. Any error ends the build first, and only then is the board released."""
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(_LOOK_S)
            if (error := lease.lost()) is not None:
                raise error
    except BaseException:
        _interrupt([child])
        raise


def log_of(out: Path, name: str) -> Path:
    """Path of a build's log."""
    return out / LOGS / f"{name}.log"


def ending_of(ended: Ended, log: Path) -> str:
    """Why a build left no report: its error, the signal that ended it, or its exit code and log."""
    if ended.error is not None:
        return ended.error.line()
    if ended.code < 0:
        return f"ended by {signal.Signals(-ended.code).name}; it was killed, for example because memory ran out"
    how = "interrupted" if ended.code == ExitCode.INTERRUPTED else f"exit {ended.code}"
    return f"{how}; its log is {log}"


def _error_in(file: Path) -> EdgecnnError | None:
    try:
        return error_again(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError):  # it succeeded, or was killed before it could write its error
        return None
