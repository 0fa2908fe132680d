"""The networks before batch norm, from our own tables: LeNet-5, the AlexNet of 2012, ZFNet, and Network in Network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.values.base import Value

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601), as Pillow uses to convert to grey."""
TABLE_1: Mapping[int, tuple[tuple[int, ...], ...]] = {
    3: ((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    4: (
        (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
        (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    ),
    6: ((0, 1, 2, 3, 4, 5),),
}  # fmt: skip
"""Maps of S2 that each of C3's sixteen maps reads, grouped by their number."""


class Squash(nn.Module):
    """``1.7159 tanh(2/3 x)``, which maps ±1 to ±1 (appendix A)."""

    def forward(self, image: Tensor) -> Tensor:
        """Any shape → the same shape."""
        return 1.7159 * torch.tanh(image * (2 / 3))


class Subsampling(nn.Module):
    """The mean of each 2×2, times a trained coefficient, plus a trained bias, for each map (S2, S4)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.mean = nn.AvgPool2d(2)
        self.scale = nn.Conv2d(maps, maps, 1, groups=maps)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C, H / 2, W / 2) float."""
        scaled: Tensor = self.scale(self.mean(image))
        return scaled


class PartlyConnected(nn.Module):
    """C3: every map reads its row of Table I only; rows with equally many maps form one grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(read * len(rows), len(rows), 5, groups=len(rows)) for read, rows in TABLE_1.items())
        self.read = [[index for row in rows for index in row] for rows in TABLE_1.values()]

    def forward(self, image: Tensor) -> Tensor:
        """(N, 6, H, W) float → (N, 16, H - 4, W - 4) float."""
        maps = [image[:, at : at + 1] for at in range(image.shape[1])]
        read = [torch.cat([maps[at] for at in places], 1) for places in self.read]
        return torch.cat([part(maps_read) for part, maps_read in zip(self.parts, read, strict=True)], 1)


class LeNet5(nn.Module):
    """LeNet-5, with its layers under the paper's names.

    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE
    86(11), 1998 (older than arXiv). Section II.B: layer sizes and counts; Table I: which maps of S2 each map of C3 reads;
    appendix A: the activation.

    It differs from the paper in three ways, because images have colours and training uses cross-entropy. The image is converted
    to grey first. A fully connected layer replaces the final distances to drawn characters. For images that are not 32 pixels
    wide, the last maps are averaged to 5×5, their size at 32 pixels.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = PartlyConnected()
        self.s4 = Subsampling(16)
        self.to_five = nn.AdaptiveAvgPool2d(5)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.squash = Squash()
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        red, green, blue = image[:, 0:1], image[:, 1:2], image[:, 2:3]
        grey = GREY[0] * red + GREY[1] * green + GREY[2] * blue
        second = self.squash(self.s2(self.squash(self.c1(grey))))
        fourth = self.squash(self.s4(self.squash(self.c3(second))))
        fifth = self.squash(self.c5(self.to_five(fourth)))
        logits: Tensor = self.output(self.squash(self.f6(torch.flatten(fifth, 1))))
        return logits


HIDDEN = 4096
LAST_MAPS = 6
"""Side of the maps that the first fully connected layer reads."""


class ConvRow(Value):
    """A convolution with its ReLU and the layers after it."""

    width: PositiveInt
    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: NonNegativeInt = 0
    groups: PositiveInt = 1
    then: tuple[Literal["normalize", "pool"], ...] = ()
    """``normalize`` across maps, ``pool`` as a 3×3 maximum with stride 2, in this order."""


def _alexnet(groups: int) -> tuple[ConvRow, ...]:
    """Return rows in which the first and third convolution read all maps, and the others only those of one tower."""
    return (
        ConvRow(width=96, kernel=11, stride=4, then=("normalize", "pool")),
        ConvRow(width=256, kernel=5, padding=2, groups=groups, then=("normalize", "pool")),
        ConvRow(width=384, kernel=3, padding=1),
        ConvRow(width=384, kernel=3, padding=1, groups=groups),
        ConvRow(width=256, kernel=3, padding=1, groups=groups, then=("pool",)),
    )


ALEXNETS: Mapping[str, tuple[ConvRow, ...]] = {
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


_STEPS: Mapping[str, Callable[[], nn.Module]] = {
    # k 2, n 5, alpha 1e-4, beta 0.75 (Krizhevsky et al., section 3.3). Unlike the paper, torch divides alpha by n.
    "normalize": lambda: nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
    # Sizes are rounded up: ZFNet's 110 pixels become 55 and its 26 become 13, so the last window may extend beyond the edge.
    "pool": lambda: nn.MaxPool2d(3, stride=2, ceil_mode=True),
}


class AlexNet(nn.Module):
    """Convolutions from rows, then three fully connected layers with dropout before the first two.

    - A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012 (not on
      arXiv), section 3: sizes, overlapping pooling and response normalization. The two towers of its two GPUs are grouped
      convolutions: 60,965,224 numbers; the same layers without groups have 62,378,344. The paper writes 224 pixels; its 55×55
      maps need 227. torchvision's ``alexnet`` is the later one-tower network (arXiv:1404.5997).
    - M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, arXiv:1311.2901, Figure 3.

    If the image does not have the native size, the last maps are averaged to 6×6, as in torchvision's AlexNet.
    """

    def __init__(self, rows: tuple[ConvRow, ...], classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for row in rows:
            layers += [nn.Conv2d(width, row.width, row.kernel, row.stride, row.padding, groups=row.groups), nn.ReLU()]
            layers += [_STEPS[step]() for step in row.then]
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


NIN_ROWS = (
    ConvRow(width=96, kernel=11, stride=4),
    ConvRow(width=256, kernel=5, padding=2),
    ConvRow(width=384, kernel=3, padding=1),
    ConvRow(width=1024, kernel=3, padding=1),
)
"""The two 1×1 convolutions after each have the same width. A 3×3 maximum with stride 2 separates them; the last 1×1 has one map a
class."""


class LinearEverywhere(nn.Linear):
    """A Linear layer at every position of maps, which equals a 1×1 convolution; feature vectors pass as in any Linear."""

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', H, W) float, or (N, C) → (N, C')."""
        if image.ndim == 2:  # noqa: PLR2004 - already one vector an image
            return super().forward(image)
        return functional.conv2d(image, self.weight[:, :, None, None], self.bias)


class NetworkInNetwork(nn.Module):
    """Network in Network. ``head`` makes a map for each class; the mean of its positive part over positions is the output.

    M. Lin, Q. Chen, S. Yan, "Network In Network", ICLR 2014, arXiv:1312.4400. The paper covers CIFAR; the sizes here are those of
    the first author's network for ImageNet (his Caffe definition ``nin_imagenet``), with a file of 29 MB: 7.6 million numbers.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for row in NIN_ROWS:
            if row is NIN_ROWS[-1]:
                layers.append(nn.Dropout(0.5))
            layers += [nn.Conv2d(width, row.width, row.kernel, row.stride, row.padding), nn.ReLU()]
            layers += [nn.Conv2d(row.width, row.width, 1), nn.ReLU()]
            width = row.width
            if row is not NIN_ROWS[-1]:
                layers += [nn.Conv2d(width, width, 1), nn.ReLU(), nn.MaxPool2d(3, stride=2, ceil_mode=True)]
        self.features = nn.Sequential(*layers)
        self.head = LinearEverywhere(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        maps = functional.relu(self.head(self.features(image)))
        return maps if maps.ndim == 2 else maps.mean(dim=(2, 3))  # noqa: PLR2004
