"""Remove slow parts from a trained network: replace SiLU by a piecewise activation, and remove squeeze-excite and whole channels.

Torch-Pruning finds which layers have to lose a channel together (DepGraph, arXiv:2301.12900), and the norms of their weights.
Every layer loses the same share, so widths keep their proportions. ``training/surgery.py`` retrains the network.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
import torch_pruning
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.scale import Multipliers
from edgecnn.values.training import Form


def prune(network: nn.Module, share: float, size: ImageSize) -> None:
    """Remove the ``share`` of each layer's channels with the smallest weights, in place. ``size``: of the network's input.

    The result is as wide as the network scaled to that width, and keeps its outputs.
    """
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    remaining = Multipliers(width=1 - share)
    torch_pruning.pruner.BasePruner(
        network.eval(),
        torch.zeros(1, 3, *size, device=layers[0].weight.device),
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=share,
        pruning_ratio_dict={layer: _pruned_share(layer, remaining) for layer in layers[:-1]},
        ignored_layers=[layers[-1]],
    ).step()


def _pruned_share(layer: nn.Conv2d | nn.Linear, remaining: Multipliers) -> float:
    """Subtract half a channel, because the library rounds the remaining channels to whole ones."""
    width = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features
    return max(0.0, width - min(width, remaining.channels(width)) - 0.5) / width


_ACTIVATIONS: Mapping[str, type[nn.Module]] = {"hard-swish": nn.Hardswish, "relu6": nn.ReLU6}
Gates = Mapping[str, Tensor]
"""Dotted name of a squeeze-excite block to the mean of its gates, float32 (channels)."""


def apply_surgery(network: nn.Module, form: Form, gates: Gates, size: ImageSize) -> nn.Module:
    """Return a copy of ``network`` in this form. Weights that remain are the same or equivalent.

    A remaining squeeze-excite block keeps its sigmoid: OpenVINO 2026.4 runs a hard one in its reference kernel, with conversions
    around it (EfficientNet-B0 in INT8), which is not faster.

    The mean gate of a removed block is folded into the weights of the next convolution, so each channel keeps its usual scale.

    ``network``: trained; unchanged. ``size``: of its input.
    """
    changed = copy.deepcopy(network)
    if form.squeeze_excite == "remove":
        for name in squeeze_excites(changed):
            _remove_squeeze_excite(changed, name, gates[name])
    if form.activation != "keep":
        for module in list(changed.modules()):
            for name, child in list(module.named_children()):
                if type(child) is nn.SiLU:
                    setattr(module, name, _ACTIVATIONS[form.activation]())
    if form.pruned:
        prune(changed, form.pruned, size)
    return changed


def apply_surgery_untrained(network: nn.Module, form: Form, size: ImageSize) -> nn.Module:
    """Return an untrained network in this form, with the gates of removed squeeze-excite blocks taken as 1."""
    open_gates = {name: torch.ones_like(network.get_parameter(f"{name}.fc2.bias")) for name in squeeze_excites(network)}
    return apply_surgery(network, form, open_gates, size) if form.suffix else network


def squeeze_excites(network: nn.Module) -> tuple[str, ...]:
    """Return the dotted names of the squeeze-excite blocks."""
    return tuple(name for name, module in network.named_modules() if isinstance(module, SqueezeExcitation))


@torch.no_grad()
def mean_gates(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Return the mean gates of each squeeze-excite block over images (N, 3, H, W) in batches of equal size."""
    gates: dict[str, list[Tensor]] = {name: [] for name in squeeze_excites(network)}

    def hear(name: str) -> torch.utils.hooks.RemovableHandle:
        gate = network.get_submodule(f"{name}.scale_activation")
        return gate.register_forward_hook(lambda _module, _given, scale: gates[name].append(scale.mean(dim=(0, 2, 3))))

    handles = [hear(name) for name in gates]
    network.eval()
    for batch in batches:
        network(batch)
    for handle in handles:
        handle.remove()
    return {name: torch.stack(means).mean(dim=0) for name, means in gates.items()}


@torch.no_grad()
def _remove_squeeze_excite(network: nn.Module, name: str, gate: Tensor) -> None:
    """Remove a block and scale the next convolution: torchvision's blocks are sequences with the projection right after it."""
    parent, _, position = name.rpartition(".")
    block = network.get_submodule(parent)
    following = block.get_submodule(str(int(position) + 1))
    convolution = next(module for module in following.modules() if isinstance(module, nn.Conv2d))
    convolution.weight.mul_(gate.view(1, -1, 1, 1))
    setattr(block, position, nn.Identity())
