"""An epoch as batches, and a batch as it is learned from: cropped, changed at random, normalized and mixed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from edgecnn.training.augment import EpochDraw, Frame, augmented, normalized
from edgecnn.training.material import Material
from edgecnn.training.mixing import Batch, mixed, neighbours
from edgecnn.training.whole_batch import Part


def batch_count(images: int, batch_size: int) -> int:
    """Of an epoch. They are as equal as can be, since a last batch of one image would give batch norm no variance."""
    return max(1, round(images / batch_size))


def shown(material: Material, what: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], draw: EpochDraw, frame: Frame) -> Batch:
    """Positions of the epoch, and the image that each of all its positions shows."""
    positions, images = what[0], what[1][what[0]]
    pixels = augmented(material.squares.read(images), positions, draw, frame)
    labels = torch.from_numpy(material.squares.labels[images])
    return Batch(normalized(pixels, material.validation.normalization), labels)


def part_shown(
    material: Material, what: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], part: Part, draw: EpochDraw, frame: Frame
) -> Batch:
    """This part of a batch, mixed as in the whole one: with the images before it, which are shown with it and then left off."""
    positions, images = what
    before = neighbours(draw, positions[0]) if part.images < part.whole else 0
    seen = positions.take(range(part.start - before, part.stop), mode="wrap")
    batch = mixed(shown(material, (seen, images), draw, frame), draw, positions[0], material.classes)
    return Batch(batch.images[before:], batch.labels[before:])
