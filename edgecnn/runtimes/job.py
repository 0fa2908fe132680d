"""What a quantization method is given, whichever runtime it is for, what the ranking of layers is asked, and the images of both:

which ones ranges are taken from, and the refusals that keep a bad set from looking like a good model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt

from edgecnn.errors.graph import CALIBRATION_NOT_FINITE, CALIBRATION_SET_TOO_SMALL
from edgecnn.errors.wording import counted
from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate
from edgecnn.values.layers import RankedLayer
from edgecnn.values.model_file import MODEL_FILE_NAME, ModelFile
from edgecnn.values.preprocessing import Normalization


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
    multi_label: bool = Field(default=False, exclude_if=lambda multi_label: not multi_label)
    """Whether each answer is a probability of its own."""


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
    wide: Mapping[str, float] = field(default_factory=dict)
    """Tensors of the trunk that fp16 cannot hold, with their largest magnitudes: the layers around them stay in fp32."""

    @property
    def half_form(self) -> str:
        """The form of an fp16 file, for ``quantize.json``."""
        mixed = f", with {counted(len(self.wide), 'tensor')} in fp32;" if self.wide else ","
        return f"fp16{mixed} float32 at input and output"

    def describe(self, model: ModelFile) -> None:
        """Write ``model.json`` beside the model's files."""
        (self.out / MODEL_FILE_NAME).write_text(model.to_json(), encoding="utf-8")

    def feed(self, index: int) -> npt.NDArray[Any]:
        """One calibration image, counted from 0: float32 (1, 3, H, W)."""
        return self.normalization.feed(self.pixels[index : index + 1])

    def feeds(self, batch: int = BATCH) -> Iterator[npt.NDArray[Any]]:
        """The calibration images in batches, as the model wants them: float32 (batch, 3, H, W), the last one perhaps smaller."""
        for start in range(0, len(self.pixels), batch):
            yield self.normalization.feed(self.pixels[start : start + batch])


def calibration_pixels(prepared: Path, images: int) -> npt.NDArray[np.uint8]:
    """``images`` pictures spread evenly over the calibration role, uint8 (images, H, W, 3); the same ones every time.

    Raises CALIBRATION_SET_TOO_SMALL: the role holds fewer.
    """
    return evenly(np.load(prepared / "calibration.pixels.npy", mmap_mode="r"), images)


def evenly(pixels: npt.NDArray[np.uint8], images: int) -> npt.NDArray[np.uint8]:
    """``images`` of them. Raises CALIBRATION_SET_TOO_SMALL: there are fewer."""
    return np.ascontiguousarray(pixels[_places(len(pixels), images)])


def calibration_count(prepared: Path) -> int:
    """Pictures of the calibration role."""
    return len(np.load(prepared / "calibration.labels.npy", mmap_mode="r"))


def calibration_classes(prepared: Path, images: int) -> int:
    """How many classes the pictures of ``calibration_pixels`` are of, or how many labels they have among them."""
    labels = np.load(prepared / "calibration.labels.npy")
    shown = labels[_places(len(labels), images)]
    return len(np.unique(shown)) if shown.ndim == 1 else int(shown.any(axis=0).sum())


def require_finite(logits: npt.NDArray[np.float32], images: int, first: int = 0) -> None:
    """Hold the float network's answers (N, classes) to calibration images ``first`` … to being numbers.

    Raises CALIBRATION_NOT_FINITE: naming the first image, counted from 0, whose answer is not.
    """
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        raise CALIBRATION_NOT_FINITE(image=first + int(broken[0]), images=images)


def require_finite_answers(job: Job, answers: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]) -> None:
    """Hold the float network's answers to all calibration images of a job to being numbers.

    ``answers``: logits of a feed as the job makes it. Raises CALIBRATION_NOT_FINITE: as ``require_finite``.
    """
    for number, feed in enumerate(job.feeds(BATCH)):
        require_finite(answers(feed), len(job.pixels), number * BATCH)


def _places(found: int, asked: int) -> npt.NDArray[np.int64]:
    if found < asked:
        raise CALIBRATION_SET_TOO_SMALL(asked=asked, found=found)
    return np.arange(asked, dtype=np.int64) * found // asked
