"""Random crops and mirror images, all drawn from (seed, phase, epoch), so that an epoch can be repeated exactly."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from edgecnn.values.preprocessing import Normalization

ASPECT = 1.18
"""Largest ratio of the longer to the shorter side of a random crop, before it is resized to a square."""


class EpochDraw(NamedTuple):
    """Everything random about one epoch that is drawn outside of the network."""

    order: npt.NDArray[np.int64]
    """(N,) positions in the order in which they are shown."""
    area: npt.NDArray[np.float64]
    """(N,) share of the square that a crop covers."""
    aspect: npt.NDArray[np.float64]
    place: npt.NDArray[np.float64]
    """(N, 2) where the crop lies between top and bottom, left and right, 0…1."""
    mirror: npt.NDArray[np.bool_]


def stream_seed(seed: int, phase: str, epoch: int) -> int:
    """One number for one epoch of one phase."""
    return int(np.random.SeedSequence([seed, zlib.crc32(phase.encode()), epoch]).generate_state(1)[0])


def draw_epoch(images: int, *, seed: int, smallest_area: float) -> EpochDraw:
    """Draw order and augmentation for ``images`` images."""
    random = np.random.Generator(np.random.Philox(seed))
    return EpochDraw(
        order=random.permutation(images),
        area=random.uniform(smallest_area, 1.0, images),
        aspect=ASPECT ** random.uniform(-1.0, 1.0, images),
        place=random.uniform(size=(images, 2)),
        mirror=random.uniform(size=images) < 0.5,
    )


def augmented(squares: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64], draw: EpochDraw, size_px: int) -> Tensor:
    """Crop, resize and mirror a batch as the draw says.

    Args:
        squares: uint8 (n, side, side, 3).
        positions: (n,) of these images in the draw.
        draw: of this epoch.
        size_px: side of the result.

    Returns:
        uint8 (n, 3, size, size).
    """
    side = squares.shape[1]
    batch = torch.from_numpy(np.ascontiguousarray(squares.transpose(0, 3, 1, 2)))
    crops = []
    for image, position in zip(batch, positions, strict=True):
        wish = side * np.sqrt(draw.area[position] * np.array([1 / draw.aspect[position], draw.aspect[position]]))
        height, width = (int(min(side, max(1, round(length)))) for length in wish)
        top, left = (int(round(x)) for x in draw.place[position] * (side - height, side - width))
        crop = functional.resized_crop(
            image, top, left, height, width, [size_px, size_px], interpolation=InterpolationMode.BILINEAR, antialias=True
        )
        crops.append(crop.flip(-1) if draw.mirror[position] else crop)
    return torch.stack(crops)


def centred(squares: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """The centre of each square: uint8 (n, size, size, 3)."""
    start = round((squares.shape[1] - size_px) / 2)
    return squares[:, start : start + size_px, start : start + size_px]


def normalized(pixels: Tensor, normalization: Normalization) -> Tensor:
    """uint8 (n, 3, H, W) → float32 of that shape, channels last in memory, ``(pixel / 255 - mean) / std``."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (normalization.mean, normalization.std))
    return pixels.to(torch.float32, memory_format=torch.channels_last).sub_(mean * 255).div_(std * 255)
