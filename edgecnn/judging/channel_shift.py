"""Compare calibration images with validation images, by channel, beyond chance and beyond a minimum size.

INT8 ranges fit the images they are taken from: ranges from darker images, or from one class, clip the rest. The unit is the
image, because pixels of one image are correlated. A difference is reported if chance does not explain it (Welch's statistic
beyond its bound, all nine comparisons together wrong once in a hundred sets), and if it is at least a quarter of the spread
between images: with ten thousand images, differences become significant that no range would notice. Of 2,000 stratified draws of
Fashion-MNIST, 0.3 % were reported with 20 images and none with 300. Of its ten classes on their own, all but Shirt were reported.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import two_sided_z
from edgecnn.values.figures import ChannelShift

LEAST_IMAGES = 20
"""Images on either side: with fewer, the spread is too uncertain for a comparison."""
WRONG_AT_MOST = 0.01
"""About this share of sets drawn from the same images would be reported by chance, if every size counted."""
LEAST_SPREADS = 0.25
"""Share of the standard deviation between images: half of what is usually called a medium effect (Cohen, 1988, section 2.2)."""
_PIXELS_A_SIDE = 64
"""Side of the image part that is read, which is enough for a mean."""
_CHANNELS = ("red", "green", "blue")
_STATISTICS = ("level", "contrast", "variety")


def channel_shifts(calibration: NDArray[np.uint8], validation: NDArray[np.uint8]) -> tuple[ChannelShift, ...] | None:
    """Return the differences; empty if there are none, None if either side has fewer than ``LEAST_IMAGES``.

    Args:
        calibration: the images of the ranges, uint8 (images, H, W, 3).
        validation: images of the split for choices, uint8 (images, H, W, 3).
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
