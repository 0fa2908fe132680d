"""Compare calibration images with validation images, by channel.

INT8 ranges fit the images that they are computed from: ranges from darker images, or from one class, clip the rest. The unit is
the image, because pixels of one image are correlated. A difference is reported under two conditions. Chance must not explain it:
Welch's statistic exceeds its bound, and all nine comparisons together are wrong once in a hundred sets. And it must be at least a
quarter of the spread between images, because with ten thousand images even differences without any effect are significant.

Of 2,000 stratified draws of Fashion-MNIST, 0.3 % were reported with 20 images and none with 300. Of its ten classes, each used
alone, all but Shirt were reported.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import two_sided_z
from edgecnn.values.figures import ChannelShift

LEAST_IMAGES = 20
"""Least images on either side; with fewer, the spread is too uncertain for a comparison."""
WRONG_AT_MOST = 0.01
"""Share of sets drawn from the same images that would be reported by chance, without ``LEAST_SPREADS``."""
LEAST_SPREADS = 0.25
"""Least difference in standard deviations between images: half of a medium effect (Cohen, 1988, section 2.2)."""
_PIXELS_A_SIDE = 64
"""Pixels that are sampled per side of an image, which is enough for a mean."""
_CHANNELS = ("red", "green", "blue")
_STATISTICS = ("level", "contrast", "variety")


def channel_shifts(calibration: NDArray[np.uint8], validation: NDArray[np.uint8]) -> tuple[ChannelShift, ...] | None:
    """Return the reported differences; None if either side has fewer than ``LEAST_IMAGES``.

    Args:
        calibration: the images that ranges are computed from, uint8 (images, H, W, 3).
        validation: the images of the validation split, uint8 (images, H, W, 3).
    """
    if min(len(calibration), len(validation)) < LEAST_IMAGES:
        return None
    ours, theirs = _statistics(calibration), _statistics(validation)
    bound = two_sided_z(1 - WRONG_AT_MOST / (len(_CHANNELS) * len(_STATISTICS)))
    shifts = []
    for place, statistic in enumerate(_STATISTICS):
        for number, channel in enumerate(_CHANNELS):
            mine, other = ours[place][:, number], theirs[place][:, number]
            difference, spread = float(mine.mean() - other.mean()), float(other.std(ddof=1))
            error = math.sqrt(float(mine.var(ddof=1)) / len(mine) + spread**2 / len(other))
            if abs(difference) > bound * error and abs(difference) >= LEAST_SPREADS * spread:
                shifts.append(
                    ChannelShift(
                        channel=channel,
                        statistic=statistic,
                        calibration=float(mine.mean()),
                        validation=float(other.mean()),
                        spreads=difference / spread if spread else math.copysign(1e3, difference),
                    )
                )
    return tuple(shifts)


def _statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], ...]:
    """Return level, contrast and variety of each image, (images, 3) each."""
    step = max(1, images.shape[1] // _PIXELS_A_SIDE)
    level, contrast = np.empty((len(images), 3)), np.empty((len(images), 3))
    for number in range(len(images)):
        # Integers, one channel at a time: eight times as fast as floats, and every report waits for this.
        pixels = np.ascontiguousarray(images[number, ::step, ::step].transpose(2, 0, 1)).reshape(3, -1).astype(np.uint32)
        level[number] = pixels.sum(axis=1) / pixels.shape[1]
        contrast[number] = np.sqrt(np.maximum((pixels * pixels).sum(axis=1) / pixels.shape[1] - level[number] ** 2, 0))
    return level, contrast, np.abs(level - np.median(level, axis=0))
