"""ResNets of scaled width (torchvision's builder has fixed widths), and plain networks without shortcuts.

Plain-18 and plain-34 (K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
arXiv:1512.03385, Table 1 and section 4.1) have the same layers in the same order, without shortcuts and projections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from edgecnn.values.scale import Multipliers

WIDTHS = (64, 128, 256, 512)
"""Channels of the four groups, before a bottleneck's expansion; the stem has those of the first (table 1 of arXiv:1512.03385)."""


class PlainBlock(BasicBlock):  # type: ignore[misc]
    """Two 3×3 convolutions, each with batch norm and ReLU. There is no shortcut, and so no projection."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self.downsample = None

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', H / stride, W / stride) float."""
        first = self.relu(self.bn1(self.conv1(image)))
        second: Tensor = self.relu(self.bn2(self.conv2(first)))
        return second


class Variant(NamedTuple):
    """A member of the family."""

    block: type[BasicBlock | Bottleneck]
    repeats: tuple[int, int, int, int]


VARIANTS: Mapping[str, Variant] = {
    "resnet18": Variant(BasicBlock, (2, 2, 2, 2)),
    "resnet34": Variant(BasicBlock, (3, 4, 6, 3)),
    "resnet50": Variant(Bottleneck, (3, 4, 6, 3)),
    "resnet101": Variant(Bottleneck, (3, 4, 23, 3)),
    "resnet152": Variant(Bottleneck, (3, 8, 36, 3)),
    "plain18": Variant(PlainBlock, (2, 2, 2, 2)),
    "plain34": Variant(PlainBlock, (3, 4, 6, 3)),
}
"""By torchvision's names, and the plain ones."""


class ScaledResNet(ResNet):  # type: ignore[misc]  # torchvision has no types
    """torchvision's network and layer names, with our numbers of channels."""

    def __init__(self, variant: Variant, by: Multipliers) -> None:
        nn.Module.__init__(self)  # the parent's constructor builds all layers at fixed widths
        self._norm_layer, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, 1, 1, 64
        widths = tuple(by.channels(width) for width in WIDTHS)
        self.inplanes = widths[0]
        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for index, (width, repeats) in enumerate(zip(widths, variant.repeats, strict=True)):
            layer = self._make_layer(variant.block, width, by.repeats(repeats), stride=1 if index == 0 else 2)
            setattr(self, f"layer{index + 1}", layer)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(widths[-1] * variant.block.expansion, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def plain(name: str, classes: int = 1000) -> nn.Module:
    """Return the unscaled network of that name in ``VARIANTS``."""
    network: nn.Module = ResNet(VARIANTS[name].block, list(VARIANTS[name].repeats), num_classes=classes)
    return network
