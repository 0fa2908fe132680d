"""Build a row's network: the one place that maps names to modules.

GoogLeNet and Inception-v3 (arXiv:1409.4842, section 5; arXiv:1512.00567, section 4) have auxiliary heads for training. Inside
these two, torchvision converts its normalized pixels to -1…1. Here the rows state -1…1 directly, so the shipped network converts
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torchvision
from torch import Tensor, nn
from torchvision.models.inception import BasicConv2d, InceptionA, InceptionAux, InceptionB, InceptionC, InceptionD, InceptionE

from edgecnn.installed import require_packages
from edgecnn.models.families import shufflenet_v1
from edgecnn.models.families.blocks import random_blocks
from edgecnn.models.families.classic import ALEXNETS, AlexNet, LeNet5, NetworkInNetwork
from edgecnn.models.families.resnet import plain
from edgecnn.models.families.scaled import scaled_network
from edgecnn.values.arch import ArchSpec

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


def built(spec: ArchSpec) -> nn.Module:
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
    "shufflenet-v1": lambda spec: shufflenet_v1.ShuffleNetV1(shufflenet_v1.VARIANTS[spec.builder]),
    "efficientnet-lite": scaled_network,
}
"""By family."""
