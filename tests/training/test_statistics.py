import torch
from torch import nn

from edgecnn.training.loop import recompute_statistics


def test_the_statistics_are_those_of_the_images_shown_and_of_nothing_before() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean.fill_(100.0)  # type: ignore[union-attr]
    images = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 + 5
    recompute_statistics(nn.Sequential(norm), images.split(16))
    assert torch.allclose(norm.running_mean, images.mean((0, 2, 3)), atol=1e-4)  # type: ignore[arg-type]
    assert torch.allclose(norm.running_var, images.var((0, 2, 3)), rtol=0.05)  # type: ignore[arg-type]


def test_weights_momentum_and_mode_stay_as_they_were() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.25))
    weight = network[0].weight.detach().clone()
    recompute_statistics(network, [torch.ones(8, 3, 8, 8)])
    assert torch.equal(network[0].weight, weight)
    assert network[1].momentum == 0.25
    assert not network.training
    assert not network[1].training
