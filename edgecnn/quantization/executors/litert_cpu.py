"""LiteRT, for golden logits: by a small program in a separate process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.litert import PROGRAM
from edgecnn.backends.separate_process import answers_separately
from edgecnn.values.candidate import Runtime
from edgecnn.values.model_file import ModelFile


def run(folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of a feed as the model wants it. Raises ConverterFailed: LiteRT does not open the file."""
    return logits_of(folder / model.model.entry, feed, folder.name)


def logits_of(path: Path, feed: npt.NDArray[Any], candidate: str) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of a ``.tflite`` file, of a feed (N, H, W, 3). Raises ConverterFailed: as ``run``."""
    return answers_separately(Runtime.LITERT, [PROGRAM, "answer", str(path)], feed, candidate)
