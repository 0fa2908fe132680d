"""MobileNet V1; and MobileNetV3's blocks in groups of one width for torchvision's builder, which cannot scale depth."""

from __future__ import annotations

from itertools import groupby

from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3, _mobilenet_v3_conf

from edgecnn.models.families.scaling import BlockGroup, MeanClassifier, scaled_groups
from edgecnn.values.scale import Multipliers

STEM_WIDTH = 32
V1_GROUPS = (
    BlockGroup(expand=1, kernel=3, stride=1, width=64, repeats=1),
    BlockGroup(expand=1, kernel=3, stride=2, width=128, repeats=2),
    BlockGroup(expand=1, kernel=3, stride=2, width=256, repeats=2),
    BlockGroup(expand=1, kernel=3, stride=2, width=512, repeats=6),
    BlockGroup(expand=1, kernel=3, stride=2, width=1024, repeats=2),
)
"""Table 1, one row a width. Its last stride of 2 is printed for a 7×7 map that stays 7×7, so it is 1."""


class Separable(nn.Sequential):
    """A depthwise convolution, then a 1×1 convolution, with batch norm and ReLU after both (Figure 3)."""

    def __init__(self, before: int, group: BlockGroup, *, stride: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, group.kernel, stride, group.kernel // 2, groups=before, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU(inplace=True),
            nn.Conv2d(before, group.width, 1, bias=False),
            nn.BatchNorm2d(group.width),
            nn.ReLU(inplace=True),
        )


class MobileNetV1(MeanClassifier):
    """MobileNet V1. ``features.0`` to ``features.2`` are the stem, then the blocks.

    A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017,
    arXiv:1704.04861, Table 1 (layers) and section 3.3 (the width multiplier). Widths are rounded to multiples of 8, which does
    not change the four multipliers of its Table 6.
    """

    def __init__(self, scale: Multipliers, classes: int = 1000) -> None:
        width = scale.channels(STEM_WIDTH)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        for group in scaled_groups(V1_GROUPS, scale):
            for repeat in range(group.repeats):
                layers.append(Separable(width, group, stride=group.stride if repeat == 0 else 1))
                width = group.width
        super().__init__(layers, width, dropout=0.001, classes=classes)


def v3_groups(builder: str, by: Multipliers) -> list[list[InvertedResidualConfig]]:
    """Return torchvision's rows in groups of one width, scaled to the requested depth by repeating the last row of a group.

    ``builder``: torchvision's name (Tables 1 and 2 of arXiv:1905.02244, as torchvision builds them).
    """
    groups = [list(rows) for _, rows in groupby(_mobilenet_v3_conf(builder)[0], lambda row: row.out_channels)]
    return [[_v3_row(group, place, by) for place in range(by.repeats(len(group)))] for group in groups]


def _v3_row(group: list[InvertedResidualConfig], place: int, by: Multipliers) -> InvertedResidualConfig:
    is_new = place >= len(group)
    row = group[-1] if is_new else group[place]
    before, stride = (row.out_channels, 1) if is_new else (row.input_channels, row.stride)
    activation = "HS" if row.use_hs else "RE"
    widths = before, row.kernel, row.expanded_channels, row.out_channels
    return InvertedResidualConfig(*widths, row.use_se, activation, stride, row.dilation, by.width)


def scaled_v3(builder: str, by: Multipliers) -> nn.Module:
    """Return the network for 1,000 classes with all layers scaled, as torchvision's ``width_mult`` does."""
    rows = [row for group in v3_groups(builder, by) for row in group]
    network: nn.Module = MobileNetV3(rows, by.channels(_mobilenet_v3_conf(builder)[1]))
    return network
