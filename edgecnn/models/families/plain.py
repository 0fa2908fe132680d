"""Plain-18 and plain-34: the ResNets without what they are named after, to show that depth alone makes worse.

K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, Table 1 and
section 4.1: the same layers in the same order, no shortcuts and so no projections. Everything else is torchvision's ResNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

LAYERS: Mapping[str, tuple[int, int, int, int]] = {"plain18": (2, 2, 2, 2), "plain34": (3, 4, 6, 3)}


class PlainBlock(BasicBlock):  # type: ignore[misc]
    """Two 3×3 convolutions, each with batch norm and ReLU; the projection that a shortcut would need is dropped."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self.downsample = None

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', H / stride, W / stride) float."""
        first = self.relu(self.bn1(self.conv1(image)))
        second: Tensor = self.relu(self.bn2(self.conv2(first)))
        return second


def plain(name: str, classes: int = 1000) -> nn.Module:
    """The network of that name in ``LAYERS``."""
    network: nn.Module = ResNet(PlainBlock, list(LAYERS[name]), num_classes=classes)
    return network
