"""MobileNet V1: depthwise and 1×1 convolutions in turn, and one multiplier for every width.

A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017, arXiv:1704.04861,
Table 1 (layers) and section 3.3 (the width multiplier). Widths are rounded to multiples of 8, which leaves the paper's four
multipliers as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgecnn.models.families.scaling import BlockGroup, scaled_groups
from edgecnn.values.scale import Multipliers

STEM_WIDTH = 32
GROUPS = (
    BlockGroup(expand=1, kernel=3, stride=1, width=64, repeats=1),
    BlockGroup(expand=1, kernel=3, stride=2, width=128, repeats=2),
    BlockGroup(expand=1, kernel=3, stride=2, width=256, repeats=2),
    BlockGroup(expand=1, kernel=3, stride=2, width=512, repeats=6),
    BlockGroup(expand=1, kernel=3, stride=2, width=1024, repeats=2),
)
"""Table 1, a row a width; its last stride of 2 is written on a map of 7×7 that stays 7×7, and is 1."""
SCALES: Mapping[str, Multipliers] = {
    "mobilenet_v1_100": Multipliers(width=1.0),
    "mobilenet_v1_075": Multipliers(width=0.75),
    "mobilenet_v1_050": Multipliers(width=0.5),
    "mobilenet_v1_025": Multipliers(width=0.25),
}
"""The multipliers of Table 6."""


class Separable(nn.Sequential):
    """A filter a channel, then a mix of channels; batch norm and ReLU after both (Figure 3)."""

    def __init__(self, before: int, group: BlockGroup, *, stride: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, group.kernel, stride, group.kernel // 2, groups=before, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU(inplace=True),
            nn.Conv2d(before, group.width, 1, bias=False),
            nn.BatchNorm2d(group.width),
            nn.ReLU(inplace=True),
        )


class MobileNetV1(nn.Module):
    """The whole network. ``features.0`` to ``features.2`` are the stem, then the blocks."""

    def __init__(self, scale: Multipliers, classes: int = 1000) -> None:
        super().__init__()
        width = scale.channels(STEM_WIDTH)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        for group in scaled_groups(GROUPS, scale):
            for repeat in range(group.repeats):
                layers.append(Separable(width, group, stride=group.stride if repeat == 0 else 1))
                width = group.width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.001), nn.Linear(width, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.features(image)), 1))
        return logits
