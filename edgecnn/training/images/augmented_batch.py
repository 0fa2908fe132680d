"""A list of augmentations on a batch, all drawn from (seed, phase, epoch), so that an epoch can be repeated exactly."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.images.augmentations import OPERATIONS, Drawn, Values, draw, is_applied, values_of
from edgecnn.training.machine import one_thread
from edgecnn.values.data.augmentation import Augmentation, Crop
from edgecnn.values.data.preprocessing import Normalization


class EpochDraw(NamedTuple):
    """Everything random about one epoch that is drawn outside of the network."""

    order: npt.NDArray[np.int64]
    """(N,) positions in the order in which they are shown."""
    augment: Sequence[Augmentation]
    """What is done, in this order."""
    drawn: tuple[Drawn, ...]
    """What was drawn for each of these."""


class Frame(NamedTuple):
    """Sizes of what the network is shown."""

    size_px: ImageSize
    """In this epoch."""
    shipped_px: ImageSize
    """In use, where the centre of what was decoded is shown."""


def stream_seed(seed: int, phase: str, epoch: int) -> int:
    """One number for one epoch of one phase."""
    return int(np.random.SeedSequence([seed, zlib.crc32(phase.encode()), epoch]).generate_state(1)[0])


def draw_epoch(images: int, *, seed: int, augment: Sequence[Augmentation]) -> EpochDraw:
    """Draw order and augmentation for ``images`` images: the order first, then row by row of the list."""
    random = np.random.Generator(np.random.Philox(seed))
    return EpochDraw(random.permutation(images), augment, tuple([draw(random, images, asked) for asked in augment]))


def augmented(decoded: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64], epoch: EpochDraw, frame: Frame) -> Tensor:
    """Change a batch as the draw says; what mixes pictures with each other is left to ``batches.py``.

    ``decoded``: uint8 (n, H, W, 3). ``positions``: (n,) of these images in the draw. ``frame``: size of the result; without
    a crop in the list the centre is shown, as it is in use. Returns uint8 (n, 3, *size).
    """
    batch = torch.from_numpy(np.ascontiguousarray(decoded)).permute(0, 3, 1, 2)  # resizing is faster where channels lie together
    with one_thread():
        return torch.stack([_one(image, position, epoch, frame) for image, position in zip(batch, positions, strict=True)])


def _one(image: Tensor, position: int, epoch: EpochDraw, frame: Frame) -> Tensor:
    if not any(isinstance(asked, Crop) for asked in epoch.augment):
        image = functional.center_crop(image, list(frame.shipped_px))
        if frame.size_px != frame.shipped_px:
            image = functional.resize(image, list(frame.size_px), antialias=True)
    for asked, drawn in zip(epoch.augment, epoch.drawn, strict=True):
        if isinstance(asked, Crop):
            image = _cropped(image, values_of(drawn, position), frame.size_px)
        elif type(asked) in OPERATIONS and is_applied(drawn, position):
            image = OPERATIONS[type(asked)].apply(image, asked, values_of(drawn, position))
    return image


def _cropped(image: Tensor, values: Values, size_px: ImageSize) -> Tensor:
    sides = np.array(image.shape[1:])
    wish = sides * np.sqrt(values["area"] * np.array([1 / values["aspect"], values["aspect"]]))
    height, width = (int(min(side, max(1, round(length)))) for side, length in zip(sides, wish, strict=True))
    top, left = round(values["top"] * (sides[0] - height)), round(values["left"] * (sides[1] - width))
    crop: Tensor = functional.resized_crop(
        image, top, left, height, width, list(size_px), interpolation=InterpolationMode.BILINEAR, antialias=True
    )
    return crop


def centred(decoded: npt.NDArray[np.uint8], size_px: ImageSize) -> npt.NDArray[np.uint8]:
    """The centre of each image: uint8 (n, *size, 3)."""
    top, left = (round((have - want) / 2) for have, want in zip(decoded.shape[1:3], size_px, strict=True))
    return decoded[:, top : top + size_px.height_px, left : left + size_px.width_px]


def at_size(images: Tensor, size_px: ImageSize) -> Tensor:
    """float32 (N, 3, H, W) resized to that size, bilinear and antialiased; as they are where they have it."""
    if tuple(images.shape[-2:]) == size_px:
        return images
    resized: Tensor = functional.resize(images, list(size_px), antialias=True)
    return resized.contiguous(memory_format=torch.channels_last)


def in_levels(normalization: Normalization) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (3, 1, 1), fp32, in levels of 0 to 255."""
    mean, std = (torch.tensor(values).view(3, 1, 1) * 255 for values in (normalization.mean, normalization.std))
    return mean, std


def normalized(pixels: Tensor, normalization: Normalization) -> Tensor:
    """uint8 (n, 3, H, W) → float32 of that shape, channels last in memory, ``(pixel / 255 - mean) / std``.

    Image by image, so that all three passes find it in the cache.
    """
    mean, std = in_levels(normalization)
    batch = torch.empty(pixels.shape, dtype=torch.float32, memory_format=torch.channels_last)
    with one_thread():
        for image, place in zip(pixels, batch, strict=True):
            place.copy_(image.to(torch.float32).sub_(mean).div_(std))
    return batch
