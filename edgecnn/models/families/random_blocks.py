"""Networks of random blocks for latency tables: every kind of layer of the families here, in shapes that none of them has.

They are never trained, and recipes cannot name them. A table of whole families could not predict a layer that only one of them
has. nn-Meter draws the kernels that it times in a similar way (Zhang and others, MobiSys 2021, doi:10.1145/3458864.3467882,
section 4.3).
"""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import channel_shuffle
from torchvision.ops import SqueezeExcitation

from edgecnn.models.families.tables import MeanClassifier

STAGES, MOST_BLOCKS = 4, 4
NARROW, WIDE = 0.25, 2.5
"""Multiples of the channels that the families here have: from the thinnest MobileNets to ResNets of twice the width."""
MOST_CHANNELS = 2048
HALF = 0.5
"""Probability of a part that about half of the families have."""
_ACTIVATIONS: tuple[type[nn.Module], ...] = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish)
_GATES = ((nn.SiLU, nn.Sigmoid), (nn.ReLU, nn.Hardsigmoid))
"""Ratios of squeeze-excite in EfficientNet and in MobileNetV3."""


def random_blocks(seed: int) -> nn.Module:
    """Return the network with 1000 outputs that a seed determines."""
    return _Drawn(seed).network()


def _through(layers: nn.Sequential, image: Tensor) -> Tensor:
    for layer in layers:
        image = layer(image)
    return image


class Residual(nn.Sequential):
    """Layers whose output is added to their input."""

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → the same shape."""
        return _through(self, image) + image


class Dense(nn.Sequential):
    """Layers that each read the input and the output of all earlier layers, as in DenseNet."""

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C + all layers' channels, H, W)."""
        known = [image]
        for layer in self:
            known.append(layer(torch.cat(known, 1)))
        return torch.cat(known, 1)


class Shuffled(nn.Sequential):
    """Layers on one half of the channels, after which the halves are shuffled, as in ShuffleNet V2."""

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float, C even → the same shape."""
        kept, changed = image.chunk(2, dim=1)
        shuffled: Tensor = channel_shuffle(torch.cat([kept, _through(self, changed)], 1), groups=2)
        return shuffled


class _Drawn:
    """Draws one network, block by block."""

    def __init__(self, seed: int) -> None:
        self._draw, self._channels = random.Random(seed), 3
        self._wider = NARROW * (WIDE / NARROW) ** self._draw.random()

    def network(self) -> nn.Module:
        """Return a stem, stages of several blocks, each at half the previous resolution, and a head."""
        blocks = self._conv(self._about(16, 48), self._draw.choice((3, 5)), stride=2)
        kinds = (
            self._plain, self._grouped, self._separable, self._inverted, self._inverted, self._bottleneck, self._dense,
            self._shuffled,
        )  # fmt: skip
        for stage in range(STAGES):
            blocks += self._down(self._about(16 << stage, 96 << stage))
            for _ in range(self._draw.randint(1, MOST_BLOCKS)):
                blocks += self._draw.choice(kinds)(1 << stage)
        if self._draw.random() < HALF:
            blocks += self._conv(self._about(256, MOST_CHANNELS), 1)
        return MeanClassifier(blocks, self._channels, dropout=0.0, classes=1000)

    def _about(self, low: int, high: int) -> int:
        """Return a number of channels around a value, log-uniform, as a multiple of 8."""
        channels: float = self._wider * low * (high / low) ** self._draw.random()
        return min(MOST_CHANNELS, 8 * max(1, round(channels / 8)))

    def _conv(self, channels: int, kernel: int, *, stride: int = 1, groups: int = 1, act: bool = True) -> list[nn.Module]:
        made = nn.Conv2d(self._channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self._channels = channels
        return [made, nn.BatchNorm2d(channels), *([self._draw.choice(_ACTIVATIONS)()] if act else [])]

    def _depthwise(self, stride: int = 1, *, act: bool = True) -> list[nn.Module]:
        return self._conv(self._channels, self._draw.choice((3, 3, 5, 7)), stride=stride, groups=self._channels, act=act)

    def _down(self, channels: int) -> list[nn.Module]:
        """Return a layer that halves the side."""
        way = self._draw.choice(("convolution", "depthwise", "maximum", "mean"))
        if way == "convolution":
            return self._conv(channels, self._draw.choice((1, 3, 5)), stride=2)
        if way == "depthwise":
            return [*self._depthwise(stride=2), *self._conv(channels, 1)]
        pool = nn.MaxPool2d(3, 2, 1) if way == "maximum" else nn.AvgPool2d(2, 2, ceil_mode=True)
        return [*self._conv(channels, 1), pool]

    def _plain(self, wide: int) -> list[nn.Module]:
        return self._conv(self._about(16 * wide, 64 * wide), self._draw.choice((1, 3, 3, 5)))

    def _grouped(self, wide: int) -> list[nn.Module]:
        groups = self._draw.choice((2, 3, 4, 8, 32))
        channels = groups * max(4, self._about(32 * wide, 96 * wide) // groups)
        return [*self._conv(channels, 1), *self._conv(channels, self._draw.choice((1, 3)), groups=groups)]

    def _separable(self, wide: int) -> list[nn.Module]:
        return [*self._depthwise(), *self._conv(self._about(16 * wide, 96 * wide), 1)]

    def _inverted(self, _: int) -> list[nn.Module]:
        channels, inner = self._channels, min(MOST_CHANNELS, 8 * round(self._channels * self._draw.uniform(1, 6) / 8) or 8)
        layers = [*self._conv(inner, 1), *self._depthwise()]
        if self._draw.random() < HALF:
            act, gate = self._draw.choice(_GATES)
            layers.append(SqueezeExcitation(inner, max(8, channels // 4), activation=act, scale_activation=gate))
        return [Residual(*layers, *self._conv(channels, 1, act=False))]

    def _bottleneck(self, _: int) -> list[nn.Module]:
        channels, inner = self._channels, 8 * max(1, self._channels // self._draw.choice((8, 16, 32)))
        return [Residual(*self._conv(inner, 1), *self._conv(inner, 3), *self._conv(channels, 1, act=False)), nn.ReLU()]

    def _dense(self, _: int) -> list[nn.Module]:
        growth, layers = self._about(8, 48), list[nn.Module]()
        for _ in range(self._draw.randint(2, MOST_BLOCKS)):
            before = self._channels
            wide = [nn.BatchNorm2d(before), nn.ReLU(), *self._conv(4 * growth, 1)]
            layers.append(nn.Sequential(*wide, self._conv(growth, 3, act=False)[0]))
            self._channels = before + growth
        return [Dense(*layers)]

    def _shuffled(self, _: int) -> list[nn.Module]:
        channels = 2 * (self._channels // 2)
        before = [] if channels == self._channels else self._conv(channels, 1)
        self._channels = channels // 2
        layers = [*self._conv(channels // 2, 1), *self._depthwise(act=False), *self._conv(channels // 2, 1)]
        self._channels = channels
        return [*before, Shuffled(*layers)]
