"""Weights and pixels of a network that learned nothing, for kits that are timed and never shipped.

Batch norms take the statistics of the drawn images, so that activations stay in the range of a trained network's: numbers that
vanish would be computed more slowly than any that a trained network makes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from edgecnn.data.golden import write_golden
from edgecnn.models.networks import build_network
from edgecnn.runner.pixels import PixelRecipe
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.teacher import WEIGHTS
from edgecnn.values.arch import ArchSpec
from edgecnn.values.dataset import Preprocessing

GRAIN = 8
"""A drawn image is noise of so many patches a side, smoothed: as coarse as what photographs show."""


def make_untrained(spec: ArchSpec, classes: int, preprocessing: Preprocessing, images: int, out: Path) -> None:
    """Write what ``train`` and ``prepare`` would: ``weights.safetensors``, ``<role>.pixels.npy`` uint8 (images, H, W, 3),
    ``<role>.labels.npy``, ``labels.json`` and ``golden/``."""
    recipe = PixelRecipe(**preprocessing.pixels.model_dump(include={"resize_px", "crop_px", "interpolation"}))
    pixels = drawn_images(images, recipe.crop_px)
    for role in ("calibration", "validation", "test"):
        np.save(out / f"{role}.pixels.npy", pixels)
        np.save(out / f"{role}.labels.npy", np.arange(images, dtype=np.int64) % classes)
    (out / "labels.json").write_text(json.dumps([f"class {number}" for number in range(classes)]), encoding="utf-8")
    write_golden([Image.fromarray(each) for each in pixels[:2]], recipe, out)
    network = build_network(spec, classes)
    settle(network, torch.from_numpy(preprocessing.normalization.feed(pixels)))
    write_tensors(network.state_dict(), out / WEIGHTS)


def drawn_images(images: int, side_px: int) -> npt.NDArray[np.uint8]:
    """Coloured noise, uint8 (images, side, side, 3); the same every time."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (images, GRAIN, GRAIN, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((side_px, side_px), Image.Resampling.BICUBIC)) for each in coarse])


def settle(network: nn.Module, images: torch.Tensor) -> None:
    """Give every batch norm the statistics of these images, float32 (N, 3, H, W)."""
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain mean of what it sees
    network.train()
    with torch.no_grad():
        network(images)
    network.eval()
