"""The recipes for random weights: what each asks of a phase, and that each trains, and trains on after a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.training.beginning import prepare_scratch, scratch_phase
from edgecnn.training.schedule import rate_drops
from tests.data.folders import Heard
from tests.training.made import SMALL, Given, files_of, make_given, stage


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"), train=64, validation=24)


def test_a_plateau_divides_the_rate_by_ten() -> None:
    phase = scratch_phase(stage(scratch="resnet", learning_rate=0.1, epochs=4))
    assert (phase.optimizer, phase.rate_rule, phase.average_decay, phase.frozen_statistics) == ("sgd", "plateau", 0.0, False)
    assert [phase.rate(2.0, drops) for drops in range(3)] == pytest.approx([0.1, 0.01, 0.001])
    assert phase.rate(0.0) == phase.rate(4.0), "no warm-up, no cosine"


@pytest.mark.parametrize(
    ("judged", "drops"),
    [((), 0), ((0.5, 0.6), 0), ((0.5, 0.5, 0.5), 1), ((0.5, 0.4, 0.3, 0.2, 0.1), 2), ((0.5, 0.4, 0.6, 0.5), 0)],
)
def test_a_rate_drops_for_every_two_epochs_without_a_better_one(judged: tuple[float, ...], drops: int) -> None:
    assert rate_drops(judged, 2) == drops


def test_the_modern_recipe_shows_the_whole_size_throughout() -> None:
    phase = scratch_phase(stage(scratch="modern", epochs=9))
    assert set(phase.sizes_px) == {phase.shipped_px}
    assert phase.rate(0.09) < phase.rate(0.9) > phase.rate(8.1)


def test_he_initialization_keeps_the_size_of_what_goes_back_and_nothing_is_dropped() -> None:
    asked = stage("resnet-18", scratch="resnet", seed=3)
    network = build_network(arch_named("resnet-18"), 10)
    prepare_scratch(network, asked)
    conv = network.get_submodule("layer3.0.conv2")
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.std().item() == pytest.approx((2 / (conv.out_channels * 9)) ** 0.5, rel=0.02)
    small = build_network(arch_named(SMALL), 10)
    prepare_scratch(small, asked)
    assert all(module.p == 0 for module in small.modules() if isinstance(module, nn.Dropout))


@pytest.mark.parametrize("recipe", ["resnet", "modern"])
def test_each_recipe_learns(recipe: str, given: Given, tmp_path: Path) -> None:
    rate = 0.05 if recipe == "resnet" else 2e-3
    stage(scratch=recipe, learning_rate=rate, epochs=3, **_mixing(recipe)).make(given.roles(), tmp_path, Heard())
    (phase,) = json.loads((tmp_path / "history.json").read_text())["phases"]
    assert [epoch["validation_top1"] is not None for epoch in phase["epochs"]] == [True] * 3
    assert phase["epochs"][-1]["train_loss"] < phase["epochs"][0]["train_loss"]


def test_momentum_and_plateaus_go_on_after_an_interruption(given: Given, tmp_path: Path) -> None:
    asked = stage(scratch="resnet", learning_rate=0.05, epochs=3, patience=1)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parted").mkdir()
    asked.make(given.roles(), tmp_path / "whole", Heard())

    class Interrupting(Heard):
        def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
            if what == "train" and done > 64:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked.make(given.roles(), tmp_path / "parted", Interrupting())
    torch.rand(1)
    asked.make(given.roles(), tmp_path / "parted", Heard())
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "parted")


def _mixing(recipe: str) -> dict[str, Any]:
    return {"augment": [{"kind": "crop"}, {"kind": "mixup"}, {"kind": "cutmix", "p": 0.5}]} if recipe == "modern" else {}
