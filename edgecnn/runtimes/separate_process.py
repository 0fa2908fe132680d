"""Run a runtime or its converter in a separate process, so that a crash is an error of one candidate."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors.devices import CONVERTER_FAILED
from edgecnn.runner.packages import dropped_path_in
from edgecnn.store.failures import prefer_system_error, require_room

CONVERSION_TIMEOUT_S, INFERENCE_TIMEOUT_S = 1800.0, 600.0
"""Time-outs of a converter and of a run over images. pnnx has its own: ``runtimes.ncnn.PNNX_TIMEOUT_S``."""


def run_separately(
    runtime: str, words: list[str], made: Path, candidate: str, *, timeout_s: float = CONVERSION_TIMEOUT_S
) -> None:
    """Run a Python program. ``words``: its path and arguments. ``made``: the file that it writes.

    Raises CONVERTER_FAILED: the program crashed, timed out, or wrote no file. OSError: the disk of ``made`` is full.
    """
    program = [sys.executable, "-I", *words]
    try:
        process = subprocess.run(
            program, capture_output=True, encoding="utf-8", errors="replace", timeout=timeout_s, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CONVERTER_FAILED(converter=runtime, candidate=candidate, why=str(error)) from error
    require_room(made.parent)  # a program that wrote half a file may report no error
    if process.returncode or not made.exists():
        lines = process.stderr.splitlines() or process.stdout.splitlines()  # some converters print errors on standard output
        shown = [line.strip() for line in lines[-3:]]
        last = " | ".join(filter(None, [*shown, dropped_path_in("\n".join(lines))]))
        raise CONVERTER_FAILED(converter=runtime, candidate=candidate, why=last or f"exit status {process.returncode}")


def logits_separately(runtime: str, words: list[str], feed: npt.NDArray[Any], candidate: str) -> npt.NDArray[np.float32]:
    """Return the logits (N, classes) of a feed, by a program whose last arguments are FEED.npy LOGITS.npy.

    Raises CONVERTER_FAILED: see ``run_separately``.
    """
    with tempfile.TemporaryDirectory(prefix=f"edgecnn-{runtime}-") as name:
        inputs, answers = Path(name) / "feed.npy", Path(name) / "logits.npy"
        with prefer_system_error(inputs, 4 * feed.size):
            np.save(inputs, np.ascontiguousarray(feed, np.float32))
        run_separately(runtime, [*words, str(inputs), str(answers)], answers, candidate, timeout_s=INFERENCE_TIMEOUT_S)
        logits: npt.NDArray[np.float32] = np.load(answers)
        return logits
