"""Features are those of the network, whichever of its layers are folded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.training.folding import folded


def trained_like(network: nn.Module) -> nn.Module:
    """With statistics, scales and shifts as no new network has them."""
    random = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.bias):
                tensor.data.uniform_(-0.2, 0.2, generator=random)  # type: ignore[union-attr]
            for tensor in (layer.running_var, layer.weight):
                tensor.data.uniform_(0.5, 1.5, generator=random)  # type: ignore[union-attr]
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.parametrize(
    ("arch", "kept"),
    [("resnet-18", 0), ("efficientnet-lite0", 0), ("mobilenet-v3-small", 0), ("densenet-121", 62), ("lenet-5", 0)],
)
def test_it_answers_as_the_network_does_with_fewer_layers(arch: str, kept: int) -> None:
    network = trained_like(build_network(arch_named(arch), 10))
    before, images = norms(network), torch.randn(2, 3, 64, 64)
    light = folded(network, images)
    assert (norms(network), norms(light)) == (before, kept), "of a DenseNet the ones before convolutions stay"
    more = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(light(more), network(more), rtol=1e-3, atol=1e-4)


class ReadTwice(nn.Module):
    """Adds a map to what its batch norm makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        found = self.conv(images)
        return (found + self.norm(found)).mean((2, 3))  # type: ignore[no-any-return]


class UsedTwice(ReadTwice):
    """Its convolution answers two batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        return (self.norm(self.conv(images)) - self.other(self.conv(images))).mean((2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [ReadTwice, UsedTwice])
def test_what_cannot_be_folded_stays(kind: type[nn.Module]) -> None:
    network = trained_like(kind())
    light, images = folded(network, torch.randn(2, 3, 8, 8)), torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(light(images), network(images))
