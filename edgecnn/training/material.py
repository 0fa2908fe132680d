"""The training images, decoded once, and the images by which a phase of training is judged.

Decoding a photograph costs more than shrinking a stored one, so images are kept as large as they are resized and every epoch
crops them anew. Above ``HELD_BYTES`` they are not kept and each epoch decodes again. Accuracy is judged on the very pixels on
which candidates are chosen later. The images on which the result is reported are never opened here.
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
from edgecnn.data.pixels import reserved
from edgecnn.judging.predictions.average_precision import mean_average_precision
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.augment import normalized
from edgecnn.training.parallel.team import ALONE, Team
from edgecnn.training.process import CPU, device_of
from edgecnn.training.settings import training_threads
from edgecnn.values.dataset import ImageEntry
from edgecnn.values.preprocessing import Normalization, PixelRecipe
from edgecnn.values.stage import Progress

HELD_BYTES = 2 << 30
_BLOCK = 64


def kept_decoded(images: int, size: ImageSize) -> bool:
    """Return whether decoded training images fit into ``HELD_BYTES``."""
    return 3 * images * size.area_px <= HELD_BYTES


class DecodedImages:
    """Pixels of images by position, from a kept array or decoded on demand.

    ``pixels``: as what is trained is fed in use; what that crops of them is left to ``centred``.
    """

    def __init__(self, source: ImageSource, entries: Sequence[ImageEntry], pixels: PixelRecipe) -> None:
        self.source = source
        self.entries = entries
        self.size = pixels.decoded_px
        self.labels: npt.NDArray[Any] = source.labels(entries)
        """int64 (N,), or of multi-label images uint8 (N, classes)."""
        self._recipe = pixels.runner_recipe()._replace(resize_px=self.size, crop_px=self.size)
        self._held: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def hold(self, file: Path, tell: Progress) -> None:
        """Decode everything into ``file`` (uint8 (N, H, W, 3)) unless it is there, or too large to keep."""
        shape = (len(self), *self.size, 3)
        if not kept_decoded(len(self), self.size):
            tell.note(f"{len(self):,} training images are too many to keep decoded; each epoch decodes them again")
            return
        if not file.exists():
            partial = file.with_suffix(".part")
            held = reserved(partial, shape)
            for start in range(0, len(self), _BLOCK):
                stop = min(start + _BLOCK, len(self))
                held[start:stop] = self._decode(range(start, stop))
                tell.step("decode training images", stop, len(self), "images")
            held.flush()
            partial.rename(file)
        self._held = np.load(file, mmap_mode="r")

    def read(self, positions: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """uint8 (n, H, W, 3), in the order of ``positions``."""
        return self._decode([int(p) for p in positions]) if self._held is None else np.asarray(self._held[np.asarray(positions)])

    def _decode(self, positions: Sequence[int]) -> npt.NDArray[np.uint8]:
        with ThreadPoolExecutor(training_threads()) as pool:  # Pillow releases the interpreter while it decodes and resizes
            return np.stack(list(pool.map(self._one, positions)))

    def _one(self, position: int) -> npt.NDArray[np.uint8]:
        return self.source.pixels(self.entries[position], self._recipe)


BATCH = 128


class ValidationPixels:
    """``validation`` of a prepare artifact."""

    def __init__(self, prepared: Path, normalization: Normalization) -> None:
        self.pixels: npt.NDArray[np.uint8] = np.load(prepared / "validation.pixels.npy", mmap_mode="r")
        self.labels = torch.from_numpy(np.load(prepared / "validation.labels.npy"))
        self.normalization = normalization

    def __len__(self) -> int:
        return len(self.labels)

    @torch.no_grad()
    def outputs(self, network: nn.Module, team: Team = ALONE) -> Tensor:
        """What the network makes of every image, in order, with the network in evaluation mode; each of a team has it whole."""
        network.eval()
        device, parts = device_of(network), []
        for start in team.own(range(0, len(self), BATCH)):
            pixels = torch.from_numpy(np.array(self.pixels[start : start + BATCH])).permute(0, 3, 1, 2)
            parts.append(network(normalized(pixels, self.normalization).to(device)).cpu())
        return torch.cat(team.gathered(parts))

    def top1(self, network: nn.Module) -> float:
        """Share of images whose largest logit is the right class, 0…1."""
        return top1(self.outputs(network), self.labels)


def standing(logits: Tensor, labels: Tensor) -> dict[str, float | None]:
    """What an epoch is judged by, 0…1: ``validation_top1``, or of multi-label images ``validation_map``."""
    if labels.ndim == 1:
        return {"validation_top1": top1(logits, labels)}
    precision = mean_average_precision(logits.numpy(), labels.numpy().astype(bool))
    return {"validation_top1": None, "validation_map": 0.0 if precision is None else precision.estimate}


def top1(logits: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit, of (N, classes), is the right class, 0…1."""
    return float((logits.argmax(1) == labels).double().mean())


def mean_recall(logits: Tensor, labels: Tensor) -> float:
    """Mean over the classes that are there of the share of a class's images that are right, of logits (N, classes), 0…1."""
    right = (logits.argmax(1) == labels).double()
    return float(torch.stack([right[labels == label].mean() for label in torch.unique(labels)]).mean())


class Material(NamedTuple):
    """What a phase learns from and is judged by, and where it keeps its state."""

    decoded: DecodedImages
    validation: ValidationPixels
    folder: Path
    tell: Progress
    classes: int
    teacher: nn.Module | None = None
    """Whose answers are learned in place of labels."""
    teacher_px: ImageSize | None = None
    """Size of the images that it is shown; None: of those that are learned from."""
    features: Path | None = None
    """A folder in which features of these images lie already."""
    groups: tuple[nn.Module, ...] = ()
    """Of blocks before the head, which begin to learn one after another, the last one first; none: all learn at once."""
    team: Team = ALONE
    """Who trains together with this process."""
    device: torch.device = CPU
    """That learns."""

    @property
    def multi_label(self) -> bool:
        """Whether images have any number of labels."""
        return self.decoded.labels.ndim == 2
