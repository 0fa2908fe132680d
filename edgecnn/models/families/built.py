"""A row's builder becomes a network: the one place that knows which module has which name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torchvision
from torch import nn

from edgecnn.backends.installed import require_packages
from edgecnn.models.families import efficientnet_lite, inception, mobilenet, shufflenet_v1
from edgecnn.models.families.classic import ALEXNETS, AlexNet, LeNet5, NetworkInNetwork
from edgecnn.models.families.resnet import plain
from edgecnn.models.families.scaled import scaled_network
from edgecnn.values.arch import ArchSpec

_WITH_HEADS: Mapping[str, Callable[[], nn.Module]] = {"googlenet": inception.googlenet, "inception_v3": inception.inception_v3}


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
        return _TABLES[spec.family](spec.builder)
    if spec.builder in _WITH_HEADS:
        return _WITH_HEADS[spec.builder]()
    network: nn.Module = torchvision.models.get_model(spec.builder, weights=None)
    return network


def _nasnet(name: str) -> nn.Module:
    """Its cells are timm's, an extra, therefore the module is imported where such a network is built."""
    from edgecnn.models.families.from_timm import VARIANTS, NASNet

    return NASNet(VARIANTS[name])


def _alexnet(name: str) -> nn.Module:
    return AlexNet(ALEXNETS[name])


_TABLES: Mapping[str, Callable[[str], nn.Module]] = {
    "lenet": lambda _: LeNet5(),
    "alexnet": _alexnet,
    "zfnet": _alexnet,
    "nin": lambda _: NetworkInNetwork(),
    "plain": plain,
    "nasnet": _nasnet,
    "mobilenet-v1": lambda name: mobilenet.MobileNetV1(mobilenet.V1_SCALES[name]),
    "shufflenet-v1": lambda name: shufflenet_v1.ShuffleNetV1(shufflenet_v1.VARIANTS[name]),
    "efficientnet-lite": lambda name: efficientnet_lite.EfficientNetLite(efficientnet_lite.VARIANTS[name], classes=1000),
}
"""By family."""
