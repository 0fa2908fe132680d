"""What a quantization method is given, whichever runtime it is for, and what the ranking of layers is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate
from edgecnn.values.dataset import Normalization
from edgecnn.values.layers import RankedLayer


class RankSettings(Value):
    """Of the rank stage. Every field enters its key."""

    images: PositiveInt
    """Calibration images, for the ranges."""
    probes: PositiveInt = 32
    """Images of the validation role on which damage is measured, spread evenly; all of them where there are fewer. Divergence is
    averaged over probabilities, not counted in wrong answers: few images rank as many do."""
    reduced_range: bool = False
    """7-bit weights, as the candidates have them that this is for."""
    normalization: Normalization


BATCH = 16
"""Calibration images that are fed at once: ranges are extremes, which do not depend on how images are grouped."""


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
        return self.normalization.feed(self.pixels[index : index + 1])

    def feeds(self, batch: int = BATCH) -> Iterator[npt.NDArray[Any]]:
        """The calibration images in batches, as the model wants them: float32 (batch, 3, H, W), the last one perhaps smaller."""
        for start in range(0, len(self.pixels), batch):
            yield self.normalization.feed(self.pixels[start : start + batch])
