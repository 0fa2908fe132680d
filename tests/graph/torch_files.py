"""The classifier of ``tests.graph.custom_files`` as torch writes it: exported, scripted, traced, and as it goes wrong."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.export import Dim

from tests.graph.custom_files import SIDE, weights_of


class Classifier(nn.Module):
    """conv, batch norm, relu, global pooling, linear: trained by hand for one preprocessing."""

    def __init__(self, like: str = "half") -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Linear(3, 4)
        held = weights_of(like, batch_norm=True, half=False)
        made = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in held}
        ours = {"conv.weight": "conv.w", "conv.bias": "conv.b", "norm.weight": "g", "norm.bias": "s", "norm.running_mean": "m"}
        ours |= {"norm.running_var": "v", "fc.weight": "fc.w", "fc.bias": "fc.b"}
        self.load_state_dict({name: made[theirs] for name, theirs in ours.items()}, strict=False)
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(torch.relu(self.norm(self.conv(image))).mean((2, 3)))  # type: ignore[no-any-return]


class WithSoftmax(Classifier):
    def forward(self, image: Tensor) -> Tensor:
        return torch.softmax(self.fc(torch.relu(self.norm(self.conv(image))).mean((2, 3))), 1)


class OneShare(Classifier):
    """Of the second class alone, as people write a classifier of two."""

    def forward(self, image: Tensor) -> Tensor:
        scores = self.fc(torch.relu(self.norm(self.conv(image))).mean((2, 3)))
        return torch.sigmoid(scores[:, :1]).squeeze(1)


class Tall(Classifier):
    """Its scores are images×classes×1×1."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image)[:, :, None, None]


class OfTwo(Classifier):
    """Its number of images stands in the graph."""

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(torch.relu(self.norm(self.conv(image))).mean((2, 3)).view(2, 3))  # type: ignore[no-any-return]


class Twofold(Classifier):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        kept = torch.relu(self.norm(self.conv(image))).mean((2, 3))
        return self.fc(kept), kept


def exported(network: nn.Module, path: Path, *, images: int = 2, free: bool = True) -> Path:
    shapes = ({0: Dim("images", min=1, max=64)},) if free else None
    program = torch.export.export(network, (torch.zeros(images, 3, SIDE, SIDE),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


def scripted(network: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network).save(str(path))
    return path


def traced(network: nn.Module, path: Path, *, images: int = 2) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network, torch.zeros(images, 3, SIDE, SIDE)).save(str(path))
    return path
