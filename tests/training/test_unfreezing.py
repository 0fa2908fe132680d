"""Groups of blocks that begin to learn one after another: the last ones first, and all in the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network, head_of
from edgecnn.training.schedule import freeze_all_but_last, layer_groups, trainable_groups, unfreeze_last
from tests.data.folders import Heard
from tests.training.made import LITE, SMALL, Given, fetched, files_of, make_given, stage


class Interrupting(Heard):
    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        if what == "train" and done > 96:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"), train=48, validation=16)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(tmp_path_factory.mktemp("fetched") / "weights")


def learns(group: nn.Module) -> bool:
    return all(parameter.requires_grad for parameter in group.parameters())


def test_each_epoch_lets_more_groups_learn_and_the_last_one_all() -> None:
    groups = tuple(nn.Linear(2, 2) for _ in range(5))
    shown = [(unfreeze_last(groups, epoch, 3), [learns(group) for group in groups]) for epoch in range(3)]
    assert [count for count, _ in shown] == [2, 4, 5]
    assert shown[0][1] == [False, False, False, True, True] and shown[2][1] == [True] * 5


def test_what_transfer_last_froze_is_never_released() -> None:
    network, spec = build_network(arch_named(SMALL), 10), arch_named(SMALL)
    head = head_of(network, spec)
    learning = freeze_all_but_last(network, head)
    groups = trainable_groups(network, head)
    assert len(groups) == learning < len(layer_groups(network, head))
    unfreeze_last(groups, 0, 1)
    assert not learns(layer_groups(network, head)[0])


@pytest.fixture(scope="module")
def gradual(given: Given, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gradual")
    stage(LITE, mode="finetune", epochs=3, unfreeze="groups").make(given.roles(weights), out, Heard())
    return out


def test_the_history_says_how_many_groups_learned_in_each_epoch(gradual: Path) -> None:
    (_, phase) = json.loads((gradual / "history.json").read_text())["phases"]
    network = build_network(arch_named(LITE), 10)
    count = len(layer_groups(network, head_of(network, arch_named(LITE))))
    learning = [epoch["learning_groups"] for epoch in phase["epochs"]]
    assert learning == sorted(learning) and 0 < learning[0] < learning[-1] == count


def test_a_group_that_was_never_released_keeps_what_it_came_with(given: Given, weights: Path, tmp_path: Path) -> None:
    asked = stage(LITE, mode="finetune", epochs=3, unfreeze="groups")
    with pytest.raises(KeyboardInterrupt):  # in the third epoch
        asked.make(given.roles(weights), tmp_path, Interrupting())
    trained = load_file(tmp_path / "resume" / "finetune.checkpoint.safetensors")
    before = load_file(weights / "weights.safetensors")
    names = {name for name in before if name.endswith("weight") and before[name].ndim == 4}
    still = {name for name in names if torch.equal(trained[f"network.{name}"], before[name])}
    assert still and names - still


def test_pretrained_layers_learn_at_a_tenth_of_the_head_s_rate(given: Given, weights: Path, tmp_path: Path) -> None:
    """Of Adam: its first steps move the weight that moves furthest by the rate itself, whatever the gradient's size."""
    asked = stage(LITE, mode="finetune", epochs=3, batch_size=48, weight_decay=0.0)
    with pytest.raises(KeyboardInterrupt):  # in the third epoch, which is the third step
        asked.make(given.roles(weights), tmp_path, Interrupting())
    before, after = (load_file(tmp_path / "resume" / f"{name}.safetensors") for name in ("head.best", "finetune.checkpoint"))
    names = ["features.0.0.weight", "features.17.0.weight", "classifier.1.weight"]
    first, last, head = ((after[f"network.{name}"] - before[name]).abs().max().item() for name in names)
    assert [first, last] == pytest.approx([head / 10] * 2, rel=0.1)


def test_it_goes_on_after_an_interruption_with_the_same_bytes(given: Given, weights: Path, gradual: Path, tmp_path: Path) -> None:
    asked = stage(LITE, mode="finetune", epochs=3, unfreeze="groups")
    with pytest.raises(KeyboardInterrupt):
        asked.make(given.roles(weights), tmp_path, Interrupting())
    torch.rand(1)
    asked.make(given.roles(weights), tmp_path, Heard())
    assert files_of(tmp_path) == files_of(gradual)
