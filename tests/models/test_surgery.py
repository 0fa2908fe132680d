"""Exchanged everywhere, nothing else touched, and what goes leaves its usual share of each channel behind."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from edgecnn.models.catalogue import OF_TIMM_ALONE, SILU, all_archs, arch_named, parts_of
from edgecnn.models.compound import RULES
from edgecnn.models.families.classic import Squash
from edgecnn.models.networks import build_network, parameter_count
from edgecnn.models.surgery import apply_surgery, apply_surgery_untrained, mean_gates, squeeze_excites
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.loop import recompute_statistics
from edgecnn.values.training import Form, Surgery

NAMES = {Squash: "scaled tanh", nn.SiLU: SILU, nn.Hardswish: "hard-swish", nn.ReLU: "ReLU", nn.ReLU6: "ReLU6"}


def network(arch: str = "efficientnet-b0") -> nn.Module:
    """Random weights with the statistics of some images: without them every answer is next to nothing."""
    built = build_network(arch_named(arch), 10)
    recompute_statistics(built, [images(9)])
    return built


def far_apart(one: nn.Module, other: nn.Module) -> bool:
    with torch.no_grad():
        answers = one(images())
        return bool((answers - other(images())).abs().max() > 0.01 * answers.abs().max())


def surgery(activation: str = "keep", squeeze_excite: str = "keep") -> Surgery:
    return Surgery.model_validate({"activation": activation, "squeeze_excite": squeeze_excite, "epochs": 1})


def images(seed: int = 0) -> Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def kinds(of: nn.Module) -> set[type[nn.Module]]:
    return {type(module) for module in of.modules()}


def unequal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    return [name for name, tensor in one.items() if name in other and not torch.equal(tensor, other[name])]


@pytest.mark.parametrize(("activation", "kind"), [("hard-swish", nn.Hardswish), ("relu6", nn.ReLU6)])
def test_every_silu_becomes_the_other_activation_and_no_weight_changes(activation: str, kind: type[nn.Module]) -> None:
    before = network()
    count = sum(isinstance(module, nn.SiLU) for module in before.modules())
    after = apply_surgery(before, surgery(activation), {}, ImageSize.square(64))
    assert nn.SiLU not in kinds(after)
    assert sum(type(module) is kind for module in after.modules()) == count == 49
    assert after.state_dict().keys() == before.state_dict().keys()
    assert unequal(before.state_dict(), after.state_dict()) == []
    assert far_apart(before, after)


def test_the_gates_that_stay_are_those_that_were_learned() -> None:
    assert nn.Sigmoid in kinds(apply_surgery(network(), surgery("hard-swish"), {}, ImageSize.square(64)))


def test_the_given_network_stays_as_it_was() -> None:
    before = network()
    state = {name: tensor.clone() for name, tensor in before.state_dict().items()}
    apply_surgery(before, surgery("hard-swish", "remove"), mean_gates(before, [images()]), ImageSize.square(64))
    assert nn.SiLU in kinds(before)
    assert unequal(state, before.state_dict()) == []


@pytest.mark.parametrize("arch", ["efficientnet-b0", "mobilenet-v3-small"])
def test_squeeze_excite_goes_with_its_weights(arch: str) -> None:
    before = network(arch)
    of_blocks = sum(parameter_count(module) for module in before.modules() if isinstance(module, SqueezeExcitation))
    after = apply_surgery(before, surgery(squeeze_excite="remove"), mean_gates(before, [images()]), ImageSize.square(64))
    assert squeeze_excites(after) == ()
    assert parameter_count(after) == parameter_count(before) - of_blocks
    assert of_blocks > 100_000
    assert far_apart(before, after)


def test_a_gate_that_is_the_same_for_every_image_is_not_missed_when_it_goes() -> None:
    before = network()
    for name in squeeze_excites(before):
        block = before.get_submodule(name)
        nn.init.zeros_(block.get_submodule("fc2").get_parameter("weight"))
        nn.init.normal_(block.get_submodule("fc2").get_parameter("bias"), generator=torch.Generator().manual_seed(1))
    after = apply_surgery(
        before, surgery(squeeze_excite="remove"), mean_gates(before, [images(), images(1)]), ImageSize.square(64)
    )
    assert not far_apart(before, after)


def test_mean_gates_are_means_over_images_and_leave_no_hook_behind() -> None:
    before = network()
    one, other, both = (mean_gates(before, batches) for batches in ([images()], [images(1)], [images(), images(1)]))
    assert tuple(both) == squeeze_excites(before)
    for name in both:
        assert torch.allclose(both[name], (one[name] + other[name]) / 2)
        assert ((both[name] >= 0) & (both[name] <= 1)).all()
    assert not any(module._forward_hooks for module in before.modules())


@pytest.mark.parametrize("family", sorted(RULES))
def test_a_share_of_every_layers_channels_goes_and_the_network_answers_still(family: str) -> None:
    before = build_network(arch_named(RULES[family].first), 10)
    after = apply_surgery_untrained(before, Form(pruned=0.3), ImageSize.square(64))
    assert 0.3 < parameter_count(after) / parameter_count(before) < 0.75
    assert after(images()).shape == (4, 10)
    of_first = [[module for module in of.modules() if isinstance(module, nn.Conv2d)] for of in (before, after)]
    assert all(one.out_channels % 8 == 0 or one.out_channels == was.out_channels for was, one in zip(*of_first, strict=True))


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_what_is_left_is_about_as_wide_as_a_network_scaled_to_it(share: float) -> None:
    """Whose last layer is as wide as ever: MobileNetV2 leaves it so below a width of 1."""
    pruned = apply_surgery_untrained(build_network(arch_named("mobilenet-v2"), 10), Form(pruned=share), ImageSize.square(64))
    scaled = build_network(arch_named(f"mobilenet-v2-d1-w{1 - share:g}"), 10)
    assert parameter_count(pruned) == pytest.approx(parameter_count(scaled), rel=0.35)


def test_those_that_stay_are_those_of_the_largest_weights() -> None:
    before = network("resnet-18")
    convolution = before.get_submodule("layer1.0.conv1")
    weights = convolution.get_parameter("weight")
    with torch.no_grad():
        weights[::2] *= 10
    after = (
        apply_surgery(before, Form(pruned=0.5), {}, ImageSize.square(64)).get_submodule("layer1.0.conv1").get_parameter("weight")
    )
    assert len(after) == len(weights) // 2
    assert after.abs().mean() > 5 * weights[1::2].abs().mean()


@pytest.mark.parametrize("spec", [spec for spec in all_archs() if spec.family not in OF_TIMM_ALONE], ids=lambda spec: spec.name)
def test_the_table_of_parts_says_what_each_network_holds(spec) -> None:  # type: ignore[no-untyped-def]
    with torch.device("meta"):
        built = build_network(spec, 10)
    parts = parts_of(spec.family)
    assert parts is not None
    # torchvision's two with auxiliary heads call the function, and hold no module of it
    expected = set() if spec.auxiliary else set(parts.activations)
    assert {NAMES[kind] for kind in kinds(built) if kind in NAMES} == expected
    assert bool(squeeze_excites(built)) is parts.squeeze_excite
