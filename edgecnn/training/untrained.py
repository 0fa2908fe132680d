"""Synthetic pixels and the exported file of an untrained network, for kits that are timed and never shipped.

Batch norm takes the statistics of the synthetic images, so that activations have the range of a trained network's. Denormal
numbers would be slower than the numbers in a trained network, and large numbers would overflow half precision.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from edgecnn.data.prepared import write_golden
from edgecnn.graph.export import TrunkRequest, fixed_threads, make_trunk
from edgecnn.models.networks import build_network
from edgecnn.models.surgery import apply_surgery_untrained
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.settings import ProbeSettings
from edgecnn.values.arch import ArchSpec
from edgecnn.values.stage import Progress
from edgecnn.values.training import AS_IT_IS, Form

GRAIN = 8
"""Patches on each side of a coarse noise image, which is smoothed and resembles a photograph. Half of the images are coarse, and
half have noise in every pixel. With statistics of coarse noise alone, the edges of the golden card gave logits that were hundreds
of times too large."""


def make_untrained(spec: ArchSpec, settings: ProbeSettings, out: Path, tell: Progress) -> None:
    """Write the files of ``prepare`` for the synthetic images, and the files of ``export`` for the network.

    Raises WRONG_OPSET, ExportDisagrees, ROUNDING_DECIDES, MacsUnknown: see ``make_trunk``.
    """
    preprocessing, images = settings.preprocessing, settings.images
    recipe = preprocessing.pixels.runner_recipe()
    pixels = synthetic_images(images, recipe.crop_px)
    for role in ("calibration", "validation", "test"):
        np.save(out / f"{role}.pixels.npy", pixels)
        np.save(out / f"{role}.labels.npy", np.arange(images, dtype=np.int64) % settings.classes)
    (out / "labels.json").write_text(json.dumps([f"class {number}" for number in range(settings.classes)]), encoding="utf-8")
    write_golden([Image.fromarray(image) for image in pixels[:2]], recipe, out)
    network = untrained_network(spec, settings.classes, preprocessing.normalization.feed(pixels), settings.form)
    request = TrunkRequest(out, resolution_px=recipe.crop_px, normalization=preprocessing.normalization, opset=settings.opset)
    make_trunk(network, request, out, tell)


def untrained_network(spec: ArchSpec, classes: int, images: npt.NDArray[np.float32], form: Form = AS_IT_IS) -> nn.Module:
    """Return the network with weights from its fixed seed, and batch-norm statistics of the images, float32 (N, 3, H, W)."""
    network = apply_surgery_untrained(build_network(spec, classes), form, ImageSize(*images.shape[2:]))
    set_statistics(network, torch.from_numpy(images))
    return network


def synthetic_images(images: int, size: ImageSize) -> npt.NDArray[np.uint8]:
    """Return coloured noise, first coarse and then fine, uint8 (images, *size, 3), always the same."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (images - images // 2, GRAIN, GRAIN, 3), dtype=np.uint8)
    fine = draw.integers(0, 256, (images // 2, *size, 3), dtype=np.uint8)
    smooth = (Image.fromarray(patches).resize((size.width_px, size.height_px), Image.Resampling.BICUBIC) for patches in coarse)
    return np.stack([*(np.asarray(image) for image in smooth), *fine])


def set_statistics(network: nn.Module, images: torch.Tensor) -> None:
    """Set the statistics of every batch norm to those of the images, float32 (N, 3, H, W), without dropout."""
    network.eval()
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = None  # the plain mean
        norm.train()
    with torch.no_grad(), fixed_threads():
        network(images)
    network.eval()
