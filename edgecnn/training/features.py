"""What a frozen network says of every training image, computed once: heads are then trained on a table, not on pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from edgecnn.models.networks import replace_head
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.frozen import AT_ONCE, Frozen, Work, frozen, macs_at
from edgecnn.training.gpu import moved
from edgecnn.training.images.augmented_batch import centred
from edgecnn.training.images.loader import DecodedImages
from edgecnn.training.images.validation import Material
from edgecnn.values.arch import ArchSpec

BATCH = 64
PARTS = "features-*.safetensors"
PART = 512
"""Images a part file: what a kill can cost."""


class Features(NamedTuple):
    """Inputs of the last layer (float32) and right classes (int64), or of multi-label images (uint8) which of them each has."""

    train: Tensor
    """(N, F) of the training images."""
    mirrored: Tensor
    """(N, F) of their mirror images."""
    labels: Tensor
    """(N,), or of multi-label images (N, classes)."""
    validation: Tensor
    """(M, F)"""
    validation_labels: Tensor
    """As of the training images."""


@contextmanager
def without_head(network: nn.Module, spec: ArchSpec) -> Iterator[nn.Module]:
    """The network with its last layer passing its input through; put back at the end."""
    head = network.get_submodule(spec.head)
    replace_head(network, spec, nn.Identity())
    try:
        yield network
    finally:
        replace_head(network, spec, head)


def compute_features(body: nn.Module, material: Material, spec: ArchSpec, size_px: ImageSize) -> Features:
    """Features of the training images as they are and mirrored, and of ``validation``; parts that exist are not computed again.

    ``spec``: whose work at that size decides, with the number of images, who computes.
    """
    decoded, validation = material.decoded, material.validation

    @cache
    def answers() -> Frozen:  # asked for where a part is missing: an export is seconds
        shown = centred(decoded.read(range(min(AT_ONCE + 1, len(decoded)))), size_px)
        work = Work(len(decoded) * macs_at(spec, size_px), material.folder, material.tell)
        return frozen(body, validation.normalization, shown, work)

    with moved(material.device, body):
        return _features(answers, material, size_px)


def _features(answers: Callable[[], Frozen], material: Material, size_px: ImageSize) -> Features:
    decoded, validation = material.decoded, material.validation
    plain, mirrored = [], []
    for start in range(0, len(decoded), PART):
        stop = min(start + PART, len(decoded))
        file = _place(material, f"features-{start:07d}.safetensors")
        if not file.exists():
            write_tensors(_part(answers(), decoded, range(start, stop), size_px), file)
        part = load_file(file)
        plain.append(part["plain"])
        mirrored.append(part["mirrored"])
        material.tell.step("compute features", stop, len(decoded), "images")
    labels = torch.from_numpy(decoded.labels)
    file = _place(material, "features-validation.safetensors")
    if not file.exists():
        parts = [answers()(validation.pixels[start : start + BATCH]) for start in range(0, len(validation), BATCH)]
        write_tensors({"validation": torch.cat(parts)}, file)
    return Features(torch.cat(plain), torch.cat(mirrored), labels, load_file(file)["validation"], validation.labels)


def _part(answers: Frozen, decoded: DecodedImages, positions: range, size_px: ImageSize) -> dict[str, Tensor]:
    found: dict[str, list[Tensor]] = {"plain": [], "mirrored": []}
    for start in range(positions.start, positions.stop, BATCH):
        batch = decoded.read(range(start, min(start + BATCH, positions.stop)))
        images = centred(batch, size_px)
        found["plain"].append(answers(images))
        found["mirrored"].append(answers(images[:, :, ::-1]))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _place(material: Material, name: str) -> Path:
    """Where an earlier stage left a part of the same features, else where one is kept while this one runs."""
    made = None if material.features is None else material.features / name
    return made if made is not None and made.exists() else material.folder / name
