"""Random changes of training images: a recipe's list of augmentations, applied to single images and batches.

All random values of an epoch come from one NumPy generator, seeded by (seed, phase, epoch), so an epoch can be repeated exactly.
Augmentations that need a value for every pixel (noise, warping) draw a seed for a separate generator. Torch's generator, which
dropout uses, is not affected.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.process import one_thread, seeded_generator
from edgecnn.values import augmentation as kinds
from edgecnn.values.augmentation import Augmentation, Crop
from edgecnn.values.preprocessing import Normalization

Drawn: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Random values by name, each (N,), with one value for each image."""
Values: TypeAlias = Mapping[str, Any]
"""Random values of one image by name."""

_PCA_SD = (0.2175, 0.0188, 0.0045)
_PCA_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Square roots of the eigenvalues, and eigenvectors as columns, of ImageNet's RGB values from 0 to 1, as published in
facebookarchive/fb.resnet.torch, datasets/imagenet.lua."""
_ELASTIC_REACH = 0.02
"""Distance that an elastic strength of 1 moves a point by, at three standard deviations, as a share of the side."""


class Operation(NamedTuple):
    """How an augmentation draws random values, and how it changes one image, uint8 (3, H, W)."""

    draw: Callable[[np.random.Generator, int, Any], Drawn]
    apply: Callable[[Tensor, Any, Values], Tensor]


def draw(random: np.random.Generator, images: int, augmentation: kinds.Augmentation) -> Drawn:
    """Draw the random values of one augmentation for all images."""
    if isinstance(augmentation, kinds.Crop):
        return {
            "area": random.uniform(*augmentation.area, images),
            "aspect": augmentation.aspect ** random.uniform(-1.0, 1.0, images),
            **dict(zip(("top", "left"), random.uniform(size=(images, 2)).T, strict=True)),
        }
    applied = {"applied": random.uniform(size=images) < augmentation.p}
    if isinstance(augmentation, (kinds.Mixup, kinds.Cutmix)):
        return {**applied, **_seeds(random, images, augmentation)}
    return {**applied, **OPERATIONS[type(augmentation)].draw(random, images, augmentation)}


def is_applied(drawn: Drawn, position: int) -> bool:
    """Return whether the augmentation is applied to this image."""
    return bool(drawn["applied"][position]) if "applied" in drawn else True


def values_of(drawn: Drawn, position: int) -> dict[str, Any]:
    """Return the random values of one image."""
    return {name: values[position].item() for name, values in drawn.items() if name != "applied"}


def _seeds(random: np.random.Generator, images: int, _: object) -> Drawn:
    return {"seed": random.integers(2**31, size=images)}


def _uniform(*names: str, field: str | None = None, seed: bool = False) -> Callable[[np.random.Generator, int, Any], Drawn]:
    """Draw values by these names from the range in ``field``, or in the fields of the same names; with ``seed``, also a seed."""

    def drawn(random: np.random.Generator, images: int, augmentation: Any) -> Drawn:
        ranges = {name: getattr(augmentation, field or name) for name in names}
        values = {name: random.uniform(low, high, images) for name, (low, high) in ranges.items()}
        return {**values, **_seeds(random, images, augmentation)} if seed else values

    return drawn


def _draw_pca(random: np.random.Generator, images: int, augmentation: kinds.Pca) -> Drawn:
    return dict(zip(("first", "second", "third"), random.normal(0.0, augmentation.sd, (images, 3)).T, strict=True))


def _draw_box(random: np.random.Generator, images: int, augmentation: kinds.Cutout) -> Drawn:
    return {
        "area": random.uniform(*augmentation.area, images),
        "aspect": augmentation.aspect ** random.uniform(-1.0, 1.0, images),
        "top": random.uniform(size=images),
        "left": random.uniform(size=images),
    }


def _flip(image: Tensor, augmentation: kinds.Flip, _: Values) -> Tensor:
    return image.flip(-1 if augmentation.axis == "horizontal" else -2)


def _affine(image: Tensor, *, angle: float = 0.0, shift: Sequence[float] = (0.0, 0.0), shear: float = 0.0) -> Tensor:
    fill = _mean_colour(image)
    return _as_tensor(functional.affine(image, angle, list(shift), 1.0, [shear, 0.0], InterpolationMode.BILINEAR, fill))


def _as_tensor(image: Tensor) -> Tensor:
    """Give the result of torchvision's untyped functions its type."""
    return image


def _mean_colour(image: Tensor) -> list[float]:
    return [float(value) for value in image.float().mean(dim=(1, 2)).round()]


def _translate(image: Tensor, _: kinds.Translate, values: Values) -> Tensor:
    height, width = image.shape[1:]
    return _affine(image, shift=(values["right"] * width, values["down"] * height))


def _stretch(image: Tensor, _: kinds.Stretch, values: Values) -> Tensor:
    height, width = image.shape[1:]
    sides = [max(1, round(height * values["tall"])), max(1, round(width * values["wide"]))]
    return _as_tensor(functional.center_crop(functional.resize(image, sides, antialias=True), [height, width]))


def _lens(image: Tensor, _: kinds.Lens, values: Values) -> Tensor:
    height, width = image.shape[1:]
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    bend = values["k"] * (x * x + y * y)
    return _as_tensor(functional.elastic(image, torch.stack((x * bend, y * bend), dim=-1)[None], fill=_mean_colour(image)))


def _elastic(image: Tensor, augmentation: kinds.Elastic, values: Values) -> Tensor:
    """Move points by smooth noise of unit deviation, times the strength. A side is 2 long in torchvision's grid (-1 to 1)."""
    height, width = image.shape[1:]
    random = torch.Generator().manual_seed(values["seed"])
    noise = torch.rand((2, 1, height, width), generator=random) * 2 - 1
    sigma = augmentation.smoothness * min(height, width)
    reach = min(2 * math.ceil(3 * sigma) + 1, 2 * ((min(height, width) - 1) // 2) + 1)
    smooth = functional.gaussian_blur(noise, [reach, reach], [sigma, sigma])
    smooth = smooth / smooth.std().clamp_min(1e-6) * (values["strength"] * 2 * _ELASTIC_REACH / 3)
    return _as_tensor(functional.elastic(image, smooth.permute(1, 2, 3, 0), fill=_mean_colour(image)))


def _colour(image: Tensor, _: kinds.Colour, values: Values) -> Tensor:
    image = functional.adjust_brightness(image, values["brightness"])
    image = functional.adjust_contrast(image, values["contrast"])
    image = functional.adjust_saturation(image, values["saturation"])
    return _as_tensor(functional.adjust_hue(image, values["hue"])) if values["hue"] else image


def _pca(image: Tensor, _: kinds.Pca, values: Values) -> Tensor:
    shares = torch.tensor([values["first"], values["second"], values["third"]]) * torch.tensor(_PCA_SD)
    shift = torch.tensor(_PCA_AXES) @ shares * 255
    return (image.float() + shift.view(3, 1, 1)).round_().clamp_(0, 255).to(torch.uint8)


def _noise(image: Tensor, _: kinds.Noise, values: Values) -> Tensor:
    random = torch.Generator().manual_seed(values["seed"])
    noise: Tensor = torch.randn(image.shape, generator=random) * (values["sd"] * 255)
    return (image.float() + noise).round_().clamp_(0, 255).to(torch.uint8)


def _cutout(image: Tensor, _: kinds.Cutout, values: Values) -> Tensor:
    height, width = image.shape[1:]
    wish = np.sqrt(values["area"] * height * width * np.array([1 / values["aspect"], values["aspect"]]))
    tall, wide = (int(min(side, max(1, round(length)))) for side, length in zip((height, width), wish, strict=True))
    top, left = round(values["top"] * (height - tall)), round(values["left"] * (width - wide))
    colour = torch.tensor(_mean_colour(image)).to(torch.uint8).view(3, 1, 1)
    return _as_tensor(functional.erase(image, top, left, tall, wide, colour.expand(3, tall, wide)))


def _randaugment(image: Tensor, augmentation: kinds.RandAugment, values: Values) -> Tensor:
    with seeded_generator(int(values["seed"])):
        changed: Tensor = v2.RandAugment(augmentation.operations, augmentation.magnitude, fill=_mean_colour(image))(image)
    return changed


OPERATIONS: Mapping[type, Operation] = {
    kinds.Flip: Operation(_uniform(), _flip),
    kinds.Rotate: Operation(_uniform("degrees"), lambda image, _, values: _affine(image, angle=values["degrees"])),
    kinds.Shear: Operation(_uniform("degrees"), lambda image, _, values: _affine(image, shear=values["degrees"])),
    kinds.Translate: Operation(_uniform("right", "down", field="share"), _translate),
    kinds.Stretch: Operation(_uniform("tall", "wide", field="factor"), _stretch),
    kinds.Lens: Operation(_uniform("k"), _lens),
    kinds.Elastic: Operation(_uniform("strength", seed=True), _elastic),
    kinds.Colour: Operation(_uniform("brightness", "contrast", "saturation", "hue"), _colour),
    kinds.Pca: Operation(_draw_pca, _pca),
    kinds.Noise: Operation(_uniform("sd", seed=True), _noise),
    kinds.Cutout: Operation(_draw_box, _cutout),
    kinds.RandAugment: Operation(_seeds, _randaugment),
}
"""Augmentations of single images, except ``crop``, which also resizes to the network's input."""


class EpochDraw(NamedTuple):
    """All random values of one epoch, except those drawn inside the network."""

    order: npt.NDArray[np.int64]
    """(N,) positions in training order."""
    augment: Sequence[Augmentation]
    """Augmentations, in the order of application."""
    drawn: tuple[Drawn, ...]
    """Random values of each augmentation."""


class Frame(NamedTuple):
    """Image sizes."""

    size_px: ImageSize
    """Size in this epoch."""
    shipped_px: ImageSize
    """Size of the shipped network, which sees the centre of the decoded image."""


def stream_seed(seed: int, phase: str, epoch: int) -> int:
    """Return the seed of one epoch of one phase."""
    return int(np.random.SeedSequence([seed, zlib.crc32(phase.encode()), epoch]).generate_state(1)[0])


def draw_epoch(images: int, *, seed: int, augment: Sequence[Augmentation]) -> EpochDraw:
    """Draw the order of ``images`` images, and then the values of each augmentation."""
    random = np.random.Generator(np.random.Philox(seed))
    return EpochDraw(random.permutation(images), augment, tuple([draw(random, images, augmentation) for augmentation in augment]))


def augmented(decoded: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64], epoch: EpochDraw, frame: Frame) -> Tensor:
    """Augment a batch, except for mixing of images (``batches.mix``).

    ``decoded``: uint8 (n, H, W, 3). ``positions``: (n,), the positions of these images in the epoch. Returns uint8 (n, 3, *size)
    of ``frame``. Without a crop in the list, the centre of the image is used, as by the shipped network.
    """
    batch = torch.from_numpy(np.ascontiguousarray(decoded)).permute(0, 3, 1, 2)  # resizing is faster with interleaved channels
    with one_thread():
        return torch.stack(
            [_augment_image(image, position, epoch, frame) for image, position in zip(batch, positions, strict=True)]
        )


def _augment_image(image: Tensor, position: int, epoch: EpochDraw, frame: Frame) -> Tensor:
    if not any(isinstance(augmentation, Crop) for augmentation in epoch.augment):
        image = functional.center_crop(image, list(frame.shipped_px))
        if frame.size_px != frame.shipped_px:
            image = functional.resize(image, list(frame.size_px), antialias=True)
    for augmentation, drawn in zip(epoch.augment, epoch.drawn, strict=True):
        if isinstance(augmentation, Crop):
            image = _crop(image, values_of(drawn, position), frame.size_px)
        elif type(augmentation) in OPERATIONS and is_applied(drawn, position):
            image = OPERATIONS[type(augmentation)].apply(image, augmentation, values_of(drawn, position))
    return image


def _crop(image: Tensor, values: Values, size_px: ImageSize) -> Tensor:
    sides = np.array(image.shape[1:])
    wish = sides * np.sqrt(values["area"] * np.array([1 / values["aspect"], values["aspect"]]))
    height, width = (int(min(side, max(1, round(length)))) for side, length in zip(sides, wish, strict=True))
    top, left = round(values["top"] * (sides[0] - height)), round(values["left"] * (sides[1] - width))
    crop: Tensor = functional.resized_crop(
        image, top, left, height, width, list(size_px), interpolation=InterpolationMode.BILINEAR, antialias=True
    )
    return crop


def centred(decoded: npt.NDArray[np.uint8], size_px: ImageSize) -> npt.NDArray[np.uint8]:
    """Crop the centre of each image: uint8 (n, *size, 3)."""
    top, left = (round((have - want) / 2) for have, want in zip(decoded.shape[1:3], size_px, strict=True))
    return decoded[:, top : top + size_px.height_px, left : left + size_px.width_px]


def resized_to(images: Tensor, size_px: ImageSize) -> Tensor:
    """Resize float32 (N, 3, H, W), bilinear and antialiased, unless the images have that size."""
    if tuple(images.shape[-2:]) == size_px:
        return images
    resized: Tensor = functional.resize(images, list(size_px), antialias=True)
    return resized.contiguous(memory_format=torch.channels_last)


def level_statistics(normalization: Normalization) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation for pixels from 0 to 255, fp32 (3, 1, 1)."""
    mean, std = (torch.tensor(values).view(3, 1, 1) * 255 for values in (normalization.mean, normalization.std))
    return mean, std


def normalized(pixels: Tensor, normalization: Normalization) -> Tensor:
    """Normalize uint8 (n, 3, H, W) to float32 ``(pixel / 255 - mean) / std``, channels last in memory.

    Images are normalized one by one, so that all three passes find them in the cache.
    """
    mean, std = level_statistics(normalization)
    batch = torch.empty(pixels.shape, dtype=torch.float32, memory_format=torch.channels_last)
    with one_thread():
        for image, place in zip(pixels, batch, strict=True):
            place.copy_(image.to(torch.float32).sub_(mean).div_(std))
    return batch
