"""Networks that timm builds, ending as ours do: in a Linear layer on pooled features."""

from __future__ import annotations

import timm
from timm.layers import ClassifierHead
from torch import nn


def from_timm(name: str) -> nn.Module:
    """timm's network of that name with random weights, for 1,000 classes.

    Where timm ends in a 1×1 convolution of a map of one pixel (its ResNet-V2), the Linear layer that this is takes its place.
    """
    network: nn.Module = timm.create_model(name, pretrained=False)
    head = getattr(network, "head", None)
    if isinstance(head, ClassifierHead) and head.use_conv:
        network.head = ClassifierHead(head.in_features, 1000, use_conv=False)
    return network
