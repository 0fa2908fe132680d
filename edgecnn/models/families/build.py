"""Build a row's network, scaled or not: the one place that maps names to modules. Scaled networks inherit unscaled weights.

GoogLeNet and Inception-v3 (arXiv:1409.4842, section 5; arXiv:1512.00567, section 4) have auxiliary heads for training. Inside
these two, torchvision converts its normalized pixels to -1…1. Here the rows state -1…1 directly, so the shipped network converts
nothing.

When a scaled network inherits weights, channels correspond if they have the same number in the same block, so a layer inherits
the first channels regardless of their weights. Nothing is interpolated or copied twice. New parts keep their random weights with
two exceptions that protect inherited ones. Weights from new channels to inherited ones start at 0. A new block that adds to its
input starts by adding nothing, because the scale of its last batch norm starts at 0 (arXiv:1706.02677, section 5.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.inception import BasicConv2d, InceptionA, InceptionAux, InceptionB, InceptionC, InceptionD, InceptionE
from torchvision.models.mobilenetv2 import MobileNetV2

from edgecnn.installed import require_packages
from edgecnn.models.compound import EFFICIENTNET, EFFICIENTNET_LITE, RULES, Coefficients, base_name, coefficients_of
from edgecnn.models.families.classic import ALEXNETS, AlexNet, LeNet5, NetworkInNetwork
from edgecnn.models.families.random_blocks import random_blocks
from edgecnn.models.families.tables import (
    EFFICIENTNET_GROUPS,
    RESNETS,
    SHUFFLENETS,
    V1_GROUPS,
    BlockGroup,
    EfficientNetLite,
    MobileNetV1,
    ScaledResNet,
    ShuffleNetV1,
    plain,
    scaled_groups,
    scaled_v3,
    v3_groups,
)
from edgecnn.values.arch import ArchSpec
from edgecnn.values.scale import Inheritance, Multipliers

EFFICIENTNET_STEM = 32
SLOW_STATISTICS = ("efficientnet-b5", "efficientnet-b6", "efficientnet-b7")
"""Networks whose batch norm has the published ε and momentum in torchvision; smaller ones use torch's defaults."""
MOBILENET_V2 = (
    BlockGroup(expand=1, kernel=3, stride=1, width=16, repeats=1),
    BlockGroup(expand=6, kernel=3, stride=2, width=24, repeats=2),
    BlockGroup(expand=6, kernel=3, stride=2, width=32, repeats=3),
    BlockGroup(expand=6, kernel=3, stride=2, width=64, repeats=4),
    BlockGroup(expand=6, kernel=3, stride=1, width=96, repeats=3),
    BlockGroup(expand=6, kernel=3, stride=2, width=160, repeats=3),
    BlockGroup(expand=6, kernel=3, stride=1, width=320, repeats=1),
)
"""Table 2 of arXiv:1801.04381."""
_GROUPS: Mapping[str, tuple[BlockGroup, ...]] = {
    "efficientnet": EFFICIENTNET_GROUPS,
    "efficientnet-lite": EFFICIENTNET_GROUPS,
    "mobilenet-v1": V1_GROUPS,
    "mobilenet-v2": MOBILENET_V2,
}


def scaled_network(spec: ArchSpec) -> nn.Module:
    """Return the network for 1,000 classes with random weights.

    ``spec``: a row of a family with a rule in ``models/compound.py``; without a scale, the published network is built.
    """
    by = multipliers_of(spec)
    if spec.family == "efficientnet":
        return _efficientnet(spec, by)
    if spec.family == "efficientnet-lite":
        return EfficientNetLite(by, _dropout(spec, by, EFFICIENTNET_LITE))
    if spec.family == "mobilenet-v1":
        return MobileNetV1(by)
    if spec.family == "mobilenet-v2":
        settings = [[row.expand, row.width, by.repeats(row.repeats), row.stride] for row in MOBILENET_V2]
        return _module(MobileNetV2(width_mult=by.width, inverted_residual_setting=settings))
    if spec.family == "mobilenet-v3":
        return scaled_v3(spec.builder, by)
    return ScaledResNet(RESNETS[spec.builder], by)


def multipliers_of(spec: ArchSpec) -> Multipliers:
    """Return the multipliers of the rows of the family's first member, including this network's scale."""
    return coefficients_of(spec).multipliers.times(spec.scale or Multipliers())


def blocks_of(spec: ArchSpec) -> tuple[tuple[str, ...], ...]:
    """Return dotted names of the repeated blocks by group. Everything else is equal except ``_convolution_after_blocks``."""
    repeats = _repeats(spec)
    if spec.family == "resnet":
        return tuple(tuple(f"layer{group + 1}.{block}" for block in range(count)) for group, count in enumerate(repeats))
    if spec.family == "efficientnet":
        return tuple(tuple(f"features.{group + 1}.{block}" for block in range(count)) for group, count in enumerate(repeats))
    stem = 3 if spec.family == "mobilenet-v1" else 1
    starts = [stem + sum(repeats[:group]) for group in range(len(repeats))]
    return tuple(
        tuple(f"features.{start + block}" for block in range(count)) for start, count in zip(starts, repeats, strict=True)
    )


def _convolution_after_blocks(spec: ArchSpec) -> str | None:
    """Return the dotted name of the convolution after the blocks, if it contains the number of blocks."""
    return f"features.{1 + sum(_repeats(spec))}" if spec.family in ("efficientnet-lite", "mobilenet-v2", "mobilenet-v3") else None


def _repeats(spec: ArchSpec) -> list[int]:
    by = multipliers_of(spec)
    if spec.family == "mobilenet-v3":
        return [len(group) for group in v3_groups(spec.builder, by)]
    if spec.family == "resnet":
        return [by.repeats(count) for count in RESNETS[spec.builder].repeats]
    return [group.repeats for group in scaled_groups(_GROUPS[spec.family], by, fixed_ends=spec.family == "efficientnet-lite")]


def _efficientnet(spec: ArchSpec, by: Multipliers) -> nn.Module:
    rows, width = [], EFFICIENTNET_STEM
    for group in EFFICIENTNET_GROUPS:
        repeats = by.repeats(group.repeats)
        rows.append(MBConvConfig(group.expand, group.kernel, group.stride, width, group.width, repeats, width_mult=by.width))
        width = group.width
    slow = base_name(spec.name) in SLOW_STATISTICS
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01) if slow else None
    return _module(EfficientNet(rows, dropout=_dropout(spec, by, EFFICIENTNET), norm_layer=norm))


def _dropout(spec: ArchSpec, by: Multipliers, published: tuple[Coefficients, ...]) -> float:
    """Return the published dropout of a published member; otherwise that of the network that was scaled."""
    known = {row.multipliers: row.dropout for row in published}
    return known.get(by, coefficients_of(spec).dropout)


def _module(network: nn.Module) -> nn.Module:
    """Return a submodule; torchvision has no types."""
    return network


@torch.no_grad()
def inherit(network: nn.Module, spec: ArchSpec, base: ArchSpec, state: Mapping[str, Tensor]) -> Inheritance:
    """Copy into ``network`` the weights of ``state`` that correspond.

    ``network``: the scaled network with random weights; changed in place. Its head is unchanged, because its classes are new.
    ``base``: the row of the network that the weights belong to; ``spec`` itself if nothing was scaled.
    """
    names = {} if spec.scale is None else _names_in_base(spec, base)
    last_layers = tuple(f"{layer}." for layer in spec.last_layers)
    parameters = dict(network.named_parameters())
    inherited = 0
    for name, tensor in network.state_dict().items():
        if name.startswith(last_layers):
            continue
        in_base = _name_in_base(name, names)
        source = None if in_base is None else state.get(in_base)
        if source is not None:
            taken = _copy_shared_part(tensor, source)
            inherited += taken if name in parameters else 0
    for block in (name for name, in_base in names.items() if in_base is None and RULES[spec.family].residual):
        # Make the new block add nothing: in all families here, a new block adds to its input.
        norms = [module for module in network.get_submodule(block).modules() if isinstance(module, nn.BatchNorm2d)]
        nn.init.zeros_(norms[-1].weight)
    return Inheritance(parameters=sum(parameter.numel() for parameter in parameters.values()), inherited=inherited)


def _names_in_base(spec: ArchSpec, base: ArchSpec) -> dict[str, str | None]:
    """Map each block's dotted name to the base's block at the same position of the same group; None for a new block."""
    names: dict[str, str | None] = {}
    for mine, theirs in zip(blocks_of(spec), blocks_of(base), strict=True):
        names |= {name: theirs[place] if place < len(theirs) else None for place, name in enumerate(mine)}
    behind, behind_in_base = _convolution_after_blocks(spec), _convolution_after_blocks(base)
    return names if behind is None else {**names, behind: behind_in_base}


def _name_in_base(name: str, names: Mapping[str, str | None]) -> str | None:
    for dot in re.finditer(r"\.", name):
        if (prefix := name[: dot.start()]) in names:
            other = names[prefix]
            return None if other is None else other + name[dot.start() :]
    return name


def _copy_shared_part(tensor: Tensor, source: Tensor) -> int:
    """Copy the part of the tensor that the source has, and return its size."""
    shared = tuple(slice(min(mine, theirs)) for mine, theirs in zip(tensor.shape, source.shape, strict=True))
    if tensor.ndim >= 2 and tensor.shape[1] > source.shape[1]:
        tensor[shared[0]] = 0
    tensor[shared] = source[shared]
    return tensor[shared].numel()


AUXILIARY_MAPS = 17
"""Side of the maps that Inception-v3's auxiliary head reads at 299 pixels: its 5×5 mean with stride 3 and its 5×5 convolution
leave one position."""


class LargeEnoughAux(InceptionAux):  # type: ignore[misc]
    """The auxiliary head, skipped if the maps are too small for it."""

    def forward(self, image: Tensor) -> Tensor | None:
        """(N, 768, H, W) float → (N, classes) float logits, or None below 17×17."""
        if min(image.shape[-2:]) < AUXILIARY_MAPS:
            return None
        answer: Tensor = super().forward(image)
        return answer


_OWN: Mapping[str, Any] = {"aux_logits": True, "transform_input": False, "init_weights": True}
_BLOCKS = [BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, LargeEnoughAux]
_OPTIONS: Mapping[str, Mapping[str, Any]] = {"googlenet": _OWN, "inception_v3": {**_OWN, "inception_blocks": _BLOCKS}}
"""torchvision's builder by our name."""


def published_network(spec: ArchSpec) -> nn.Module:
    """Return the published network with random weights.

    Raises MissingPackage: the network, or its cells, come from timm, which is not installed.
    """
    require_packages(spec.needs, extra="zoo", needed_for=spec.name)
    if spec.scale is not None:
        return scaled_network(spec)
    if spec.origin == "timm":
        from edgecnn.models.families.from_timm import from_timm

        return from_timm(spec)
    if spec.origin == "table":
        return _TABLES[spec.family](spec)
    network: nn.Module = torchvision.models.get_model(spec.builder, weights=None, **_OPTIONS.get(spec.builder, {}))
    return network


def _nasnet(spec: ArchSpec) -> nn.Module:
    """Import NASNet's module only when it is needed, since it uses timm, an extra."""
    from edgecnn.models.families.from_timm import VARIANTS, NASNet

    return NASNet(VARIANTS[spec.builder])


def _alexnet(spec: ArchSpec) -> nn.Module:
    return AlexNet(ALEXNETS[spec.builder])


_TABLES: Mapping[str, Callable[[ArchSpec], nn.Module]] = {
    "lenet": lambda _: LeNet5(),
    "alexnet": _alexnet,
    "zfnet": _alexnet,
    "nin": lambda _: NetworkInNetwork(),
    "plain": lambda spec: plain(spec.builder),
    "nasnet": _nasnet,
    "blocks": lambda spec: random_blocks(int(spec.builder)),
    "mobilenet-v1": scaled_network,
    "shufflenet-v1": lambda spec: ShuffleNetV1(SHUFFLENETS[spec.builder]),
    "efficientnet-lite": scaled_network,
}
"""By family."""
