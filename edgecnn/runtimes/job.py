"""The inputs of every quantization method and of the ranking of layers: settings, calibration images, and their checks."""

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
    """Settings of the rank stage. Every field enters its key."""

    images: PositiveInt
    """Number of calibration images, for the ranges."""
    probes: PositiveInt = 32
    """Validation images on which damage is measured, spread evenly; all images if there are fewer. Divergence is averaged over
    probabilities instead of counted in wrong predictions, so a few images give the same ranking as many."""
    reduced_range: bool = False
    """7-bit weights, as in the candidates that the ranking is for."""
    normalization: Normalization
    multi_label: bool = Field(default=False, exclude_if=lambda multi_label: not multi_label)
    """Whether each logit is a separate probability."""


BATCH = 16
"""Calibration images in one call. Ranges are extremes, so they do not depend on the grouping."""


@dataclass(frozen=True)
class Job:
    """A candidate to make. ``pixels``: the calibration images, uint8 (N, H, W, 3), already chosen and checked."""

    onnx: Path
    out: Path
    candidate: Candidate
    normalization: Normalization
    pixels: npt.NDArray[np.uint8]
    kept: tuple[RankedLayer, ...] = ()
    """Layers of the trunk that stay in float."""
    wide: Mapping[str, float] = field(default_factory=dict)
    """Tensors of the trunk that exceed fp16's range, with their largest magnitudes. The layers around them stay in fp32."""

    @property
    def half_form(self) -> str:
        """Describe an fp16 file, for ``quantize.json``."""
        exceptions = f", with {counted(len(self.wide), 'tensor')} in fp32;" if self.wide else ","
        return f"fp16{exceptions} float32 at input and output"

    def write_model_file(self, model: ModelFile) -> None:
        """Write ``model.json`` next to the model's files."""
        (self.out / MODEL_FILE_NAME).write_text(model.to_json(), encoding="utf-8")

    def feed(self, index: int) -> npt.NDArray[Any]:
        """Return one calibration image, float32 (1, 3, H, W)."""
        return self.normalization.feed(self.pixels[index : index + 1])

    def feeds(self, batch: int = BATCH) -> Iterator[npt.NDArray[Any]]:
        """Yield the calibration images in batches, float32 (batch, 3, H, W). The last batch may be smaller."""
        for start in range(0, len(self.pixels), batch):
            yield self.normalization.feed(self.pixels[start : start + batch])


def calibration_pixels(prepared: Path, images: int) -> npt.NDArray[np.uint8]:
    """Return ``images`` images spread evenly over the calibration role, uint8 (images, H, W, 3); the same images every time.

    Raises CALIBRATION_SET_TOO_SMALL: the role has fewer images.
    """
    return choose_evenly(np.load(prepared / "calibration.pixels.npy", mmap_mode="r"), images)


def choose_evenly(pixels: npt.NDArray[np.uint8], images: int) -> npt.NDArray[np.uint8]:
    """Return ``images`` images spread evenly over ``pixels``. Raises CALIBRATION_SET_TOO_SMALL: there are fewer."""
    return np.ascontiguousarray(pixels[_even_indices(len(pixels), images)])


def calibration_count(prepared: Path) -> int:
    """Count the images of the calibration role."""
    return len(np.load(prepared / "calibration.labels.npy", mmap_mode="r"))


def calibration_classes(prepared: Path, images: int) -> int:
    """Count the classes, or the labels, of the images of ``calibration_pixels``."""
    labels = np.load(prepared / "calibration.labels.npy")
    shown = labels[_even_indices(len(labels), images)]
    return len(np.unique(shown)) if shown.ndim == 1 else int(shown.any(axis=0).sum())


def require_finite(logits: npt.NDArray[np.float32], images: int, first: int = 0) -> None:
    """Check that the float network's logits (N, classes) are finite. ``first``: the index of their first calibration image.

    Raises CALIBRATION_NOT_FINITE: names the first image, counted from 0, with other logits.
    """
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        raise CALIBRATION_NOT_FINITE(image=first + int(broken[0]), images=images)


def require_finite_on_calibration(job: Job, answers: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]) -> None:
    """Check that the float network's logits of all calibration images are finite.

    ``answers``: a function from a feed of the job to logits. Raises CALIBRATION_NOT_FINITE: see ``require_finite``.
    """
    for number, feed in enumerate(job.feeds(BATCH)):
        require_finite(answers(feed), len(job.pixels), number * BATCH)


def _even_indices(available: int, images: int) -> npt.NDArray[np.int64]:
    if available < images:
        raise CALIBRATION_SET_TOO_SMALL(asked=images, found=available)
    return np.arange(images, dtype=np.int64) * available // images
