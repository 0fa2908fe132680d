"""What a phase of training learns from and is judged by: accuracy on the very pixels on which candidates are chosen later.

The images on which the result is reported are never opened here.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgecnn.judging.predictions.average_precision import mean_average_precision
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.gpu import device_of
from edgecnn.training.images.augmented_batch import normalized
from edgecnn.training.images.loader import DecodedImages
from edgecnn.training.machine import CPU
from edgecnn.training.parallel.team import ALONE, Team
from edgecnn.values.data.preprocessing import Normalization
from edgecnn.values.stage import Progress

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
    found = mean_average_precision(logits.numpy(), labels.numpy().astype(bool))
    return {"validation_top1": None, "validation_map": 0.0 if found is None else found.estimate}


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
