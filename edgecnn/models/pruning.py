"""Takes whole channels out of a trained network, in every layer the same share: those of the smallest weights.

Torch-Pruning finds which layers have to lose a channel together (DepGraph, arXiv:2301.12900), and how large the weights of each
are. The share is of each layer and not of all together, so that the widths, and with them the latency, are known before training.
"""

from __future__ import annotations

import torch
import torch_pruning
from torch import nn

from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.scale import Multipliers


def prune(network: nn.Module, share: float, size: ImageSize) -> None:
    """In place. ``share``: of the channels of each layer, 0…1. ``size``: of its input.

    What is left is as wide as if the network had been scaled to it, and the last layer keeps its outputs.
    """
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    left = Multipliers(width=1 - share)
    torch_pruning.pruner.BasePruner(
        network.eval(),
        torch.zeros(1, 3, *size, device=layers[0].weight.device),
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=share,
        pruning_ratio_dict={layer: _share(layer, left) for layer in layers[:-1]},
        ignored_layers=[layers[-1]],
    ).step()


def _share(layer: nn.Conv2d | nn.Linear, left: Multipliers) -> float:
    """Half a channel less, since the library cuts what is left to whole ones."""
    width = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features
    return max(0.0, width - min(width, left.channels(width)) - 0.5) / width
