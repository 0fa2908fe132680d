"""Rows from which families of block networks are built, how multipliers scale them, and the head of our own tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from edgecnn.values.base import Value
from edgecnn.values.scale import Multipliers


class BlockGroup(Value):
    """``repeats`` inverted residual blocks of one width; the first block has the stride."""

    expand: PositiveInt
    """Width of the depthwise convolution relative to the block's input."""
    kernel: Literal[3, 5]
    stride: Literal[1, 2]
    width: PositiveInt
    repeats: PositiveInt = 1


def scaled_groups(rows: tuple[BlockGroup, ...], by: Multipliers, *, fixed_ends: bool = False) -> tuple[BlockGroup, ...]:
    """Return the scaled rows. ``fixed_ends`` does not scale the repeats of the first and the last group."""
    last = len(rows) - 1
    return tuple(
        row.model_copy(
            update={
                "width": by.channels(row.width),
                "repeats": row.repeats if fixed_ends and index in (0, last) else by.repeats(row.repeats),
            }
        )
        for index, row in enumerate(rows)
    )


class MeanClassifier(nn.Module):
    """Blocks, mean over positions, dropout and one fully connected layer; convolutions are initialized as in He et al., by
    fan-out.
    """

    def __init__(self, features: Sequence[nn.Module], width: int, *, dropout: float, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.features(image)), 1))
        return logits
