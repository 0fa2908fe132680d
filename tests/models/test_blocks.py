"""Networks of random blocks, of which latency tables are made."""

from __future__ import annotations

import pytest
import torch

from edgecnn.errors.weights import UnknownArch
from edgecnn.fit.predictor import count_cost
from edgecnn.models.catalogue import arch_named, timed_arch
from edgecnn.models.families.random_blocks import random_blocks
from edgecnn.models.networks import build_network
from edgecnn.values.fit import Probe

SEEDS = range(12)


def test_a_seed_is_one_network_and_another_seed_another() -> None:
    sizes = [sum(parameter.numel() for parameter in random_blocks(seed).parameters()) for seed in SEEDS]
    assert sizes[0] == sum(parameter.numel() for parameter in random_blocks(0).parameters())
    assert len(set(sizes)) == len(sizes)


@pytest.mark.parametrize(("seed", "macs"), [(0, 144_641_288), (1, 16_732_904), (2, 215_372_408)])
def test_what_a_seed_is_stays_since_tables_name_it(seed: int, macs: int) -> None:
    assert count_cost(Probe(arch=f"blocks-{seed}", resolution_px=96, classes=100)).macs == macs


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_answers_images_of_an_odd_size_with_the_classes_asked_for(seed: int) -> None:
    network = build_network(timed_arch(f"blocks-{seed}"), 7).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 33, 33)).shape == (1, 7)


@pytest.mark.slow
def test_together_they_have_every_kind_of_layer_and_operation_that_families_have() -> None:
    names: set[str] = set()
    for seed in SEEDS:
        names |= set(count_cost(Probe(arch=f"blocks-{seed}", resolution_px=64, classes=10)).features)
    for arch in ("mobilenet-v3-large", "efficientnet-b0", "resnext-50-32x4d", "densenet-121", "shufflenet-v1-x1.0", "googlenet"):
        assert set(count_cost(Probe(arch=arch, resolution_px=64, classes=10)).features) <= names


def test_no_recipe_can_ask_for_one() -> None:
    with pytest.raises(UnknownArch):
        arch_named("blocks-3")
