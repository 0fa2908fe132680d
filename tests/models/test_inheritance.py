from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.families.build import inherit
from edgecnn.models.networks import build_network, head_of
from edgecnn.values.arch import ArchSpec

NAMES = ["efficientnet-b0", "efficientnet-lite0", "mobilenet-v2", "mobilenet-v3-small", "resnet-18"]
IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))


def learned(spec: ArchSpec) -> nn.Module:
    """Random weights with batch-norm statistics of their own, so that a statistic left behind would be seen."""
    network = build_network(spec, seed=3)
    with torch.no_grad():
        network.train()(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(6)))
    return network.eval()


@torch.no_grad()
def features(network: nn.Module, spec: ArchSpec) -> Tensor:
    tensors: list[Tensor] = []
    handle = head_of(network, spec).register_forward_hook(lambda _module, inputs, _made: tensors.append(inputs[0]))
    network.eval()(IMAGE)
    handle.remove()
    return tensors[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_larger_network_begins_by_computing_what_the_smaller_one_did(name: str) -> None:
    base, spec = arch_named(name), arch_named(f"{name}-d1.2-w1.3")
    before, after = learned(base), build_network(spec, 10, seed=4)
    inheritance = inherit(after, spec, base, before.state_dict())
    wanted = features(before, base)
    assert torch.allclose(features(after, spec)[:, : wanted.shape[1]], wanted, atol=1e-5 * float(wanted.abs().max()))
    assert 0.3 < inheritance.share < 0.9


@pytest.mark.parametrize("name", [*NAMES, "mobilenet-v1"])
def test_a_smaller_one_takes_the_first_channels_and_blocks(name: str) -> None:
    base, spec = arch_named(name), arch_named(f"{name}-d0.5-w0.75")
    before, after = learned(base), build_network(spec, 10, seed=4)
    inheritance = inherit(after, spec, base, before.state_dict())
    stem = next(tensor for tensor, value in after.state_dict().items() if value.ndim == 4)
    mine, theirs = after.state_dict()[stem], before.state_dict()[stem]
    assert torch.equal(mine, theirs[: mine.shape[0]])
    head = sum(value.numel() for value in head_of(after, spec).parameters())
    assert inheritance.inherited == inheritance.parameters - head


def test_only_what_both_have_counts_as_inherited() -> None:
    base, spec = arch_named("resnet-18"), arch_named("resnet-18-d1-w2")
    inheritance = inherit(build_network(spec, 10), spec, base, build_network(base).state_dict())
    body = sum(value.numel() for name, value in build_network(base).named_parameters() if not name.startswith("fc."))
    assert inheritance.inherited == body


def test_a_bottlenecks_new_block_adds_nothing_either() -> None:
    base, spec = arch_named("resnet-50"), arch_named("resnet-50-d1.2-w1")
    after = build_network(spec, 10)
    inherit(after, spec, base, build_network(base).state_dict())
    assert not after.get_submodule("layer1.3.bn3").weight.any()
    assert after.get_submodule("layer1.2.bn3").weight.all()
