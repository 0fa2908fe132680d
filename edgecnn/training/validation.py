"""Accuracy on the pixels of ``choose``: the very bytes that candidates are chosen on later. ``report`` is never opened here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgecnn.training.augment import normalized
from edgecnn.training.team import ALONE, Team
from edgecnn.values.dataset import Normalization

BATCH = 128


class ChoosePixels:
    """``choose`` of a prepare artifact.

    Args:
        prepared: the artifact's folder.
        normalization: pixels → input.
    """

    def __init__(self, prepared: Path, normalization: Normalization) -> None:
        self.pixels: npt.NDArray[np.uint8] = np.load(prepared / "choose.pixels.npy", mmap_mode="r")
        self.labels = torch.from_numpy(np.load(prepared / "choose.labels.npy"))
        self.normalization = normalization

    def __len__(self) -> int:
        return len(self.labels)

    @torch.no_grad()
    def outputs(self, network: nn.Module, team: Team = ALONE) -> Tensor:
        """What the network makes of every image, in order, with the network in evaluation mode; each of a team has it whole."""
        network.eval()
        parts = []
        for start in team.own(range(0, len(self), BATCH)):
            pixels = torch.from_numpy(np.array(self.pixels[start : start + BATCH])).permute(0, 3, 1, 2)
            parts.append(network(normalized(pixels, self.normalization)))
        return torch.cat(team.gathered(parts))

    def top1(self, network: nn.Module) -> float:
        """Share of images whose largest logit is the right class, 0…1."""
        return self.top1_of(self.outputs(network))

    def top1_of(self, logits: Tensor) -> float:
        """The same, of logits (N, classes)."""
        return float((logits.argmax(1) == self.labels).double().mean())


def mean_recall(logits: Tensor, labels: Tensor) -> float:
    """Mean over the classes that are there of the share of a class's images that are right, of logits (N, classes), 0…1."""
    right = (logits.argmax(1) == labels).double()
    return float(torch.stack([right[labels == label].mean() for label in torch.unique(labels)]).mean())
