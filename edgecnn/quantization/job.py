"""What a quantization method is given, whichever runtime it is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.runner.pixels import to_feed
from edgecnn.values.candidate import Candidate
from edgecnn.values.preprocessing import Normalization


@dataclass(frozen=True)
class Job:
    """One candidate to make. ``pixels`` are the calibration images, uint8 (N, H, W, 3), already chosen and checked."""

    onnx: Path
    out: Path
    candidate: Candidate
    normalization: Normalization
    pixels: npt.NDArray[np.uint8]

    def feeds(self) -> Iterator[npt.NDArray[Any]]:
        """The calibration images one by one, as the model wants them: float32 (1, 3, H, W)."""
        for index in range(len(self.pixels)):
            yield to_feed(self.pixels[index : index + 1], "float32", "NCHW", self.normalization.mean, self.normalization.std)
