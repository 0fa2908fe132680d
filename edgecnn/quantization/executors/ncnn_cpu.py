"""ncnn, for golden logits: by a small program in the environment that holds it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors.devices import ConverterFailed
from edgecnn.runner.interpreters import own_python
from edgecnn.values.model_file import ModelFile

_PROGRAM = Path(__file__).with_name("ncnn_program.py")
_TIMEOUT_S = 600.0


def run(folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of a feed as the model wants it.

    Raises ConverterFailed: ncnn does not open what was made for it, or crashes over it.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-ncnn-") as name:
        given, answers = Path(name) / "feed.npy", Path(name) / "logits.npy"
        np.save(given, np.ascontiguousarray(feed, np.float32))
        weights = next(each for each in model.model.files if each != model.model.entry)
        files = [str(folder / model.model.entry), str(folder / weights)]
        ends = [model.model.input.name, model.model.output.name]
        words = [own_python("ncnn") or sys.executable, "-I", str(_PROGRAM), *files, *ends, str(given), str(answers)]
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConverterFailed(converter="ncnn", candidate=folder.name, why=str(error)) from error
        if done.returncode or not answers.is_file():
            last = " | ".join(line.strip() for line in done.stderr.splitlines()[-3:])
            raise ConverterFailed(converter="ncnn", candidate=folder.name, why=last or f"exit status {done.returncode}")
        logits: npt.NDArray[np.float32] = np.load(answers)
        return logits
