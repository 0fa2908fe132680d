"""Any classifier of timm's: what its row says, and that its network and its merged branches are right."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import MERGE_DIFFERS
from edgecnn.errors.weights import NOT_A_CLASSIFIER, UnknownArch
from edgecnn.models.catalogue import arch_named, libraries_of, pixel_recipe
from edgecnn.models.networks import NeighbourHead, build_network, load_shipping, replace_head
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import to_pixels
from edgecnn.values.preprocessing import PixelRecipe, PreprocessingChoice

timm = pytest.importorskip("timm", reason='pip install "edgecnn[zoo]"')
V4 = "timm:mobilenetv4_conv_small.e2400_r224_in1k"


def test_a_name_without_a_tag_is_of_the_weights_that_timm_takes_first() -> None:
    row = arch_named("timm:mobilenetv4_conv_small")
    assert row == arch_named(V4)
    assert (row.name, row.file_name) == (V4, V4.replace(":", "-"))
    assert libraries_of(V4) == ("timm",)


def test_pixels_are_as_timm_validates_these_weights() -> None:
    assert pixel_recipe(arch_named(V4)) == PixelRecipe(resize_px=269, crop_px=256, interpolation="bicubic")
    lite = arch_named("timm:mobileone_s0.apple_in1k")
    assert pixel_recipe(lite) == PixelRecipe(resize_px=256, crop_px=224, interpolation="bilinear")
    half = arch_named("timm:tf_efficientnetv2_s.in1k").normalization
    assert (half.mean, half.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize("shape", [(500, 333), (256, 400), (97, 64)])
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "dm_nfnet_f0.dm_in1k"])
def test_a_photograph_becomes_the_pixels_that_timm_makes_of_it(name: str, mode: str, shape: tuple[int, int]) -> None:
    from edgecnn.models.timm_zoo import row_of  # it imports timm

    recorded = dataclasses.replace(timm.models.get_pretrained_cfg(name), crop_mode=mode)
    config = timm.data.resolve_data_config({}, pretrained_cfg=recorded.to_dict(), use_test_size=True)
    assert config["crop_mode"] == mode
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    ours = to_pixels(photograph, pixel_recipe(row_of(name.partition(".")[0], recorded)).runner_recipe())
    theirs = timm.data.create_transform(**config)(photograph).permute(1, 2, 0).numpy() * config["std"] + config["mean"]
    np.testing.assert_array_equal(ours, (theirs * 255).round().astype(np.uint8))


def test_most_of_timms_weights_are_shown_the_middle() -> None:
    assert "resize" not in arch_named("timm:resnet18.a1_in1k").model_dump()
    assert pixel_recipe(arch_named("timm:dm_nfnet_f0.dm_in1k"), ImageSize.square(192)).resize == "stretch"
    cropped = PreprocessingChoice(resize="crop")
    assert pixel_recipe(arch_named("timm:dm_nfnet_f0.dm_in1k"), None, cropped).resize == "crop"


def test_weights_are_named_with_their_licence_and_page() -> None:
    weights = arch_named("timm:hiera_tiny_224.mae_in1k_ft_in1k").weights
    assert weights is not None
    assert weights.source == "https://huggingface.co/timm/hiera_tiny_224.mae_in1k_ft_in1k"
    assert weights.licence.startswith("cc-by-nc-4.0")
    assert arch_named("timm:dpn48b").weights is None, "nobody published any"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "timm:mobilenetv4_conv_smal",
            "'timm:mobilenetv4_conv_smal' is not a known network — did you mean timm:mobilenetv4_conv_small, "
            "timm:mobilenetv4_conv_small_050, timm:mobilenetv4_conv_small_035? "
            "run `edgecnn list archs 'timm:mobilenetv4_conv_small*'` to list the networks [unknown-arch]",
        ),
        (
            "timm:resnet18.a1_in2k",
            "'timm:resnet18.a1_in2k' is not a known network — did you mean timm:resnet18.a1_in1k, timm:resnet18.a3_in1k, "
            "timm:resnet18.a2_in1k? run `edgecnn list archs 'timm:resnet18.a*'` to list the networks [unknown-arch]",
        ),
        (
            "timm:mobilenetv4*",
            "'timm:mobilenetv4*' is not a known network — "
            "run `edgecnn list archs 'timm:mobilenetv4*'` to list the networks [unknown-arch]",
        ),
        (
            "mobilenetv4_conv_small",
            "'mobilenetv4_conv_small' is not a known network — did you mean mobilenet-v4-conv-small, mobilenet-v3-small, "
            "mobilenet-v4-conv-large, timm:mobilenetv4_conv_small? run `edgecnn list archs` to list the networks [unknown-arch]",
        ),
        ("timm:", "'timm:' is not a known network — run `edgecnn list archs 'timm:*'` to list the networks [unknown-arch]"),
    ],
)
def test_a_wrong_name_or_tag_is_answered_with_the_nearest(text: str, line: str) -> None:
    with pytest.raises(UnknownArch) as refusal:
        arch_named(text)
    assert refusal.value.line() == line


def test_what_ends_in_features_is_no_classifier() -> None:
    with pytest.raises(EdgecnnError, match="ends in features", check=NOT_A_CLASSIFIER.made):
        arch_named("timm:eva02_tiny_patch14_224.mim_in22k")


@pytest.mark.parametrize("name", ["timm:levit_128s", "timm:repvit_m0_9", "timm:crossvit_tiny_240"])
def test_all_last_layers_of_a_network_get_the_new_classes(name: str) -> None:
    row = arch_named(name)
    network = build_network(row, 7).eval()
    assert len(row.beside) == 1
    with torch.no_grad():
        assert network(torch.zeros(1, 3, *row.resolution_px)).shape == (1, 7)


@pytest.mark.parametrize("name", ["timm:repvgg_a0", "timm:repvit_m0_9"])
def test_branches_are_merged_before_a_network_ships(name: str, tmp_path: Path) -> None:
    row = arch_named(name)
    learned = learned_a_little(build_network(row, 5))
    save_file(learned.state_dict(), tmp_path / "weights.safetensors")
    ships = load_shipping(row, 5, tmp_path / "weights.safetensors", ImageSize.square(64))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ships(images), learned(images), atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ships.modules())
    assert sum(parameter.numel() for parameter in ships.parameters()) < sum(
        parameter.numel() for parameter in learned.parameters()
    )


def test_a_merge_that_changes_the_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = arch_named("timm:repvgg_a0")
    save_file(build_network(row, 5).state_dict(), tmp_path / "weights.safetensors")
    other = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    monkeypatch.setattr("edgecnn.models.families.from_timm.reparameterize_model", lambda _network: other)
    with pytest.raises(EdgecnnError, check=MERGE_DIFFERS.made):
        load_shipping(row, 5, tmp_path / "weights.safetensors", ImageSize.square(64))


def test_neighbours_vote_behind_a_pooled_map(tmp_path: Path) -> None:
    row = arch_named("timm:resnetv2_18")
    network = build_network(row, 5).eval()
    replace_head(network, row, NeighbourHead.of(torch.rand(20, 512), torch.arange(20) % 5, 5, 3))
    with torch.no_grad():
        assert network(torch.rand(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize(("name", "least_px"), [("timm:inception_v3", 75), ("timm:ghostnetv2_100", 33), ("timm:resnet18", 32)])
def test_the_smallest_size_is_one_that_the_network_takes(name: str, least_px: int) -> None:
    assert arch_named(name).least_px == least_px


def learned_a_little(network: nn.Module) -> nn.Module:
    """Statistics of batch norms that are not those of the beginning, without which merging them changes nothing."""
    draw = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(len(tensor), generator=draw) + 0.5)
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(torch.rand(len(tensor), generator=draw) - 0.5)
    return network.eval()


@pytest.mark.parametrize("name", ["timm:twins_svt_small", "timm:mobilevit_xxs"])
def test_attention_is_written_out_since_fused_it_cannot_always_be_exported(name: str) -> None:
    from edgecnn.models.families.from_timm import merge_for_shipping

    network = build_network(arch_named(name), 10).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = network(images)
        ships = merge_for_shipping(network, ImageSize.square(64))
        assert {module.fused_attn for module in ships.modules() if hasattr(module, "fused_attn")} == {False}
        assert torch.allclose(ships(images), before, atol=1e-5)
