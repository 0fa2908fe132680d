"""ONNX Runtime, for golden logits and for the float network's answers to calibration images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.operators import operators_named
from edgecnn.graph.checks import logits, session_of
from edgecnn.values.candidate import Runtime
from edgecnn.values.model_file import ModelFile


def run(folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of a feed as the model wants it."""
    return logits_of(folder / model.model.entry, feed, model.session.options)


def logits_of(path: Path | bytes, feed: npt.NDArray[Any], options: Mapping[str, str] | None = None) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of an ONNX file, or of one in memory; ``options`` are session configuration entries (``session.…``).

    Raises OperatorMissing: ONNX Runtime lacks one of its operators.
    """
    with operators_named(path, Runtime.ONNXRUNTIME):
        session = session_of(path, entries=options)
    return logits(session, feed)
