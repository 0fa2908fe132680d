"""OpenVINO, for golden logits and for the float network's answers to calibration images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.openvino import import_openvino
from edgecnn.values.model_file import ModelFile


def run(folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of a feed as the model wants it."""
    return logits_of(import_openvino().Core().read_model(folder / model.model.entry), feed, model.session.options)


def logits_of(model: Any, feed: npt.NDArray[Any], options: Mapping[str, str]) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of an ``openvino.Model``, one image at a time; ``options`` are properties of the CPU plugin."""
    compiled = import_openvino().Core().compile_model(model, "CPU", dict(options))
    request = compiled.create_infer_request()
    answers = []
    for index in range(len(feed)):
        request.infer({0: feed[index : index + 1]})
        answers.append(request.get_output_tensor(0).data.astype(np.float32, copy=True))
    return np.concatenate(answers)
