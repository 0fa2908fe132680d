"""The training images, decoded once, and the validation images, on which each epoch is evaluated.

Decoding an image takes longer than cropping a decoded one, so images are stored after resizing, and every epoch crops them. If
they exceed ``HELD_BYTES``, they are not stored, and each epoch decodes them again. Epochs are evaluated on the same pixels on
which candidates are chosen later. Test images are never opened here.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgecnn.data.images import ImageSource
from edgecnn.data.prepared import reserve_pixels
from edgecnn.judging.average_precision import mean_average_precision
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.augment import normalized
from edgecnn.training.parallel.team import ALONE, Team
from edgecnn.training.process import CPU, device_of
from edgecnn.training.settings import training_threads
from edgecnn.values.dataset import ImageEntry
from edgecnn.values.preprocessing import Normalization, PixelRecipe
from edgecnn.values.stage import Progress

HELD_BYTES = 2 << 30
"""Maximum size of stored decoded images."""
_BLOCK = 64


def kept_decoded(images: int, size: ImageSize) -> bool:
    """Return whether decoded training images fit into ``HELD_BYTES``."""
    return 3 * images * size.area_px <= HELD_BYTES


class DecodedImages:
    """Pixels of images by position, from a stored array or decoded on demand.

    ``pixels``: the recipe of the shipped network. Images are decoded without its crop.
    """

    def __init__(self, source: ImageSource, entries: Sequence[ImageEntry], pixels: PixelRecipe) -> None:
        self.source = source
        self.entries = entries
        self.size = pixels.decoded_px
        self.labels: npt.NDArray[Any] = source.labels(entries)
        """Classes int64 (N,), or for multi-label images uint8 (N, classes)."""
        self._recipe = pixels.runner_recipe()._replace(resize_px=self.size, crop_px=self.size)
        self._held: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def hold(self, file: Path, tell: Progress) -> None:
        """Decode all images into ``file``, uint8 (N, H, W, 3), unless it exists or would be too large."""
        shape = (len(self), *self.size, 3)
        if not kept_decoded(len(self), self.size):
            tell.note(f"{len(self):,} training images are too many to keep decoded; each epoch decodes them again")
            return
        if not file.exists():
            partial = file.with_suffix(".part")
            held = reserve_pixels(partial, shape)
            for start in range(0, len(self), _BLOCK):
                stop = min(start + _BLOCK, len(self))
                held[start:stop] = self._decode(range(start, stop))
                tell.step("decode training images", stop, len(self), "images")
            held.flush()
            partial.rename(file)
        self._held = np.load(file, mmap_mode="r")

    def read(self, positions: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return pixels uint8 (n, H, W, 3) in the order of ``positions``."""
        return self._decode([int(p) for p in positions]) if self._held is None else np.asarray(self._held[np.asarray(positions)])

    def _decode(self, positions: Sequence[int]) -> npt.NDArray[np.uint8]:
        with ThreadPoolExecutor(training_threads()) as pool:  # Pillow releases the GIL while it decodes and resizes
            return np.stack(list(pool.map(lambda position: self.source.pixels(self.entries[position], self._recipe), positions)))


BATCH = 128


class ValidationPixels:
    """The validation images of a prepare artifact."""

    def __init__(self, prepared: Path, normalization: Normalization) -> None:
        self.pixels: npt.NDArray[np.uint8] = np.load(prepared / "validation.pixels.npy", mmap_mode="r")
        self.labels = torch.from_numpy(np.load(prepared / "validation.labels.npy"))
        self.normalization = normalization

    def __len__(self) -> int:
        return len(self.labels)

    @torch.no_grad()
    def outputs(self, network: nn.Module, team: Team = ALONE) -> Tensor:
        """Return the network's logits of all images, in order, in evaluation mode. Every process of a team gets all of them."""
        network.eval()
        device, parts = device_of(network), []
        for start in team.own(range(0, len(self), BATCH)):
            pixels = torch.from_numpy(np.array(self.pixels[start : start + BATCH])).permute(0, 3, 1, 2)
            parts.append(network(normalized(pixels, self.normalization).to(device)).cpu())
        return torch.cat(team.gathered(parts))

    def top1(self, network: nn.Module) -> float:
        """Return the top-1 accuracy, 0…1."""
        return top1(self.outputs(network), self.labels)


def validation_figures(logits: Tensor, labels: Tensor) -> dict[str, float | None]:
    """Return the figures of an epoch, 0…1: ``validation_top1``, or for multi-label images ``validation_map``."""
    if labels.ndim == 1:
        return {"validation_top1": top1(logits, labels)}
    precision = mean_average_precision(logits.numpy(), labels.numpy().astype(bool))
    return {"validation_top1": None, "validation_map": 0.0 if precision is None else precision.estimate}


def top1(logits: Tensor, labels: Tensor) -> float:
    """Return the top-1 accuracy of logits (N, classes), 0…1."""
    return float((logits.argmax(1) == labels).double().mean())


def mean_recall(logits: Tensor, labels: Tensor) -> float:
    """Return the mean recall over the classes that have images, of logits (N, classes), 0…1."""
    right = (logits.argmax(1) == labels).double()
    return float(torch.stack([right[labels == label].mean() for label in torch.unique(labels)]).mean())


class Material(NamedTuple):
    """The images of a phase, and the folder of its state."""

    decoded: DecodedImages
    validation: ValidationPixels
    folder: Path
    tell: Progress
    classes: int
    teacher: nn.Module | None = None
    """Network whose logits replace the labels."""
    teacher_px: ImageSize | None = None
    """Size of the teacher's images; None: the same as for the network that learns."""
    features: Path | None = None
    """Folder with part files of frozen features of these images."""
    groups: tuple[nn.Module, ...] = ()
    """Layer groups before the head, which are unfrozen one after another from the last; empty: all are trained from the start."""
    team: Team = ALONE
    """Processes that train this network together."""
    device: torch.device = CPU

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several labels."""
        return self.decoded.labels.ndim == 2
