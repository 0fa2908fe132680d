"""Small programs that run a runtime or its converter in a separate process: a crash of theirs is an error of one candidate."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors.devices import CONVERTER_FAILED
from edgecnn.runner.installing import dropped_path_in
from edgecnn.store.failures import require_room, told_by_system

_MAKING_S, _ANSWERING_S = 1800.0, 600.0
_LAST_LINES = 3


def run_separately(runtime: str, words: list[str], made: Path, candidate: str, *, timeout_s: float = _MAKING_S) -> None:
    """Run a program (its path and its words) ; ``made`` is what it leaves.

    Raises CONVERTER_FAILED: it crashed, did not end in time, or left nothing. OSError: the disk of ``made`` is full.
    """
    program = [sys.executable, "-I", *words]
    try:
        done = subprocess.run(
            program, capture_output=True, encoding="utf-8", errors="replace", timeout=timeout_s, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CONVERTER_FAILED(converter=runtime, candidate=candidate, why=str(error)) from error
    require_room(made.parent)  # a program that wrote half a file may end well
    if done.returncode or not made.exists():
        said = done.stderr.splitlines() or done.stdout.splitlines()  # some converters print their errors on standard output
        shown = [line.strip() for line in said[-_LAST_LINES:]]
        last = " | ".join(filter(None, [*shown, dropped_path_in("\n".join(said))]))
        raise CONVERTER_FAILED(converter=runtime, candidate=candidate, why=last or f"exit status {done.returncode}")


def answers_separately(runtime: str, words: list[str], feed: npt.NDArray[Any], candidate: str) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of a feed, by a program that takes FEED.npy LOGITS.npy after its words. Raises CONVERTER_FAILED."""
    with tempfile.TemporaryDirectory(prefix=f"edgecnn-{runtime}-") as name:
        given, answers = Path(name) / "feed.npy", Path(name) / "logits.npy"
        with told_by_system(given, 4 * feed.size):
            np.save(given, np.ascontiguousarray(feed, np.float32))
        run_separately(runtime, [*words, str(given), str(answers)], answers, candidate, timeout_s=_ANSWERING_S)
        logits: npt.NDArray[np.float32] = np.load(answers)
        return logits
