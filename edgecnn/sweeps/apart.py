"""What talks to a cluster has a process of its own: Ray ends a process whose cluster went away, and prints where it likes.

The process is told what to do on its standard input, whose end ends it, and answers in lines of JSON.
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
from edgecnn.errors.sweeps import CLUSTER_UNUSABLE
from edgecnn.installed import require_packages
from edgecnn.store.store import Store
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.state import LOGS, usable
from edgecnn.sweeps.tasks import training_threads_there
from edgecnn.values.stage import Progress

LOG: Final = "cluster.log"
GO_ON: Final = "the same command goes on from what is finished"
_TO_END_S: Final = 60.0
"""That it has to let go of the cluster."""
_INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True)
class Elsewhere:
    """A cluster that makes the stages of a sweep, and what it needs to know of it."""

    address: str
    """``ray``, or ``ray://HOST:PORT``."""
    out: Path
    """Folder of the sweep's results."""
    store: Store
    tell: Progress

    def make(self, cells: Sequence[Cell], ready: Callable[[str], None]) -> None:
        """Make what these builds lack on the cluster's machines; what Ray says goes to ``logs/cluster.log``.

        ``ready``: called with the name of each build when all of it is made.

        Raises:
            MissingPackage: Ray is not installed.
            NOT_A_SWEEP_FOLDER: the log cannot be written.
            CLUSTER_UNUSABLE: it cannot be reached, or went away. What was finished is in the store.
            EdgecnnError: as ``sweeps.cluster.make_on`` raises.
        """
        require_packages(("ray",), extra="ray", needed_for=f"--on {self.address}")
        log = self.out / LOGS / LOG
        builds = [cell.model_dump_json(by_alias=True) for cell in cells]
        asked = {"address": self.address, "out": str(self.out), "store": str(self.store.root), "cells": builds}
        with _process(log) as (given, answers):
            with suppress(BrokenPipeError):
                given.write(json.dumps(asked).encode() + b"\n")
                given.flush()
            ended = _heard(answers, self.tell, ready)
        if ended == _INTERRUPTED:
            raise KeyboardInterrupt
        if ended is None:
            raise CLUSTER_UNUSABLE(address=self.address, because=f"it went away, as {log} says", hint=GO_ON)
        if isinstance(ended, list):
            raise RuntimeError(f"{ended[0]}, as {log} says")
        if ended:
            raise error_again(ended)


@contextmanager
def _process(log: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """This module as a process of its own, and the pipes to and from it; it ends with the block."""
    with usable(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        said = log.open("wb")
    with said:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgecnn.sweeps.apart"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
            env={**os.environ, "OMP_NUM_THREADS": str(training_threads_there())},
            start_new_session=True,  # Ctrl-C is for this process, which ends the other in order
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


def _heard(answers: IO[bytes], tell: Progress, ready: Callable[[str], None]) -> Any:
    """Hand on what the other process tells, to its end: what stopped it, if anything did; None where it ended without a word."""
    hearers: Mapping[str, Callable[..., None]] = {"step": tell.step, "note": tell.note, "ready": ready}
    for line in answers:
        how, *said = json.loads(line)
        if how == "ended":
            return said[0]
        hearers[how](*said)
    return None


class _Told:
    """Progress that the other process shows."""

    def __init__(self, to: BinaryIO) -> None:
        self._to = to

    def say(self, *words: Any) -> None:
        """One line. Nobody may be there to hear it any more."""
        with suppress(BrokenPipeError):
            self._to.write(json.dumps(words).encode() + b"\n")
            self._to.flush()

    def ready(self, name: str) -> None:
        """Of this build nothing more will be made."""
        self.say("ready", name)

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Hand on."""
        self.say("step", what, done, total, unit)

    def note(self, text: str) -> None:
        """Hand on."""
        self.say("note", text)


def _ended_with(stream: BinaryIO) -> None:
    """Interrupt this process when whoever began it closes the stream, or is gone."""
    stream.read()
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Do as standard input says."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job of a script does not hear
    to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints goes to the log
    asked = json.loads(sys.stdin.buffer.readline())
    Thread(target=_ended_with, args=(sys.stdin.buffer,), daemon=True).start()
    from edgecnn.sweeps.cluster import make_on

    ended: Any = {}
    told = _Told(to)
    try:
        cells = [Cell.model_validate_json(each) for each in asked["cells"]]
        make_on(asked["address"], cells, Path(asked["out"]), Store.open(Path(asked["store"])), told)
    except EdgecnnError as error:
        ended = error.kept()
    except KeyboardInterrupt:
        ended = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - raised again where somebody sees it
        traceback.print_exc()
        ended = [f"{type(error).__name__}: {error}"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever hears this closes the stream
    told.say("ended", ended)
    os._exit(0)  # a thread waits for standard input, which the interpreter's own end does not bear


if __name__ == "__main__":
    main()
