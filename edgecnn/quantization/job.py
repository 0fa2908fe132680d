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
from edgecnn.values.dataset import Normalization
from edgecnn.values.layers import RankedLayer


@dataclass(frozen=True)
class Job:
    """One candidate to make. ``pixels`` are the calibration images, uint8 (N, H, W, 3), already chosen and checked."""

    onnx: Path
    out: Path
    candidate: Candidate
    normalization: Normalization
    pixels: npt.NDArray[np.uint8]
    kept: tuple[RankedLayer, ...] = ()
    """Layers of the trunk that stay in float."""

    def feed(self, index: int) -> npt.NDArray[Any]:
        """One calibration image, counted from 0: float32 (1, 3, H, W)."""
        return self._fed(self.pixels[index : index + 1])

    def feeds(self, batch: int = 1) -> Iterator[npt.NDArray[Any]]:
        """The calibration images in batches, as the model wants them: float32 (batch, 3, H, W), the last one perhaps smaller."""
        for start in range(0, len(self.pixels), batch):
            yield self._fed(self.pixels[start : start + batch])

    def _fed(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        return to_feed(pixels, "float32", "NCHW", self.normalization.mean, self.normalization.std)
