"""ShuffleNet V1 with three groups: grouped 1×1 convolutions, whose channels are shuffled to exchange information between groups.

X. Zhang, X. Zhou, M. Lin, J. Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices", CVPR
2018, arXiv:1707.01083: Table 1 (column g = 3), Figure 2 (units), section 3.2 (bottlenecks of a quarter; no groups in the first
1×1, whose input has few channels). The multipliers are the authors' (their repository ShuffleNet-Series, which gives 0.7, 1.9,
3.4 and 5.4 million numbers).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from edgecnn.values.base import Value

GROUPS = 3
REPEATS = (4, 8, 4)
"""Units of stages 2, 3 and 4; the first of each has the stride of 2."""


class Widths(Value):
    """Channels of the stem and of stage 2, which later stages double."""

    stem: PositiveInt
    second: PositiveInt


VARIANTS: Mapping[str, Widths] = {
    "shufflenet_v1_x0_5": Widths(stem=12, second=120),
    "shufflenet_v1_x1_0": Widths(stem=24, second=240),
    "shufflenet_v1_x1_5": Widths(stem=24, second=360),
    "shufflenet_v1_x2_0": Widths(stem=48, second=480),
}


class ChannelShuffle(nn.Module):
    """Transpose groups × channels a group (section 3.1), written with sizes that an exporter treats as constants."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.order = (GROUPS, channels // GROUPS)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → the same, its channels reordered."""
        height, width = image.shape[-2:]
        apart = image.reshape(-1, *self.order, height, width).transpose(1, 2)
        return apart.reshape(-1, self.order[0] * self.order[1], height, width)


class ShuffleUnit(nn.Module):
    """Figure 2b, or 2c if the stride is 2, which concatenates the averaged input with the output."""

    def __init__(self, before: int, after: int, *, stride: int, first_groups: int = GROUPS) -> None:
        super().__init__()
        inner, made = after // 4, after - before if stride == 2 else after  # noqa: PLR2004
        self.branch = nn.Sequential(
            nn.Conv2d(before, inner, 1, groups=first_groups, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            ChannelShuffle(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.Conv2d(inner, made, 1, groups=GROUPS, bias=False),
            nn.BatchNorm2d(made),
        )
        self.beside = nn.AvgPool2d(3, 2, 1) if stride == 2 else None  # noqa: PLR2004
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', H / stride, W / stride) float."""
        changed = self.branch(image)
        if self.beside is None:
            summed: Tensor = self.relu(changed + image)
            return summed
        joined: Tensor = self.relu(torch.cat([self.beside(image), changed], 1))
        return joined


class ShuffleNetV1(nn.Module):
    """ShuffleNet V1: stem, three stages, mean over positions, one fully connected layer."""

    def __init__(self, widths: Widths, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths.stem, 3, 2, 1, bias=False),
            nn.BatchNorm2d(widths.stem),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        units: list[nn.Module] = []
        width = widths.stem
        for stage, repeats in enumerate(REPEATS):
            after = widths.second * 2**stage
            for repeat in range(repeats):
                groups = GROUPS if units else 1
                units.append(ShuffleUnit(width, after, stride=1 if repeat else 2, first_groups=groups))
                width = after
        self.stages = nn.Sequential(*units)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        logits: Tensor = self.fc(torch.flatten(self.pool(self.stages(self.stem(image))), 1))
        return logits
