"""What a row says of work, depth and the smallest picture is what its layers give; our own tables are the papers' networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecnn.models.catalogue import all_archs, arch_named
from edgecnn.models.families.classic import LeNet5, LinearEverywhere
from edgecnn.models.families.tables import PlainBlock
from edgecnn.models.networks import build_network, shipping_shapes
from edgecnn.values.arch import ArchSpec
from tests.models.counting import counted, runs_at
from tests.models.smallest import SMALLEST, each_with_the_others_slow


def network_on_meta(spec: ArchSpec) -> nn.Module:
    with torch.device("meta"):
        return build_network(spec, spec.classes)


@pytest.mark.parametrize("name", each_with_the_others_slow())
def test_multiply_adds_and_depth_are_the_declared_ones(name: str) -> None:
    spec = arch_named(name)
    assert counted(shipping_shapes(spec, spec.classes), spec.resolution_px) == (spec.macs, spec.depth)


@pytest.mark.parametrize("name", each_with_the_others_slow())
def test_the_smallest_picture_is_the_declared_one(name: str) -> None:
    spec = arch_named(name)
    network = network_on_meta(spec)
    assert runs_at(network, spec.least_px)
    assert spec.least_px == 32 or not runs_at(network, spec.least_px - 1)


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("mobilenet-v1", 569e6),  # arXiv:1704.04861, Tables 4 and 6
        ("mobilenet-v1-0.75", 325e6),
        ("mobilenet-v1-0.5", 149e6),
        ("mobilenet-v1-0.25", 41e6),
        ("shufflenet-v1-x1.0", 138e6),  # the authors' table
        ("shufflenet-v1-x2.0", 524e6),
        ("nasnet-mobile", 564e6),  # arXiv:1707.07012, Tables 2 and 3
        ("nasnet-large", 23.8e9),
        ("alexnet-2012", 724e6),
        ("plain-34", 3.6e9),  # arXiv:1512.03385, Figure 3
    ],
)
def test_declared_work_agrees_with_published_totals(name: str, macs: float) -> None:
    half_of_the_last_digit = 5e7 if macs > 1e9 else 5e5
    assert arch_named(name).macs == pytest.approx(macs, rel=0.01, abs=half_of_the_last_digit)


@pytest.mark.parametrize(
    ("name", "depth"),
    [("lenet-5", 7), ("alexnet-2012", 8), ("vgg-19", 19), ("googlenet", 22), ("plain-34", 34), ("resnet-152", 152)]
    + [("densenet-201", 201), ("mobilenet-v1", 28), ("resnet-v2-101", 101), ("resnext-50-32x4d", 50), ("inception-v3", 48)],
)
def test_depth_is_what_the_papers_name_their_networks_after(name: str, depth: int) -> None:
    assert arch_named(name).depth == depth


def test_every_row_says_what_it_costs() -> None:
    assert [spec.name for spec in all_archs() if spec.macs is None or spec.depth is None] == []


def test_every_family_has_one_that_ordinary_tests_try() -> None:
    assert {arch_named(name).family for name in SMALLEST} == {spec.family for spec in all_archs()}


def test_lenet_counts_layer_by_layer_as_the_paper_does() -> None:
    network = LeNet5()
    layers = (network.c1, network.s2, network.c3, network.s4, network.c5, network.f6)
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == [156, 12, 1_516, 32, 48_120, 10_164]


def test_a_map_of_c3_hears_of_its_own_maps_alone() -> None:
    third = LeNet5().c3
    image = torch.zeros(1, 6, 5, 5)
    quiet = third(image).detach().flatten()
    read_by = []
    for at in range(6):
        heard = third(image.index_fill(1, torch.tensor(at), 1.0)).detach().flatten() != quiet
        read_by.append({number for number, moved in enumerate(heard.tolist()) if moved})
    assert read_by[0] == {0, 4, 5, 6, 9, 10, 11, 12, 14, 15}  # the first row of Table I, in the paper's order of maps
    assert [len(maps) for maps in read_by] == [10] * 6


def test_a_plain_block_adds_nothing_to_its_input() -> None:
    block = PlainBlock(4, 4).eval()
    nn.init.zeros_(block.conv2.weight)
    assert not block(torch.ones(1, 4, 8, 8)).any()


def test_the_head_of_network_in_network_is_a_convolution_of_one_place() -> None:
    layer, maps = LinearEverywhere(6, 4), torch.randn(2, 6, 3, 3)
    at_place = layer(maps[:, :, 1, 2])
    torch.testing.assert_close(layer(maps)[:, :, 1, 2], at_place)


def test_channels_are_shuffled_across_groups() -> None:
    from edgecnn.models.families.tables import ChannelShuffle

    channels = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert ChannelShuffle(6)(channels).flatten().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.slow
def test_six_cells_of_our_wiring_are_timms_large_network() -> None:
    timm = pytest.importorskip("timm", reason='pip install "edgecnn[zoo]"')
    from edgecnn.models.families.from_timm import VARIANTS, NASNet

    ours, theirs = NASNet(VARIANTS["nasnet_large"]).eval(), timm.create_model("nasnetalarge").eval()
    assert len(ours.state_dict()) == len(theirs.state_dict())
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    image = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(ours(image), theirs(image))
