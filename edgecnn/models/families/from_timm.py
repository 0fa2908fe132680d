"""Networks that timm builds, with heads of Linear layers on pooled features like ours; and NASNet-A from timm's cells.

B. Zoph, V. Vasudevan, J. Shlens, Q. Le, "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018,
arXiv:1707.07012: Figure 2 (order of cells), Figure 4 (a cell), Table 2 ("6 @ 4032") and Table 3 ("4 @ 1056"), which give cells a
stage and channels of the last layer. With six cells the network is timm's ``nasnetalarge``, the only one that timm has. No
channels are dropped, because the paper's scheduled dropping of paths is meant for hundreds of epochs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

import timm
import torch
from pydantic import PositiveInt
from timm.layers import ConvNormAct
from timm.models.nasnet import CellStem0, CellStem1, FirstCell, NormalCell, ReductionCell0
from timm.utils import reparameterize_model
from torch import Tensor, nn

from edgecnn.errors.graph import MERGE_DIFFERS
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec
from edgecnn.values.base import Value


class PooledLinear(nn.Linear):
    """A Linear layer instead of timm's 1×1 convolution on a map of one pixel, at the end of its ResNet-V2, DLA and DPN."""

    def forward(self, pooled: Tensor) -> Tensor:
        """(N, features, 1, 1) float → (N, classes) float logits."""
        return super().forward(pooled.flatten(1))


def from_timm(spec: ArchSpec) -> nn.Module:
    """Return timm's network with random weights, and as many classes as its published weights."""
    network: nn.Module = timm.create_model(spec.builder, pretrained=False)
    for name in (spec.head, *spec.beside):
        head = network.get_submodule(name)
        if isinstance(head, nn.Conv2d):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, PooledLinear(head.in_channels, head.out_channels))
    return network


def renamed_state(spec: ArchSpec, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published file's tensors to those of timm's network, by the filter of timm's module, if it has one.

    For some networks timm's own loader would leave missing tensors random, so only its filter is used. Heads that are
    convolutions become matrices, as in ``PooledLinear``.
    """
    network = timm.create_model(spec.builder, pretrained=False)
    tensors: Mapping[str, Tensor] = state
    translate = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if translate is not None and set(state) != set(network.state_dict()):
        with suppress(
            Exception
        ):  # the filter expects its authors' files; for others the caller reports the tensors that do not fit
            tensors = translate(dict(state), network)
    heads = tuple(f"{name}.weight" for name in (spec.head, *spec.beside))
    return {name: tensor.flatten(1) if name in heads and tensor.ndim == 4 else tensor for name, tensor in tensors.items()}


def merge_for_shipping(network: nn.Module, size: ImageSize) -> nn.Module:
    """Return the shipping form of a network: timm's code merges the branches of training (RepVGG, arXiv:2101.03697; MobileOne,
    FastViT, RepViT).

    Fused attention is replaced too. A network without such branches is returned itself.

    ``network``: trained; it is put into evaluation mode. ``size``: of its input. Raises MERGE_DIFFERS: outputs differ after
    merging.
    """
    ships = merge_branches(network)
    # Use two products and a softmax in place of fused attention. torch's exporter supports the latter only in four dimensions
    # (Twins has five), and fails in MaxViT.
    for module in ships.modules():
        if getattr(module, "fused_attn", False):
            module.fused_attn = False  # type: ignore[assignment]
    if ships is network:
        return network
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        before, after = network(images), ships(images)
    off, allowed = float((before - after).abs().max()), MERGED_WITHIN * float(before.abs().max())
    if not off <= allowed:
        raise MERGE_DIFFERS(network=type(network).__name__, off=off, allowed=allowed)
    return ships


def merge_branches(network: nn.Module) -> nn.Module:
    """Return the network with its branches merged, without comparing outputs; works on the meta device."""
    ships: nn.Module = reparameterize_model(network.eval())
    return network if sum(1 for _ in ships.modules()) == sum(1 for _ in network.modules()) else ships


MERGED_WITHIN = 1e-3
"""Share of the largest output: fp32 sums in another order, of which trained networks need a tenth."""


STAGES = 3
PADDING = "same"
"""As TensorFlow pads, since the published weights were trained so."""


class Size(Value):
    """``cells`` normal cells a stage, and ``last`` channels at the end, 24 times the channels of the first stage's parts."""

    cells: PositiveInt
    last: PositiveInt
    stem: PositiveInt


VARIANTS: Mapping[str, Size] = {
    "nasnet_mobile": Size(cells=4, last=1056, stem=32),
    "nasnet_large": Size(cells=6, last=4032, stem=96),
}


class NASNet(nn.Module):
    """NASNet-A. Every cell reads the two previous layers; the cell after a reduction reads the two before it."""

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
