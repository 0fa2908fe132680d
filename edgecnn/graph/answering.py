"""The answers of an ONNX classifier to feeds, in ONNX Runtime on the processor."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from scipy.special import softmax


def probabilities(path: Path, feeds: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Softmax of the trunk's logits, (images, classes).

    Args:
        path: of a trunk: one input, one output.
        feeds: (n, 3, H, W), a batch each; at least one.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [np.asarray(session.run(None, {name: feed})[0], np.float64) for feed in feeds]
    return np.asarray(softmax(np.concatenate(parts), axis=1))
