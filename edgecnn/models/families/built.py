"""A row's builder becomes a network: the one place that knows which module has which name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torchvision
from torch import nn

from edgecnn.backends.installed import require_packages
from edgecnn.models.families import shufflenet_v1
from edgecnn.models.families.classic import ALEXNETS, AlexNet, LeNet5, NetworkInNetwork
from edgecnn.models.families.inception import OPTIONS
from edgecnn.models.families.resnet import plain
from edgecnn.models.families.scaled import scaled_network
from edgecnn.values.arch import ArchSpec


def built(spec: ArchSpec) -> nn.Module:
    """The published network with random weights.

    Raises MissingPackage: it is timm's, or made of timm's cells, and timm is not installed.
    """
    require_packages(spec.needs, extra="zoo", needed_for=spec.name)
    if spec.scale is not None:
        return scaled_network(spec)
    if spec.origin == "timm":
        from edgecnn.models.families.from_timm import from_timm

        return from_timm(spec.builder)
    if spec.origin == "table":
        return _TABLES[spec.family](spec)
    network: nn.Module = torchvision.models.get_model(spec.builder, weights=None, **OPTIONS.get(spec.builder, {}))
    return network


def _nasnet(spec: ArchSpec) -> nn.Module:
    """Its cells are timm's, an extra, therefore the module is imported where such a network is built."""
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
    "mobilenet-v1": scaled_network,
    "shufflenet-v1": lambda spec: shufflenet_v1.ShuffleNetV1(shufflenet_v1.VARIANTS[spec.builder]),
    "efficientnet-lite": scaled_network,
}
"""By family."""
