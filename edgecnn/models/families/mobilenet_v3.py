"""MobileNet V3's blocks by groups of one width, for torchvision's builder: its own settings come unscaled in depth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

from edgecnn.values.scale import Multipliers


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


class Variant(NamedTuple):
    """Large or Small."""

    groups: tuple[tuple[Bottleneck, ...], ...]
    last: int
    """Channels of the layer before the classifier."""


LARGE = Variant(
    groups=(
        (Bottleneck(16, 3, 16, 16, False, "RE", 1),),
        (Bottleneck(16, 3, 64, 24, False, "RE", 2), Bottleneck(24, 3, 72, 24, False, "RE", 1)),
        (
            Bottleneck(24, 5, 72, 40, True, "RE", 2),
            Bottleneck(40, 5, 120, 40, True, "RE", 1),
            Bottleneck(40, 5, 120, 40, True, "RE", 1),
        ),
        (
            Bottleneck(40, 3, 240, 80, False, "HS", 2),
            Bottleneck(80, 3, 200, 80, False, "HS", 1),
            Bottleneck(80, 3, 184, 80, False, "HS", 1),
            Bottleneck(80, 3, 184, 80, False, "HS", 1),
        ),
        (Bottleneck(80, 3, 480, 112, True, "HS", 1), Bottleneck(112, 3, 672, 112, True, "HS", 1)),
        (
            Bottleneck(112, 5, 672, 160, True, "HS", 2),
            Bottleneck(160, 5, 960, 160, True, "HS", 1),
            Bottleneck(160, 5, 960, 160, True, "HS", 1),
        ),
    ),
    last=1280,
)
"""Table 1 of arXiv:1905.02244."""
SMALL = Variant(
    groups=(
        (Bottleneck(16, 3, 16, 16, True, "RE", 2),),
        (Bottleneck(16, 3, 72, 24, False, "RE", 2), Bottleneck(24, 3, 88, 24, False, "RE", 1)),
        (
            Bottleneck(24, 5, 96, 40, True, "HS", 2),
            Bottleneck(40, 5, 240, 40, True, "HS", 1),
            Bottleneck(40, 5, 240, 40, True, "HS", 1),
        ),
        (Bottleneck(40, 5, 120, 48, True, "HS", 1), Bottleneck(48, 5, 144, 48, True, "HS", 1)),
        (
            Bottleneck(48, 5, 288, 96, True, "HS", 2),
            Bottleneck(96, 5, 576, 96, True, "HS", 1),
            Bottleneck(96, 5, 576, 96, True, "HS", 1),
        ),
    ),
    last=1024,
)
"""Table 2, as torchvision builds it."""
VARIANTS: Mapping[str, Variant] = {"mobilenet_v3_large": LARGE, "mobilenet_v3_small": SMALL}


def scaled_rows(variant: Variant, by: Multipliers) -> tuple[tuple[Bottleneck, ...], ...]:
    """The groups with as many blocks as the depth asks for, the last one again and again; widths are not scaled yet."""
    return tuple(_repeated(group, by.repeats(len(group))) for group in variant.groups)


def _repeated(group: tuple[Bottleneck, ...], count: int) -> tuple[Bottleneck, ...]:
    return (*group[:count], *([group[-1].again()] * (count - len(group))))


def scaled_network(builder: str, by: Multipliers) -> nn.Module:
    """The network for 1,000 classes, all its layers scaled, as torchvision's ``width_mult`` does."""
    variant = VARIANTS[builder]
    config = partial(InvertedResidualConfig, dilation=1, width_mult=by.width)
    settings = [config(*row) for group in scaled_rows(variant, by) for row in group]
    network: nn.Module = MobileNetV3(settings, by.channels(variant.last))
    return network
