"""What ``training_rate`` trains on: photographs, their manifest, and what is kept of them decoded."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.decode_rate import Quiet
from benchmarks.training import reference
from edgecnn.data.images import open_source
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.batches import Batch
from edgecnn.training.material import DecodedImages, ValidationPixels
from edgecnn.values.augmentation import Crop, Flip
from edgecnn.values.preprocessing import Normalization, PixelRecipe

SQUARE_PX, CLASSES = 256, 10
NORMALIZATION = Normalization(mean=reference.MEAN, std=reference.STD)
AUGMENT = (Crop(area=reference.AREA), Flip())


def drawn(root: Path, images: int) -> Path:
    """JPEG files of 341 x 256 px in ten folders; smooth noise compresses about as photographs do."""
    rng = np.random.default_rng(0)
    for number in range(images):
        path = root / "photos" / f"class-{number % CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (64, 85, 3), dtype=np.uint8))
        coarse.resize((341, SQUARE_PX), Image.Resampling.BICUBIC).save(path, quality=90)
    return root / "photos"


class Scene:
    """What every way reads: a manifest's training images, and a folder for what is kept decoded."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, Path(options.scratch, str(os.getpid()))  # ways are opened at once
        self.folder.mkdir(exist_ok=True)
        self.source = open_source(Path(options.manifest))
        entries = self.source.entries("train")[: options.images]
        self.entries = entries[: len(entries) // options.batch * options.batch]  # an epoch of whole batches in every way
        self.files = [Path(options.root, entry.path) for entry in self.entries]

    def network(self) -> nn.Module:
        return build_network(arch_named(self.options.arch), max(CLASSES, len(self.source.classes)), seed=0)

    def squares(self) -> DecodedImages:
        size = ImageSize.square(SQUARE_PX)
        pixels = PixelRecipe(resize_px=size, crop_px=size, interpolation="bicubic")
        squares = DecodedImages(self.source, self.entries, pixels)
        squares.hold(self.folder / "squares.npy", Quiet())
        return squares

    def validation(self) -> ValidationPixels:
        """Of one image: the epochs timed here are not judged."""
        for name, held in (("pixels", np.zeros((1, 32, 32, 3), np.uint8)), ("labels", np.zeros(1, np.int64))):
            np.save(self.folder / f"validation.{name}.npy", held)
        return ValidationPixels(self.folder, NORMALIZATION)

    def one_batch(self) -> Batch:
        side = self.options.side
        images = torch.randn(self.options.batch, 3, side, side).to(memory_format=torch.channels_last)
        return Batch(images, torch.arange(self.options.batch) % CLASSES)
