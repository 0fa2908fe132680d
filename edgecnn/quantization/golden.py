"""What a candidate answers to the golden images, and the proof that these answers tell a wrong picture from a right one.

A self-test that swapped colour channels would pass is no test: the answers are refused then.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edgecnn.errors.quantization import GoldenNotTelling
from edgecnn.runner.pixels import to_feed
from edgecnn.values.model_file import MODEL_FILE_NAME, ModelFile
from edgecnn.values.preprocessing import Normalization

TWIN_FOLDER = "twin"
"""Where a candidate that this machine cannot run leaves the model that answers for it."""


def golden_logits(made: Path, prepared: Path, normalization: Normalization, candidate: str) -> npt.NDArray[np.float32]:
    """Logits (G, classes) of the golden images, from the model in ``made``, or from its twin where there is one.

    Raises:
        GoldenNotTelling: the answers to the same images with red and blue swapped lie inside the self-test's tolerance.
    """
    folder = made / TWIN_FOLDER if (made / TWIN_FOLDER).is_dir() else made
    model = ModelFile.model_validate_json((folder / MODEL_FILE_NAME).read_text(encoding="utf-8"))
    pixels = np.load(prepared / "golden" / "pixels.npy")
    logits = _answers(folder, model, pixels, normalization)
    difference = float(np.max(np.abs(_answers(folder, model, pixels[..., ::-1], normalization) - logits)))
    allowed = model.logits_tolerance * float(logits.max() - logits.min())
    if not difference > allowed:
        raise GoldenNotTelling(candidate=candidate, difference=difference, allowed=allowed)
    return logits


def _answers(
    folder: Path, model: ModelFile, pixels: npt.NDArray[np.uint8], normalization: Normalization
) -> npt.NDArray[np.float32]:
    wants = model.model.input
    feed = to_feed(pixels, wants.dtype, wants.layout, normalization.mean, normalization.std)
    executor: Any = import_module(f"edgecnn.quantization.executors.{model.session.module}")
    return cast("npt.NDArray[np.float32]", executor.run(folder, model, feed))
