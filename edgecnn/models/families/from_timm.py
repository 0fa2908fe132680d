"""Networks that timm builds, ending as ours do in a Linear layer on pooled features; and NASNet-A from timm's cells.

B. Zoph, V. Vasudevan, J. Shlens, Q. Le, "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018,
arXiv:1707.07012, Figure 2 (order of cells), Figure 4 (what a cell is), Table 2 ("6 @ 4032") and Table 3 ("4 @ 1056"): cells a
stage, and channels of the last layer. With six cells the network is timm's ``nasnetalarge``, the only one that timm keeps.
Channels are dropped nowhere: the paper's scheduled dropping of paths belongs to hundreds of epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import timm
import torch
from pydantic import PositiveInt
from timm.layers import ClassifierHead, ConvNormAct
from timm.models.nasnet import CellStem0, CellStem1, FirstCell, NormalCell, ReductionCell0
from torch import Tensor, nn

from edgecnn.values.base import Value


def from_timm(name: str) -> nn.Module:
    """timm's network of that name with random weights, for 1,000 classes.

    Where timm ends in a 1×1 convolution of a map of one pixel (its ResNet-V2), the Linear layer that this is takes its place.
    """
    network: nn.Module = timm.create_model(name, pretrained=False)
    head = getattr(network, "head", None)
    if isinstance(head, ClassifierHead) and head.use_conv:
        network.head = ClassifierHead(head.in_features, 1000, use_conv=False)
    return network


STAGES = 3
PADDING = "same"
"""As TensorFlow pads, for which the published weights were trained."""


class Size(Value):
    """``cells`` normal cells a stage and ``last`` channels at the end, which are 24 times those of the first stage's parts."""

    cells: PositiveInt
    last: PositiveInt
    stem: PositiveInt


VARIANTS: Mapping[str, Size] = {
    "nasnet_mobile": Size(cells=4, last=1056, stem=32),
    "nasnet_large": Size(cells=6, last=4032, stem=96),
}


class NASNet(nn.Module):
    """The whole network. Every cell reads the two layers before it, the one after a reduction those before that."""

    def __init__(self, size: Size, classes: int = 1000) -> None:
        super().__init__()
        width = size.last // 24
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.1)
        self.stem = ConvNormAct(3, size.stem, 3, stride=2, padding=0, norm_layer=norm, apply_act=False)
        self.stem_cells = nn.ModuleList(
            [CellStem0(size.stem, width // 4, pad_type=PADDING), CellStem1(size.stem, width // 2, pad_type=PADDING)]
        )
        self.cells = nn.ModuleList()
        before, last = width, 2 * width
        for stage in range(STAGES):
            part = width * 2**stage
            if stage > 0:
                self.cells.append(ReductionCell0(before, part, last, part, pad_type=PADDING))
                before, last = last, 4 * part
            for number in range(size.cells):
                if number == 0:
                    self.cells.append(FirstCell(before, part // 2, last, part, pad_type=PADDING))
                else:
                    self.cells.append(NormalCell(before, part, last, part, pad_type=PADDING))
                before, last = last, 6 * part
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(last, classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        before = self.stem(image)
        last = self.stem_cells[0](before)
        before, last = last, self.stem_cells[1](before, last)
        for cell in self.cells:
            made = cell(last, before)
            if not isinstance(cell, ReductionCell0):
                before = last
            last = made
        pooled = torch.flatten(self.pool(self.relu(last)), 1)
        logits: Tensor = self.fc(pooled)
        return logits
