"""Use a Ray cluster from a separate process, because Ray ends a process that loses its cluster, and prints to its stdout.

The process reads its request from stdin, answers in lines of JSON, and stops when stdin closes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any, BinaryIO, Final

from edgecnn.errors.base import EdgecnnError, error_again
from edgecnn.errors.sweeps import CLUSTER_LOST
from edgecnn.installed import require_packages
from edgecnn.store.store import Store
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.state import LOGS, named_failures
from edgecnn.sweeps.tasks import training_threads_there
from edgecnn.values.stage import Progress

LOG: Final = "cluster.log"
_TO_END_S: Final = 60.0
"""Longest wait for the process to leave the cluster."""
_INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True)
class ClusterProcess:
    """A cluster that makes the stages of a sweep."""

    address: str
    """``ray``, or ``ray://HOST:PORT``."""
    out: Path
    """Folder of the sweep's results."""
    store: Store
    tell: Progress

    def make(self, cells: Sequence[Cell], ready: Callable[[str], None]) -> None:
        """Make the missing stages of builds on the cluster's machines. Ray's output goes to ``logs/cluster.log``.

        ``ready``: called with the name of each build when all its stages are made.

        Raises:
            MissingPackage: Ray is not installed.
            NOT_A_SWEEP_FOLDER: the log cannot be written.
            CLUSTER_UNUSABLE, CLUSTER_TOO_SLOW, CLUSTER_DISCONNECTED, CLUSTER_LOST: the cluster cannot be reached, or is lost.
                Finished stages are in the store.
            EdgecnnError: see ``sweeps.cluster.make_on``.
        """
        require_packages(("ray",), extra="ray", needed_for=f"--on {self.address}")
        log = self.out / LOGS / LOG
        builds = [cell.model_dump_json(by_alias=True) for cell in cells]
        request = {"address": self.address, "out": str(self.out), "store": str(self.store.root), "cells": builds}
        with _process(log) as (stdin, answers):
            with suppress(BrokenPipeError):
                stdin.write(json.dumps(request).encode() + b"\n")
                stdin.flush()
            ended = _relay(answers, self.tell, ready)
        if ended == _INTERRUPTED:
            raise KeyboardInterrupt
        if ended is None:
            raise CLUSTER_LOST(address=self.address, log=log)
        if isinstance(ended, list):
            raise RuntimeError(f"{ended[0]}; its log is {log}")
        if ended:
            raise error_again(ended)


@contextmanager
def _process(log: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Run this module as a separate process for the block, and yield its stdin and stdout."""
    with named_failures(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        stderr = log.open("wb")
    with stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgecnn.sweeps.apart"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            env={**os.environ, "OMP_NUM_THREADS": str(training_threads_there())},
            start_new_session=True,  # only this process receives Ctrl-C, and stops the other one
        )  # fmt: skip
    if process.stdin is None or process.stdout is None:
        raise ValueError("a process without pipes")
    try:
        yield process.stdin, process.stdout
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_TO_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _relay(answers: IO[bytes], tell: Progress, ready: Callable[[str], None]) -> Any:
    """Pass progress on until the process ends. Return its final answer, or None if it ended without an answer."""
    hearers: Mapping[str, Callable[..., None]] = {"step": tell.step, "note": tell.note, "ready": ready}
    for line in answers:
        how, *details = json.loads(line)
        if how == "ended":
            return details[0]
        hearers[how](*details)
    return None


class _PipeProgress:
    """Progress that is written to the parent process."""

    def __init__(self, to: BinaryIO) -> None:
        self._to = to

    def say(self, *words: Any) -> None:
        """Write one line, unless the parent process is gone."""
        with suppress(BrokenPipeError):
            self._to.write(json.dumps(words).encode() + b"\n")
            self._to.flush()

    def ready(self, name: str) -> None:
        """Report a build whose stages are all made."""
        self.say("ready", name)

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Pass the step on."""
        self.say("step", what, done, total, unit)

    def note(self, text: str) -> None:
        """Pass the note on."""
        self.say("note", text)


def _interrupt_at_end(stream: BinaryIO) -> None:
    """Interrupt this process when the parent closes the stream or ends."""
    stream.read()
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Run the request from stdin."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a script ignores SIGINT
    to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # all other output goes to the log
    request = json.loads(sys.stdin.buffer.readline())
    Thread(target=_interrupt_at_end, args=(sys.stdin.buffer,), daemon=True).start()
    from edgecnn.sweeps.cluster import make_on

    ended: Any = {}
    progress = _PipeProgress(to)
    try:
        cells = [Cell.model_validate_json(text) for text in request["cells"]]
        make_on(request["address"], cells, Path(request["out"]), Store.open(Path(request["store"])), progress)
    except EdgecnnError as error:
        ended = error.kept()
    except KeyboardInterrupt:
        ended = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the parent process raises it again
        traceback.print_exc()
        ended = [f"{type(error).__name__}: {error}"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent closes the stream on this answer
    progress.say("ended", ended)
    os._exit(0)  # a normal exit would wait for the thread that reads stdin


if __name__ == "__main__":
    main()
