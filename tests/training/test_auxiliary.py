"""GoogLeNet and Inception-v3 learn with auxiliary heads and answer without; small images leave out the head that is too large."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgecnn.models.catalogue import arch_named
from edgecnn.models.families.build import AUXILIARY_MAPS, LargeEnoughAux
from edgecnn.models.networks import build_network
from edgecnn.training import beginning
from edgecnn.training.losses import logits_of
from tests.runtimes.made import Quiet
from tests.training.made import make_given, stage


def test_googlenet_gives_three_answers_while_it_learns_and_one_afterwards() -> None:
    network = build_network(arch_named("googlenet"), 5)
    image = torch.zeros(2, 3, 64, 64)
    assert [tuple(each.shape) for each in logits_of(network.train()(image))] == [(2, 5)] * 3
    assert [tuple(each.shape) for each in logits_of(network.eval()(image))] == [(2, 5)]


def test_fine_tuning_asks_no_auxiliary_head() -> None:
    network = build_network(arch_named("googlenet"), 5).train()
    beginning.prepare_finetune(network)
    assert len(logits_of(network(torch.zeros(2, 3, 64, 64)))) == 1


@pytest.mark.parametrize(("side", "answers"), [(AUXILIARY_MAPS, True), (AUXILIARY_MAPS - 1, False)])
def test_inceptions_head_answers_to_maps_that_are_large_enough_alone(side: int, answers: bool) -> None:
    head = LargeEnoughAux(768, 5).train()
    assert (head(torch.randn(2, 768, side, side)) is not None) is answers


def test_small_images_at_first_are_never_smaller_than_the_network_takes() -> None:
    sizes = beginning.scratch_phase(stage("inception-v3", size_px=96, epochs=6)).sizes_px
    assert [each.stated for each in sizes] == [75, 75, 75, 75, 96, 96]
    sizes = beginning.scratch_phase(stage("resnet-18", size_px=96, epochs=6)).sizes_px
    assert [each.stated for each in sizes] == [64, 64, 64, 64, 96, 96]


@pytest.mark.slow
def test_every_head_of_googlenet_learns_and_the_weights_load_where_it_is_exported(tmp_path: Path) -> None:
    given = make_given(tmp_path, train=16, validation=8)
    (tmp_path / "out").mkdir()
    stage("googlenet", epochs=1, batch_size=8).make(given.roles(), tmp_path / "out", Quiet())
    learned = load_file(tmp_path / "out" / "weights.safetensors")
    network = build_network(arch_named("googlenet"), 10)
    network.load_state_dict(learned)
    fresh = build_network(arch_named("googlenet"), 10).state_dict()
    for head in ("fc.weight", "aux1.fc2.weight", "aux2.fc2.weight"):
        assert not torch.equal(learned[head], fresh[head])
