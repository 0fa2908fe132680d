"""What a scaled network takes over from the weights of the unscaled one: the channels and blocks that both have, and no others.

A channel is the same one where it has the same number in the same block: the first channels of a layer are taken, whatever they
weigh. Nothing is interpolated or copied twice. What is new is left as it was drawn, but for two things that keep it from
spoiling what was inherited: an inherited channel does not listen to new ones yet (those weights begin at 0), and a new block
that adds to its input begins by adding nothing (the scale of its last batch norm begins at 0; arXiv:1706.02677, section 5.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgecnn.models.compound import RULES
from edgecnn.models.families.scaled import after_blocks, blocks_of
from edgecnn.values.arch import ArchSpec
from edgecnn.values.scale import Inheritance


@torch.no_grad()
def inherit(network: nn.Module, spec: ArchSpec, base: ArchSpec, state: Mapping[str, Tensor]) -> Inheritance:
    """Put into ``network`` what ``state`` has of it.

    ``network``: the scaled network, with random weights; changed in place. Its head stays as it is, since its classes are new.
    ``base``: the row of the network that the weights are of; ``spec`` itself where nothing was scaled.
    """
    names = {} if spec.scale is None else _names_in_base(spec, base)
    last_layers = tuple(f"{each}." for each in (spec.head, *(spec.auxiliary.heads if spec.auxiliary else ())))
    parameters = dict(network.named_parameters())
    inherited = 0
    for name, tensor in network.state_dict().items():
        if name.startswith(last_layers):
            continue
        in_base = _translated(name, names)
        source = None if in_base is None else state.get(in_base)
        if source is not None:
            taken = _take(tensor, source)
            inherited += taken if name in parameters else 0
    for block in (name for name, in_base in names.items() if in_base is None and RULES[spec.family].residual):
        _silence(network.get_submodule(block))
    return Inheritance(parameters=sum(each.numel() for each in parameters.values()), inherited=inherited)


def _names_in_base(spec: ArchSpec, base: ArchSpec) -> dict[str, str | None]:
    """Dotted name of each block to that of the base's block of the same place in the same group; None for a block that is new."""
    found: dict[str, str | None] = {}
    for mine, theirs in zip(blocks_of(spec), blocks_of(base), strict=True):
        found |= {name: theirs[place] if place < len(theirs) else None for place, name in enumerate(mine)}
    behind, behind_in_base = after_blocks(spec), after_blocks(base)
    return found if behind is None else {**found, behind: behind_in_base}


def _translated(name: str, names: Mapping[str, str | None]) -> str | None:
    for dot in re.finditer(r"\.", name):
        if (prefix := name[: dot.start()]) in names:
            other = names[prefix]
            return None if other is None else other + name[dot.start() :]
    return name


def _take(tensor: Tensor, source: Tensor) -> int:
    """How many numbers both have, which are copied."""
    shared = tuple(slice(min(mine, theirs)) for mine, theirs in zip(tensor.shape, source.shape, strict=True))
    if tensor.ndim >= 2 and tensor.shape[1] > source.shape[1]:
        tensor[shared[0]] = 0
    tensor[shared] = source[shared]
    return tensor[shared].numel()


def _silence(block: nn.Module) -> None:
    """Every new block follows one of its own width with a stride of 1, and adds to its input in every family here."""
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    nn.init.zeros_(norms[-1].weight)
