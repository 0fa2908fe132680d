"""A training as torchvision's own references/classification has it, without options: what ``training_rate`` holds ours against.

Photographs are decoded by workers in every epoch, cropped at random, mirrored and normalized as tensors; then forward,
cross-entropy, backward and a step of SGD. Nothing of edgecnn is imported here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

AREA, RATIO = (0.6, 1.0), (1 / 1.18, 1.18)
"""Of random crops: edgecnn's own, so that both make as much of a picture."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Photographs(Dataset[tuple[Tensor, int]]):
    """Files decoded when they are asked for."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int], side_px: int) -> None:
        self.files, self.labels = files, labels
        self.changed = v2.Compose(
            [
                v2.RandomResizedCrop(side_px, scale=AREA, ratio=RATIO, antialias=True),
                v2.RandomHorizontalFlip(),
                v2.PILToTensor(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        with Image.open(self.files[position]) as picture:
            return self.changed(picture.convert("RGB")), self.labels[position]


def batches_of(photographs: Photographs, batch: int, workers: int) -> Iterable[tuple[Tensor, Tensor]]:
    """Shuffled; the workers stay alive between epochs."""
    return DataLoader(photographs, batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0, drop_last=True)


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    """As the references have it."""
    return torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)


def train_one_epoch(network: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[tuple[Tensor, Tensor]]) -> int:
    """Images that were learned from."""
    network.train()
    criterion, images_seen = nn.CrossEntropyLoss(label_smoothing=0.1), 0
    for images, labels in batches:
        loss = criterion(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        images_seen += len(images) if loss.item() == loss.item() else 0  # the references look at the loss of every step
    return images_seen


def step_seconds(network: nn.Module, images: Tensor, labels: Tensor, steps: int, *, bf16: bool) -> float:
    """Of steps on one batch, in the memory order that network and images have."""
    network.train()
    optimizer, criterion = sgd(network), nn.CrossEntropyLoss(label_smoothing=0.1)
    began = time.perf_counter()
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = criterion(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - began
