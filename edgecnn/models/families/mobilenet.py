"""MobileNet V1, and V3's blocks by groups of one width for torchvision's builder, whose own settings come unscaled in depth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

from edgecnn.models.families.scaling import BlockGroup, scaled_groups
from edgecnn.values.scale import Multipliers

STEM_WIDTH = 32
V1_GROUPS = (
    BlockGroup(expand=1, kernel=3, stride=1, width=64, repeats=1),
    BlockGroup(expand=1, kernel=3, stride=2, width=128, repeats=2),
    BlockGroup(expand=1, kernel=3, stride=2, width=256, repeats=2),
    BlockGroup(expand=1, kernel=3, stride=2, width=512, repeats=6),
    BlockGroup(expand=1, kernel=3, stride=2, width=1024, repeats=2),
)
"""Table 1, a row a width; its last stride of 2 is written on a map of 7×7 that stays 7×7, and is 1."""
V1_SCALES: Mapping[str, Multipliers] = {
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
    """The whole network. ``features.0`` to ``features.2`` are the stem, then the blocks.

    A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017,
    arXiv:1704.04861, Table 1 (layers) and section 3.3 (the width multiplier). Widths are rounded to multiples of 8, which leaves
    the paper's four multipliers as they are.
    """

    def __init__(self, scale: Multipliers, classes: int = 1000) -> None:
        super().__init__()
        width = scale.channels(STEM_WIDTH)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        for group in scaled_groups(V1_GROUPS, scale):
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


class Bottleneck(NamedTuple):
    """A row of the paper's table, in the order of torchvision's ``InvertedResidualConfig``."""

    width_in: int
    kernel: int
    expanded: int
    width: int
    squeeze_excite: bool
    activation: str
    stride: int

    def again(self) -> Bottleneck:
        """The block that follows it in a deeper group."""
        return self._replace(width_in=self.width, stride=1)


class V3Variant(NamedTuple):
    """Large or Small."""

    groups: tuple[tuple[Bottleneck, ...], ...]
    last: int
    """Channels of the layer before the classifier."""


V3_LARGE = V3Variant(
    groups=(
        (Bottleneck(16, 3, 16, 16, False, "RE", 1),),
        (Bottleneck(16, 3, 64, 24, False, "RE", 2), Bottleneck(24, 3, 72, 24, False, "RE", 1)),
        (Bottleneck(24, 5, 72, 40, True, "RE", 2), Bottleneck(40, 5, 120, 40, True, "RE", 1),
         Bottleneck(40, 5, 120, 40, True, "RE", 1)),
        (Bottleneck(40, 3, 240, 80, False, "HS", 2), Bottleneck(80, 3, 200, 80, False, "HS", 1),
         Bottleneck(80, 3, 184, 80, False, "HS", 1), Bottleneck(80, 3, 184, 80, False, "HS", 1)),
        (Bottleneck(80, 3, 480, 112, True, "HS", 1), Bottleneck(112, 3, 672, 112, True, "HS", 1)),
        (Bottleneck(112, 5, 672, 160, True, "HS", 2), Bottleneck(160, 5, 960, 160, True, "HS", 1),
         Bottleneck(160, 5, 960, 160, True, "HS", 1)),
    ),
    last=1280,
)  # fmt: skip
"""Table 1 of arXiv:1905.02244."""
V3_SMALL = V3Variant(
    groups=(
        (Bottleneck(16, 3, 16, 16, True, "RE", 2),),
        (Bottleneck(16, 3, 72, 24, False, "RE", 2), Bottleneck(24, 3, 88, 24, False, "RE", 1)),
        (Bottleneck(24, 5, 96, 40, True, "HS", 2), Bottleneck(40, 5, 240, 40, True, "HS", 1),
         Bottleneck(40, 5, 240, 40, True, "HS", 1)),
        (Bottleneck(40, 5, 120, 48, True, "HS", 1), Bottleneck(48, 5, 144, 48, True, "HS", 1)),
        (Bottleneck(48, 5, 288, 96, True, "HS", 2), Bottleneck(96, 5, 576, 96, True, "HS", 1),
         Bottleneck(96, 5, 576, 96, True, "HS", 1)),
    ),
    last=1024,
)  # fmt: skip
"""Table 2, as torchvision builds it."""
V3_VARIANTS: Mapping[str, V3Variant] = {"mobilenet_v3_large": V3_LARGE, "mobilenet_v3_small": V3_SMALL}


def scaled_rows(variant: V3Variant, by: Multipliers) -> tuple[tuple[Bottleneck, ...], ...]:
    """The groups with as many blocks as the depth asks for, the last one again and again; widths are not scaled yet."""
    return tuple(_repeated(group, by.repeats(len(group))) for group in variant.groups)


def _repeated(group: tuple[Bottleneck, ...], count: int) -> tuple[Bottleneck, ...]:
    return (*group[:count], *([group[-1].again()] * (count - len(group))))


def scaled_network(builder: str, by: Multipliers) -> nn.Module:
    """The network for 1,000 classes, all its layers scaled, as torchvision's ``width_mult`` does."""
    variant = V3_VARIANTS[builder]
    config = partial(InvertedResidualConfig, dilation=1, width_mult=by.width)
    settings = [config(*row) for group in scaled_rows(variant, by) for row in group]
    network: nn.Module = MobileNetV3(settings, by.channels(variant.last))
    return network
