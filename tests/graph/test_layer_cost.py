"""Textbook cases, whose figures lectures print; the docs say where slides slip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from edgecnn.graph.export import export_onnx
from edgecnn.graph.layer_cost import LayerCosts, cost_of_layers
from edgecnn.graph.macs import image_input, mac_table
from edgecnn.graph.onnx_cost import operations_of_model
from edgecnn.graph.onnx_file import load_model
from edgecnn.graph.torch_operations import IMAGE, operations_of
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network, parameter_count
from edgecnn.runner.pixel_recipe import ImageSize
from tests.slow_parameters import slowly


def cost(make: Callable[[], nn.Module], side_px: int) -> LayerCosts:
    with torch.device("meta"):
        network = make()
    return cost_of_layers(operations_of(network, ImageSize.square(side_px)), IMAGE, (1, 3, side_px, side_px))


def macs(make: Callable[[], nn.Module], side_px: int) -> list[int]:
    return [layer.macs for layer in cost(make, side_px).layers]


def on(channels: int, body: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """A body whose input has more channels than an image; an average and a repetition make them, and multiply nothing."""

    class Widened(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body()

        def forward(self, image: Tensor) -> Tensor:
            tensor: Tensor = self.body(image.mean(1, keepdim=True).repeat(1, channels, 1, 1))
            return tensor

    return Widened


class Branches(nn.Module):
    """Beside one another, put together by channel."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([branch(image) for branch in self.branches], 1)


def test_a_convolution_against_a_depthwise_and_a_pointwise_one() -> None:
    whole = macs(lambda: nn.Conv2d(3, 5, 3), 6)
    apart = macs(lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 5, 1)), 6)
    assert (whole, apart) == ([2160], [432, 240])
    assert sum(apart) / sum(whole) == pytest.approx(1 / 5 + 1 / 9)  # 1/n' + 1/f²


def test_an_inception_module_with_and_without_bottlenecks() -> None:
    pool = nn.MaxPool2d
    plain = macs(
        on(
            256,
            lambda: Branches(nn.Conv2d(256, 128, 1), nn.Conv2d(256, 192, 3, 1, 1), nn.Conv2d(256, 96, 5, 1, 2), pool(3, 1, 1)),
        ),
        28,
    )
    narrow = macs(
        on(
            256,
            lambda: Branches(
                nn.Conv2d(256, 128, 1),
                nn.Sequential(nn.Conv2d(256, 64, 1), nn.Conv2d(64, 192, 3, 1, 1)),
                nn.Sequential(nn.Conv2d(256, 64, 1), nn.Conv2d(64, 96, 5, 1, 2)),
                nn.Sequential(pool(3, 1, 1), nn.Conv2d(256, 64, 1)),
            ),
        ),
        28,
    )
    assert sum(plain) == 854_196_224
    assert sum(narrow) == 271_351_808
    assert sum(narrow) + narrow[2] == 358_055_936  # what slides print: the 3×3 branch counted twice


def test_a_five_by_five_behind_a_bottleneck() -> None:
    assert macs(on(480, lambda: nn.Conv2d(480, 48, 5, padding=2)), 14) == [112_896_000]
    narrow = macs(on(480, lambda: nn.Sequential(nn.Conv2d(480, 16, 1), nn.Conv2d(16, 48, 5, padding=2))), 14)
    assert sum(narrow) == 5_268_480
    assert narrow[0] + 14 * 15 * 48 * 5 * 5 * 16 == 5_537_280  # what slides print: 14×15 positions in place of 14×14


@pytest.mark.parametrize(
    ("name", "sees_px"),
    [("alexnet", 195), ("vgg16", 212), ("resnet18", 435), ("resnet50", 427)],
)
def test_receptive_fields_are_the_known_ones(name: str, sees_px: int) -> None:
    """Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, for the first two; torchvision
    strides in a bottleneck's 3×3 and not in its 1×1, which changes the paper's 483 of ResNet-50."""
    assert cost(lambda: torchvision.models.get_model(name), 224).receptive_field_px == sees_px


def test_activations_are_freed_after_their_last_reader() -> None:
    chain = cost(lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 2, 1)), 10)
    assert [layer.live_bytes for layer in chain.layers] == [4 * 100 * (3 + 8), 4 * 100 * (8 + 4), 4 * 100 * (4 + 2)]
    assert (chain.activation_bytes, chain.activation_peak) == (4 * 100 * 12, "2")


def test_a_shortcut_is_held_until_it_is_added() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

        def forward(self, image: Tensor) -> Tensor:
            before = self.first(image)
            after: Tensor = self.third(self.second(before))
            after += before
            return after

    assert cost(Residual, 10).activation_bytes == 4 * 100 * 24


def test_a_batch_norm_counts_with_the_layer_that_it_follows() -> None:
    layers = cost(lambda: nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()), 10).layers
    assert [(layer.name, layer.parameters) for layer in layers] == [("0", 216 + 16)]


def test_the_arithmetic_is_said_in_full() -> None:
    layer = cost(lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 4, 3, dilation=2)), 21).layers[1]
    assert layer.arithmetic == (
        "multiply-adds: 4 × 6 × 6 outputs of 8 × 3 × 3 products each = 10,368",
        "parameters: 4 × 8 × 3 × 3 weights + 4 biases = 292",
        "output: 4 × 6 × 6 of 4 bytes = 576 bytes",
        "receptive field: 3 + (3 − 1) × 2 × 2 px a step = 11 px",
    )


@pytest.mark.parametrize("name", ["resnet-18", *slowly("mobilenet-v3-small", "efficientnet-lite0")])
def test_a_file_costs_what_the_network_costs(name: str, tmp_path: Path) -> None:
    spec = arch_named(name)
    network = build_network(spec).eval()
    export_onnx(network, ImageSize.square(64), tmp_path / "a.onnx", opset=20)
    model = load_model(tmp_path / "a.onnx")
    of_file = cost_of_layers(operations_of_model(model), image_input(model).name, (1, 3, 64, 64))
    of_network = cost(lambda: build_network(spec), 64)
    assert sum(layer.macs for layer in of_file.layers) == sum(layer.macs for layer in of_network.layers) == mac_table(model).total
    assert of_file.receptive_field_px == of_network.receptive_field_px
    assert [layer.output for layer in of_file.layers if layer.macs] == [layer.output for layer in of_network.layers if layer.macs]
    assert of_file.activation_bytes == of_network.activation_bytes
    assert sum(layer.parameters for layer in of_network.layers) == parameter_count(network)


PUBLISHED = {
    name: weights for name in torchvision.models.list_models(module=torchvision.models)
    if (weights := torchvision.models.get_model_weights(name).DEFAULT).meta.get("_ops") is not None
}  # fmt: skip
UNREAD = ("maxvit", "swin_", "vit_")
"""Their attention is no layer of a convolutional network: its windows and heads are not counted to a hundredth."""
LARGE_GMACS = 1.0


def _check(name: str) -> None:
    meta = PUBLISHED[name].meta
    transform = PUBLISHED[name].transforms()
    size = ImageSize.square(transform.crop_size[0])
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # whose builder computes while it builds
        network = torchvision.models.get_model(name)
    total = sum(layer.macs for layer in cost_of_layers(operations_of(network.to("meta"), size), IMAGE, (1, 3, *size)).layers)
    assert total / 1e9 == pytest.approx(meta["_ops"], rel=0.01, abs=0.0006)  # three decimals are published


CONVOLUTIONAL = [name for name in PUBLISHED if not name.startswith(UNREAD)]
SLOW = [name for name in CONVOLUTIONAL if PUBLISHED[name].meta["_ops"] >= LARGE_GMACS or name.startswith("regnet")]


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONAL if name not in SLOW])
def test_the_total_is_the_one_that_torchvision_publishes(name: str) -> None:
    _check(name)


@pytest.mark.slow  # building the largest networks takes a minute
@pytest.mark.parametrize("name", SLOW)
def test_the_total_of_a_large_network_is_the_one_that_torchvision_publishes(name: str) -> None:
    _check(name)
