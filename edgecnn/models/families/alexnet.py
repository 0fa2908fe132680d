"""The AlexNet of 2012, in two towers and in one, and ZFNet: one table of convolutions each, then two layers of 4,096.

- A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012 (not on
  arXiv), section 3: sizes, overlapping pooling and response normalization. The two towers of its two GPUs are grouped
  convolutions: 60,965,224 numbers; the same layers without groups have 62,378,344. The paper writes 224 pixels; its 55×55 maps
  need 227. torchvision's ``alexnet`` is the later one-tower network (arXiv:1404.5997).
- M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, arXiv:1311.2901, Figure 3.

Where an image is not of the native size the last maps are averaged to 6×6, as torchvision's AlexNet does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from edgecnn.values.base import Value

HIDDEN = 4096
LAST_MAPS = 6
"""Side of the maps that the first fully connected layer reads."""


class ConvRow(Value):
    """One convolution with its ReLU and what follows it."""

    width: PositiveInt
    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: NonNegativeInt = 0
    groups: PositiveInt = 1
    then: tuple[Literal["normalize", "pool"], ...] = ()
    """``normalize`` across maps, ``pool`` the maximum of 3×3 by 2: in this order."""


def _alexnet(groups: int) -> tuple[ConvRow, ...]:
    """The first and the third convolution read all maps; the others, in two towers, those of their own."""
    return (
        ConvRow(width=96, kernel=11, stride=4, then=("normalize", "pool")),
        ConvRow(width=256, kernel=5, padding=2, groups=groups, then=("normalize", "pool")),
        ConvRow(width=384, kernel=3, padding=1),
        ConvRow(width=384, kernel=3, padding=1, groups=groups),
        ConvRow(width=256, kernel=3, padding=1, groups=groups, then=("pool",)),
    )


VARIANTS: Mapping[str, tuple[ConvRow, ...]] = {
    "alexnet_two_towers": _alexnet(groups=2),
    "alexnet_one_tower": _alexnet(groups=1),
    "zfnet": (
        ConvRow(width=96, kernel=7, stride=2, padding=1, then=("pool", "normalize")),
        ConvRow(width=256, kernel=5, stride=2, then=("pool", "normalize")),
        ConvRow(width=384, kernel=3, padding=1),
        ConvRow(width=384, kernel=3, padding=1),
        ConvRow(width=256, kernel=3, padding=1, then=("pool",)),
    ),
}


def _normalize() -> nn.Module:
    """k 2, n 5, alpha 1e-4, beta 0.75 (Krizhevsky et al., section 3.3); torch divides alpha by n, which the paper does not."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def _pool() -> nn.Module:
    """ZFNet's 110 pixels become 55 and its 26 become 13: the last window may hang over the edge."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


class AlexNet(nn.Module):
    """Convolutions as the rows say, then three fully connected layers with dropout before the first two."""

    def __init__(self, rows: tuple[ConvRow, ...], classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for row in rows:
            layers += [nn.Conv2d(width, row.width, row.kernel, row.stride, row.padding, groups=row.groups), nn.ReLU()]
            layers += [_normalize() if step == "normalize" else _pool() for step in row.then]
            width = row.width
        self.features = nn.Sequential(*layers)
        self.to_six = nn.AdaptiveAvgPool2d(LAST_MAPS)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(width * LAST_MAPS**2, HIDDEN), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, classes),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        maps = self.to_six(self.features(image))
        logits: Tensor = self.classifier(torch.flatten(maps, 1))
        return logits
