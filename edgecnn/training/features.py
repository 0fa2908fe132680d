"""What a frozen network says of every training image, computed once: heads are then trained on a table, not on pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from edgecnn.training.augment import centred, normalized
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.folding import folded
from edgecnn.training.loader import Squares
from edgecnn.training.material import Material
from edgecnn.training.validation import ChoosePixels
from edgecnn.values.preprocessing import Normalization

BATCH = 64
PARTS = "features-*.safetensors"
PART = 512
"""Images a part file: what a kill can cost."""


class Features(NamedTuple):
    """Inputs of the last layer (float32) and right classes (int64)."""

    train: Tensor
    """(N, F) of the training images."""
    mirrored: Tensor
    """(N, F) of their mirror images."""
    labels: Tensor
    """(N,)"""
    choose: Tensor
    """(M, F)"""
    choose_labels: Tensor
    """(M,)"""


@contextmanager
def without_head(network: nn.Module, head_name: str) -> Iterator[nn.Module]:
    """The network with its last layer passing its input through; put back at the end."""
    parent_name, _, child = head_name.rpartition(".")
    parent = network.get_submodule(parent_name)
    head = getattr(parent, child)
    setattr(parent, child, nn.Identity())
    try:
        yield network
    finally:
        setattr(parent, child, head)


def compute_features(body: nn.Module, material: Material, size_px: int) -> Features:
    """Features of the training images as they are and mirrored, and of ``choose``; parts that exist are not computed again.

    Args:
        body: the network without its head.
        material: images, judge, folder and progress.
        size_px: the shipped resolution.
    """
    normalization = material.choose.normalization
    first = centred(material.squares.read(range(min(2, len(material.squares)))), size_px)
    body = folded(body, _fed(first, normalization))
    plain, mirrored = [], []
    for start in range(0, len(material.squares), PART):
        stop = min(start + PART, len(material.squares))
        file = _place(material, f"features-{start:07d}.safetensors")
        if not file.exists():
            write_tensors(_part(body, material.squares, range(start, stop), (size_px, normalization)), file)
        part = load_file(file)
        plain.append(part["plain"])
        mirrored.append(part["mirrored"])
        material.tell.step("features", stop, len(material.squares), "images")
    labels = torch.from_numpy(material.squares.labels)
    of_choose = _of_choose(body, material.choose, _place(material, "features-choose.safetensors"))
    return Features(torch.cat(plain), torch.cat(mirrored), labels, of_choose, material.choose.labels)


@torch.no_grad()
def _part(body: nn.Module, squares: Squares, positions: range, how: tuple[int, Normalization]) -> dict[str, Tensor]:
    size_px, normalization = how
    found: dict[str, list[Tensor]] = {"plain": [], "mirrored": []}
    for start in range(positions.start, positions.stop, BATCH):
        batch = squares.read(range(start, min(start + BATCH, positions.stop)))
        images = centred(batch, size_px)
        found["plain"].append(body(_fed(images, normalization)))
        found["mirrored"].append(body(_fed(images[:, :, ::-1], normalization)))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _fed(images: np.ndarray, normalization: Normalization) -> Tensor:
    """(N, H, W, 3) uint8 as the network takes them."""
    return normalized(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))), normalization)


def _place(material: Material, name: str) -> Path:
    """Where an earlier stage left a part of the same features, else where one is kept while this one runs."""
    made = None if material.features is None else material.features / name
    return made if made is not None and made.exists() else material.folder / name


def _of_choose(body: nn.Module, choose: ChoosePixels, file: Path) -> Tensor:
    if not file.exists():
        write_tensors({"choose": choose.outputs(body)}, file)
    return load_file(file)["choose"]
