"""Which images ranges are taken from, and the refusals that keep a bad set from looking like a good model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors.quantization import CalibrationNotFinite, CalibrationSetTooSmall
from edgecnn.quantization.job import BATCH, Job


def calibration_pixels(prepared: Path, images: int) -> npt.NDArray[np.uint8]:
    """``images`` pictures spread evenly over the calibration role, uint8 (images, H, W, 3); the same ones every time.

    Raises CalibrationSetTooSmall: the role holds fewer.
    """
    pixels = np.load(prepared / "calibration.pixels.npy", mmap_mode="r")
    return np.ascontiguousarray(pixels[_places(len(pixels), images)])


def calibration_count(prepared: Path) -> int:
    """Pictures of the calibration role."""
    return len(np.load(prepared / "calibration.labels.npy", mmap_mode="r"))


def calibration_classes(prepared: Path, images: int) -> int:
    """How many classes the pictures of ``calibration_pixels`` are of."""
    labels = np.load(prepared / "calibration.labels.npy")
    return len(np.unique(labels[_places(len(labels), images)]))


def require_finite(logits: npt.NDArray[np.float32], images: int, first: int = 0) -> None:
    """Hold the float network's answers (N, classes) to calibration images ``first`` … to being numbers.

    Raises CalibrationNotFinite: naming the first image, counted from 0, whose answer is not.
    """
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        raise CalibrationNotFinite(image=first + int(broken[0]), images=images)


def require_finite_answers(job: Job, answers: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]) -> None:
    """Hold the float network's answers to all calibration images of a job to being numbers.

    ``answers``: logits of a feed as the job makes it. Raises CalibrationNotFinite: as ``require_finite``.
    """
    for number, feed in enumerate(job.feeds(BATCH)):
        require_finite(answers(feed), len(job.pixels), number * BATCH)


def _places(found: int, asked: int) -> npt.NDArray[np.int64]:
    if found < asked:
        raise CalibrationSetTooSmall(asked=asked, found=found)
    return np.arange(asked, dtype=np.int64) * found // asked
