"""What oneDNN computes wrongly in the memory layout in which networks learn, computed otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

_BLOCK = 16
"""Channels that oneDNN takes at a time with AVX-512; with AVX2 they are 8."""


@contextmanager
def sampled_first(network: nn.Module) -> Iterator[None]:
    """Within, strided 1×1 convolutions of few channels leave out the pixels between, and convolve the rest in steps of one.

    The sums are the same. For the gradient of such a layer's weights, channels last, oneDNN 3.x writes past its buffer
    (https://github.com/uxlfoundation/oneDNN/issues/6035; torch 2.14 on AVX2: wrong gradients, or a crash), which the first layers
    of MobileOne, RepVGG and FastViT meet.
    """
    with ExitStack() as after:
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and _miscomputed(module):
                hook = module.register_forward_pre_hook(partial(_sampled, stride=module.stride))
                after.callback(setattr, module, "stride", module.stride)
                after.callback(hook.remove)
                module.stride = (1, 1)
        yield


def _miscomputed(layer: nn.Conv2d) -> bool:
    pointwise = layer.kernel_size == (1, 1) and layer.padding in ((0, 0), "valid")
    return pointwise and layer.stride != (1, 1) and 1 < layer.in_channels // layer.groups < _BLOCK


def _sampled(_: nn.Module, given: tuple[Any, ...], *, stride: tuple[int, ...]) -> tuple[Tensor]:
    images: Tensor = given[0]
    return (images[..., :: stride[0], :: stride[1]],)
