"""ncnn, for golden logits: by a small program in a separate process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.separate_process import answers_separately
from edgecnn.values.model_file import ModelFile

_PROGRAM = Path(__file__).with_name("ncnn_program.py")


def run(folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of a feed as the model wants it.

    Raises ConverterFailed: ncnn does not open what was made for it, or crashes over it.
    """
    weights = next(each for each in model.model.files if each != model.model.entry)
    files = [str(folder / model.model.entry), str(folder / weights)]
    return answers_separately("ncnn", [str(_PROGRAM), *files, model.model.input.name, model.model.output.name], feed, folder.name)
