"""LeNet-5 with the paper's own connections: 60,000 trainable numbers up to F6.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE
86(11), 1998 (older than arXiv), section II.B: layer sizes and counts, Table I: which maps of S2 each map of C3 reads, appendix A:
the activation.

Three things differ, since photographs come in colour and classes are learned by cross-entropy: the image is made grey first, the
distances to drawn characters at the end are a fully connected layer, and where an image is not 32 pixels wide the last maps are
averaged to 5×5, which is what 32 pixels give.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in luma (ITU-R BT.601), as Pillow converts to grey."""
TABLE_1: Mapping[int, tuple[tuple[int, ...], ...]] = {
    3: ((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    4: (
        (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
        (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    ),
    6: ((0, 1, 2, 3, 4, 5),),
}  # fmt: skip
"""Maps of S2 that each of C3's sixteen maps reads, by how many those are."""


class Squash(nn.Module):
    """``1.7159 tanh(2/3 x)``: it takes ±1 to ±1 and keeps its curvature there (appendix A)."""

    def forward(self, image: Tensor) -> Tensor:
        """Any shape → the same."""
        return 1.7159 * torch.tanh(image * (2 / 3))


class Subsampling(nn.Module):
    """The mean of each 2×2, times a trained coefficient and plus a trained bias a map (S2, S4)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.mean = nn.AvgPool2d(2)
        self.scale = nn.Conv2d(maps, maps, 1, groups=maps)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C, H / 2, W / 2) float."""
        scaled: Tensor = self.scale(self.mean(image))
        return scaled


class PartlyConnected(nn.Module):
    """C3: every map reads its row of Table I alone; rows of equally many maps are one grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(read * len(rows), len(rows), 5, groups=len(rows)) for read, rows in TABLE_1.items())
        self.read = [[index for row in rows for index in row] for rows in TABLE_1.values()]

    def forward(self, image: Tensor) -> Tensor:
        """(N, 6, H, W) float → (N, 16, H - 4, W - 4) float."""
        maps = [image[:, at : at + 1] for at in range(image.shape[1])]
        read = [torch.cat([maps[at] for at in places], 1) for places in self.read]
        return torch.cat([part(each) for part, each in zip(self.parts, read, strict=True)], 1)


class LeNet5(nn.Module):
    """The whole network, its layers under the paper's names."""

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
