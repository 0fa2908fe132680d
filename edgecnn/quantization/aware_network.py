"""A trained network rounded as INT8 will round it, in floats that gradients pass through; and the integers that come of it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.export import Dim
from torchao.quantization.pt2e.fake_quantize import FakeQuantize
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from edgecnn.quantization.aware_placement import Placement
from edgecnn.values.candidate import Scheme


class Exported(nn.Module):
    """A graph of torch.export as a module among others: such graphs refuse to be told of modes, of which they have only one."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.inner = graph

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        logits: Tensor = self.inner(image)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Remember the mode and tell nobody."""
        self.training = mode
        return self


def rounded(network: nn.Module, scheme: Scheme, resolution_px: int) -> Exported:
    """The network with its batch norms folded and a rounding at every place of ``Placement``; ``network`` stays as it is.

    Batch norms are folded with the statistics that they end training with: left beside the convolutions they would stay in the
    exported file, where INT8 ran at 8.8 in place of 2.5 ms (EfficientNet-Lite0).

    Args:
        network: trained, float.
        scheme: how numbers are rounded.
        resolution_px: H and W of what it will be shown.
    """
    example = torch.zeros(2, 3, resolution_px, resolution_px)  # a batch of one would be taken for a constant
    program = torch.export.export(_plain(network).eval(), (example,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False)
    # torchao's preparation for post-training folds batch norms, the one for training would keep them; the roundings of
    # ``Placement`` let gradients through either way.
    # It also fixes the biases that batch norms leave behind, which have to learn as the weights do.
    return Exported(prepare_pt2e(program.module(check_guards=False), Placement(scheme)).requires_grad_(True))


def calibrate(network: Exported, feeds: Iterable[npt.NDArray[np.float32]]) -> None:
    """Fix the ranges of activations to the smallest and largest value seen, as post-training calibration does.

    Ranges of weights follow the weights as long as they change.

    Args:
        network: of ``rounded``; changed in place.
        feeds: images, float32 (N, 3, H, W).
    """
    roundings = _roundings(network)
    for each in roundings:
        each.disable_fake_quant()
    with torch.no_grad():
        for feed in feeds:
            network(torch.from_numpy(feed))
    for each in roundings:
        each.enable_fake_quant()
        if not each.is_per_channel:
            each.disable_observer()


def integers(network: Exported, resolution_px: int) -> Exported:
    """The same network with integer weights and quantizing operators in place of roundings, to be exported."""
    with torch.no_grad():
        network(torch.zeros(1, 3, resolution_px, resolution_px))  # ranges of weights are those of the last weights seen
        return Exported(convert_pt2e(_plain(network.inner)))


def _plain(network: nn.Module) -> nn.Module:
    """A copy in the usual memory order: from the channels-last one of training the exporter makes a Gather after each mean."""
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format)


def _roundings(network: Exported) -> list[FakeQuantize]:
    return [module for module in network.modules() if isinstance(module, FakeQuantize)]
