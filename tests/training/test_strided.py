"""Convolutions that oneDNN computes wrongly in the memory layout in which networks learn."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.training.loop import sample_before_strided
from edgecnn.training.process import repeatable


def gradient(layer: nn.Conv2d, images: Tensor, backward: Tensor) -> Tensor:
    layer(images).backward(backward)
    assert layer.weight.grad is not None
    return layer.weight.grad


@pytest.mark.parametrize(("channels", "wider", "stride", "groups"), [(3, 64, 2, 1), (4, 8, 2, 1), (3, 16, 4, 1), (12, 16, 2, 2)])
def test_a_strided_convolution_of_few_channels_learns_what_it_should(channels: int, wider: int, stride: int, groups: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(channels, wider, 1, stride, groups=groups, bias=False)
    images = torch.randn(8, channels, 64, 64)
    answers = torch.randn_like(layer(images))
    right = gradient(copy.deepcopy(layer).double(), images.double(), answers.double())
    ordered = images.contiguous(memory_format=torch.channels_last)
    for threads in (1, 2):
        learner = copy.deepcopy(layer)
        with repeatable(threads), sample_before_strided(learner):
            found = gradient(learner.to(memory_format=torch.channels_last), ordered, answers)  # type: ignore[call-overload]
        torch.testing.assert_close(found.double(), right, rtol=1e-4, atol=1e-4 * float(right.abs().max()))


def test_a_network_answers_as_ever_and_so_does_its_copy_by_its_own_weights() -> None:
    network = build_network(arch_named("mobileone-s0"), 5, seed=1).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        right = network(images)
        with sample_before_strided(network):
            copied = copy.deepcopy(network)
            torch.testing.assert_close(network(images), right, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(network(images), right, rtol=0, atol=0)
        for parameter in network.parameters():
            parameter.zero_()
        torch.testing.assert_close(copied(images), right, rtol=1e-4, atol=1e-4)


def test_afterwards_a_network_is_exported_as_it_was_made() -> None:
    network = build_network(arch_named("mobileone-s0"), 5, seed=1)
    made = [layer.stride for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    with sample_before_strided(network):
        within = [layer.stride for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    after = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert within != made == [layer.stride for layer in after]
    assert not any(layer._forward_pre_hooks for layer in after)
