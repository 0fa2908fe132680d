"""Torch on the CPU of this machine, for the golden logits of a program that a GPU will run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edgecnn.graph.export import fixed_threads
from edgecnn.values.model_file import ModelFile


def run(folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (N, classes) of a feed as the model wants it."""
    network = torch.export.load(folder / model.model.entry).module()
    with torch.inference_mode(), fixed_threads():
        return np.asarray(network(torch.from_numpy(feed)).numpy(), np.float32)
