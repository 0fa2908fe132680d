"""Take what runs slowly out of a trained network: SiLU for a piecewise activation, squeeze-excite and whole channels for nothing.

Torch-Pruning finds which layers have to lose a channel together (DepGraph, arXiv:2301.12900), and how large the weights of each
are. Every layer loses the same share, so that widths keep their proportions. The network learns its answers again in
``training/surgery.py``.
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
    """In place. ``share``: of the channels of each layer, 0…1. ``size``: of its input.

    The remaining network is as wide as if the network had been scaled to it, and the last layer keeps its outputs.
    """
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    remaining = Multipliers(width=1 - share)
    torch_pruning.pruner.BasePruner(
        network.eval(),
        torch.zeros(1, 3, *size, device=layers[0].weight.device),
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=share,
        pruning_ratio_dict={layer: _share(layer, remaining) for layer in layers[:-1]},
        ignored_layers=[layers[-1]],
    ).step()


def _share(layer: nn.Conv2d | nn.Linear, remaining: Multipliers) -> float:
    """Half a channel less, since the library rounds the remaining channels to whole ones."""
    width = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features
    return max(0.0, width - min(width, remaining.channels(width)) - 0.5) / width


_ACTIVATIONS: Mapping[str, type[nn.Module]] = {"hard-swish": nn.Hardswish, "relu6": nn.ReLU6}
Gates = Mapping[str, Tensor]
"""Dotted name of a squeeze-excite block to the mean of what it multiplies each channel by, float32 (channels)."""


def operated(network: nn.Module, form: Form, gates: Gates, size: ImageSize) -> nn.Module:
    """A copy of ``network`` in that form; every weight that stays is the same, or as good.

    The gate of a squeeze-excite block that stays is left a sigmoid: OpenVINO 2026.4 runs a hard one by its reference kernel, with
    conversions around it (EfficientNet-B0 in INT8), so that nothing is won.

    A block that goes leaves its mean gate behind in the weights of the convolution that follows, so that each channel keeps the
    share that it usually had.

    ``network``: trained; stays as it is. ``size``: of its input.
    """
    changed = copy.deepcopy(network)
    if form.squeeze_excite == "remove":
        for name in squeeze_excites(changed):
            _take_out(changed, name, gates[name])
    if form.activation != "keep":
        _exchange(changed, nn.SiLU, _ACTIVATIONS[form.activation])
    if form.pruned:
        prune(changed, form.pruned, size)
    return changed


def operated_unlearned(network: nn.Module, form: Form, size: ImageSize) -> nn.Module:
    """Return ``operated`` of an untrained network, whose gates count as open."""
    open_gates = {name: torch.ones_like(network.get_parameter(f"{name}.fc2.bias")) for name in squeeze_excites(network)}
    return operated(network, form, open_gates, size) if form.suffix else network


def squeeze_excites(network: nn.Module) -> tuple[str, ...]:
    """Dotted names of its squeeze-excite blocks."""
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


def _exchange(network: nn.Module, old: type[nn.Module], new: type[nn.Module]) -> None:
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is old:
                setattr(module, name, new())


@torch.no_grad()
def _take_out(network: nn.Module, name: str, gate: Tensor) -> None:
    """The blocks of torchvision are sequences, in which the convolution that projects comes right after."""
    parent, _, position = name.rpartition(".")
    block = network.get_submodule(parent)
    following = block.get_submodule(str(int(position) + 1))
    convolution = next(module for module in following.modules() if isinstance(module, nn.Conv2d))
    convolution.weight.mul_(gate.view(1, -1, 1, 1))
    setattr(block, position, nn.Identity())
