"""One small network a family: what ordinary tests try of the catalogue; all the others are slow."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.models.catalogue import all_archs

SMALLEST = (
    "lenet-5", "alexnet", "zfnet", "nin", "vgg-11", "googlenet", "inception-v3", "plain-18", "resnet-18", "resnet-v2-50",
    "resnext-50-32x4d", "xception", "inception-resnet-v2", "densenet-121", "mobilenet-v1-0.25", "shufflenet-v1-x0.5",
    "nasnet-mobile", "mobilenet-v2", "shufflenet-v2-x0.5", "mobilenet-v3-small", "efficientnet-b0", "efficientnet-lite0",
    "efficientnet-v2-s",
)  # fmt: skip


def each_with_the_others_slow(ordinary: tuple[str, ...] = SMALLEST) -> list[Any]:
    """Every name of the catalogue as a parameter, marked ``slow`` unless it is in ``ordinary``."""
    return [spec.name if spec.name in ordinary else pytest.param(spec.name, marks=pytest.mark.slow) for spec in all_archs()]
