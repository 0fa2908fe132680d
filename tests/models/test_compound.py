from __future__ import annotations

from functools import cache

import pytest
import torch

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import (
    NOTHING_TO_SCALE,
    SCALE_CONTRADICTS_RESOLUTION,
    ResolutionUnderStride,
    ScaleInvalid,
    ScaleLeavesNoChannel,
)
from edgecnn.errors.weights import UnknownArch
from edgecnn.models.catalogue import all_archs, arch_named
from edgecnn.models.compound import EFFICIENTNET, RULES, formula, scale_arch, scaled_or_same
from edgecnn.models.families.build import blocks_of, scaled_network
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.scale import CompoundScale, Multipliers

HEAVY = ("efficientnet-b5", "efficientnet-b6", "efficientnet-lite3", "resnet-101", "resnet-152")
"""Which are as their neighbours, and take seconds to build."""
SCALABLE = [spec.name for spec in all_archs() if spec.family in RULES and spec.name not in HEAVY]
B0 = arch_named("efficientnet-b0")


@cache
def shapes(name: str) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {tensor: value.shape for tensor, value in build_network(arch_named(name)).state_dict().items()}


@pytest.mark.parametrize("name", SCALABLE)
def test_an_unscaled_table_is_the_published_network_to_the_last_channel(name: str) -> None:
    with torch.device("meta"):
        ours = scaled_network(arch_named(name))
    assert {tensor: value.shape for tensor, value in ours.state_dict().items()} == shapes(name)


@pytest.mark.parametrize("phi", [0, 1, 2, 3, 4, 7])
def test_a_whole_phi_of_b0_is_the_published_member(phi: int) -> None:
    network = scale_arch(B0, CompoundScale(phi=phi), ImageSize.square(224))
    assert shapes(network.spec.name) == shapes(f"efficientnet-b{phi}")
    assert network.resolution_px.stated == (224, 240, 260, 300, 380, 456, 528, 600)[phi]


def test_b7_is_published_with_another_depth_than_the_formula_gives() -> None:
    assert EFFICIENTNET[7].depth == 3.1
    assert formula(7).depth == 3.5832


def test_any_other_phi_is_the_formula() -> None:
    network = scale_arch(B0, CompoundScale(phi=1.5), ImageSize.square(224))
    assert network.spec.scale == Multipliers(depth=1.3145, width=1.1537)  # 1.2 and 1.1 to the 1.5
    assert network.resolution_px == ImageSize.square(276)  # 224 · 1.15^1.5 is 276.2
    assert scale_arch(B0, CompoundScale(phi=-2), ImageSize.square(224)).spec.name == "efficientnet-b0-d0.6944-w0.8264"
    assert scale_arch(B0, CompoundScale(phi=-2), ImageSize.square(224)).resolution_px == ImageSize.square(168)


def test_nothing_that_was_published_of_a_network_is_said_of_its_scaled_ones() -> None:
    spec = scale_arch(B0, CompoundScale(depth=2), ImageSize.square(224)).spec
    assert (spec.parameters, spec.macs, spec.depth, spec.accuracy) == (None, None, None, None)


def test_a_phi_counts_from_the_resolution_that_the_network_would_have_had() -> None:
    assert scale_arch(B0, CompoundScale(phi=3), ImageSize.square(64)).resolution_px == ImageSize.square(
        84
    )  # 64 · 300 / 224 is 85.7


@pytest.mark.parametrize(
    "name", ["mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "mobilenet-v3-small", "resnet-18", "resnet-50"]
)
def test_others_are_scaled_by_the_same_rounding(name: str) -> None:
    network = scale_arch(arch_named(name), CompoundScale.from_text("depth=1.2,width=0.75,resolution=192"), ImageSize.square(224))
    assert network.spec.name == f"{name}-d1.2-w0.75"
    assert network.resolution_px == ImageSize.square(192)
    before, after = (blocks_of(arch_named(arch)) for arch in (name, network.spec.name))
    assert [len(group) for group in after] == [-(-12 * len(group) // 10) for group in before]
    kernels = [shape for tensor, shape in shapes(network.spec.name).items() if len(shape) == 4 and tensor != "conv1.weight"]
    assert all(shape[0] % 8 == 0 for shape in kernels)  # a squeeze too, which takes a quarter of the channels


def test_mobilenet_v2_keeps_its_last_layer_when_it_gets_narrower_as_its_paper_does() -> None:
    assert shapes("mobilenet-v2-d1-w0.5")["classifier.1.weight"] == (1000, 1280)
    assert shapes("mobilenet-v2-d1-w1.5")["classifier.1.weight"] == (1000, 1920)


def test_a_scaled_network_is_found_by_the_name_that_reports_show() -> None:
    spec = scale_arch(B0, CompoundScale(depth=1.2, width=0.75), ImageSize.square(224)).spec
    assert spec.name == "efficientnet-b0-d1.2-w0.75"
    assert arch_named(spec.name) == spec
    assert scale_arch(spec, CompoundScale(depth=2), ImageSize.square(224)).spec.name == "efficientnet-b0-d2.4-w0.75"


@pytest.mark.parametrize("name", ["efficientnet-b9-d1.2-w1", "vgg-16-d1-w0.5", "efficientnet-b0-d1.2"])
def test_what_only_looks_like_such_a_name_is_no_network(name: str) -> None:
    with pytest.raises(UnknownArch):
        arch_named(name)


@pytest.mark.parametrize(
    ("suffix", "ref"),
    [
        ("d0-w1", "scale-invalid"), ("d0.00001-w1", "scale-invalid"), ("d20-w1", "scale-invalid"),
        ("d1-w0.001", "scale-leaves-no-channel"),
    ],
)  # fmt: skip
def test_an_impossible_scale_is_refused_by_its_networks_name_as_by_itself(suffix: str, ref: str) -> None:
    with pytest.raises(EdgecnnError) as refused:
        arch_named(f"resnet-18-{suffix}")
    assert refused.value.ref == ref


@pytest.mark.parametrize(("own", "more"), [("d4-w1", "depth=3"), ("d0.01-w1", "depth=0.001"), ("d1-w4", "width=4")])
def test_two_scales_together_are_bounded_as_one_is(own: str, more: str) -> None:
    with pytest.raises(ScaleInvalid, match=f"resnet-18-{own} would have {more.partition('=')[0]} × "):
        scaled_or_same(arch_named(f"resnet-18-{own}"), more, None, ImageSize.square(224))


def test_without_depth_and_width_the_network_stays_as_it_was_published() -> None:
    assert scale_arch(B0, CompoundScale(resolution=192), ImageSize.square(224)) == (B0, ImageSize.square(192))


def test_a_rectangle_keeps_its_shape() -> None:
    base = ImageSize(48, 192)
    assert scale_arch(B0, CompoundScale(resolution=32), base).resolution_px == ImageSize(32, 128)
    assert scale_arch(B0, CompoundScale(phi=2), base).resolution_px == ImageSize(56, 224)


def test_a_stated_resolution_that_is_the_scales_own_is_no_contradiction() -> None:
    assert scaled_or_same(B0, "phi=1.5", ImageSize.square(276), ImageSize.square(224)).resolution_px == ImageSize.square(276)
    assert scaled_or_same(B0, "depth=2", ImageSize.square(100), ImageSize.square(224)).resolution_px == ImageSize.square(100)
    with pytest.raises(EdgecnnError, check=SCALE_CONTRADICTS_RESOLUTION.made):
        scaled_or_same(B0, "phi=1.5", ImageSize.square(224), ImageSize.square(224))


def test_an_impossible_scale_is_refused() -> None:
    with pytest.raises(ScaleLeavesNoChannel):
        scale_arch(B0, CompoundScale(width=0.24), ImageSize.square(224))
    with pytest.raises(ResolutionUnderStride):
        scale_arch(B0, CompoundScale(resolution=31), ImageSize.square(224))
    with pytest.raises(EdgecnnError, check=NOTHING_TO_SCALE.made):
        scale_arch(B0.model_copy(update={"name": "lenet-5", "family": "lenet"}), CompoundScale(phi=1), ImageSize.square(224))


def test_the_least_width_that_an_error_names_is_possible() -> None:
    assert scale_arch(B0, CompoundScale(width=0.25), ImageSize.square(224)).spec.scale == Multipliers(width=0.25)
