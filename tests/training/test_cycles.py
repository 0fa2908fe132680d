"""Fine-tuning in two cycles: the rate rises and falls in each, and the second one follows only if the first one was better."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.planning.complete import filled_in
from edgecnn.training.beginning import finetune_phase, scratch_phase
from edgecnn.training.history import EpochFacts
from edgecnn.training.loop import _best_index, _out_of_patience
from edgecnn.training.material import validation_loss
from edgecnn.training.settings import default_cycles, default_epochs, growing_cycles
from edgecnn.values.recipe import TrainChoice
from tests.data.folders import Heard
from tests.training.made import LITE, Given, fetched, files_of, make_given, stage


@pytest.mark.parametrize(
    ("epochs", "cycles"),
    [(8, (2, 6)), (32, (8, 24)), (9, (2, 7)), (3, (1, 2)), (2, (1, 1)), (1, (1,)), (0, ())],
)
def test_the_first_cycle_is_a_quarter_of_the_epochs_and_the_second_one_the_rest(epochs: int, cycles: tuple[int, ...]) -> None:
    assert growing_cycles(epochs) == cycles


def test_the_rate_rises_and_falls_in_each_cycle() -> None:
    phase = finetune_phase(stage(LITE, mode="finetune", epochs=8, cycles="while-better"))
    assert phase.cycles == (2, 6)
    for end, peak in ((2, 0.2), (8, 2.6)):
        assert phase.rate(end) == pytest.approx(0.0, abs=1e-12)
        assert phase.rate(peak) == pytest.approx(phase.peak_rate)


def test_the_first_cycle_is_a_training_of_as_many_epochs() -> None:
    cycles = finetune_phase(stage(LITE, mode="finetune", epochs=8, cycles="while-better"))
    alone = finetune_phase(stage(LITE, mode="finetune", epochs=2))
    shown = [step / 10 for step in range(1, 21)]
    assert [cycles.rate(epochs) for epochs in shown] == [alone.rate(epochs) for epochs in shown]


def epochs_of(*standings: float) -> list[EpochFacts]:
    size = stage().preprocessing.pixels.crop_px
    return [
        EpochFacts(epoch=index, train_loss=1.0, validation_top1=top1, learning_rate=0.1, resolution_px=size)
        for index, top1 in enumerate(standings)
    ]


@pytest.mark.parametrize(
    ("standings", "stops"),
    [
        ((), False),
        ((0.1,), False),
        ((0.1, 0.4), True),  # no better than the head alone
        ((0.1, 0.6), False),
        ((1.0,), False),
        ((1.0, 0.9), True),  # nothing is left to improve
        ((0.6, 0.5, 0.1), False),  # inside a cycle
        ((0.6, 0.7, 0.1, 0.1, 0.1, 0.1), False),
    ],
)
def test_a_first_cycle_without_a_better_epoch_is_the_last_one(standings: tuple[float, ...], stops: bool) -> None:
    phase = finetune_phase(stage(LITE, mode="finetune", epochs=8, cycles="while-better", patience=1))
    assert _out_of_patience(epochs_of(*standings), phase, to_beat=0.5) is stops


@pytest.mark.parametrize(("stated", "cycles"), [(None, "while-better"), (5, "one")])
def test_a_stated_number_of_epochs_is_one_cycle(stated: int | None, cycles: str) -> None:
    train = filled_in(TrainChoice(epochs=stated), "finetune", 3000, arch_named(LITE))
    assert (train.epochs, train.cycles) == (stated or default_epochs("finetune", 3000), cycles)
    assert filled_in(TrainChoice(), "scratch", 3000, arch_named(LITE)).cycles == "one"


@pytest.mark.parametrize(
    ("epochs", "images", "cycles"), [(8, 3000, "while-better"), (32, 200, "full"), (2, 3000, "full"), (24, 1022, "while-better")]
)
def test_a_first_cycle_of_too_few_images_is_not_tried(epochs: int, images: int, cycles: str) -> None:
    assert default_cycles(epochs, images) == cycles


@pytest.mark.parametrize(
    ("images", "balance", "tolerated"),
    [(460, "none", 5), (30, "none", 5), (12, "none", 2), (5, "none", 0), (460, "weights", None)],
)
def test_a_difference_of_a_few_images_is_tolerated(images: int, balance: str, tolerated: int | None) -> None:
    phase = finetune_phase(stage(LITE, mode="finetune", epochs=8, balance=balance))
    assert phase.tolerance(images) == (0 if tolerated is None else pytest.approx((tolerated + 0.5) / images))
    assert scratch_phase(stage(epochs=8)).tolerance(images) == 0


def test_a_first_cycle_that_is_not_clearly_worse_than_the_head_alone_is_followed_by_the_second() -> None:
    phase = finetune_phase(stage(LITE, mode="finetune", epochs=8, cycles="while-better"))
    assert not _out_of_patience(epochs_of(0.4, 0.49), phase, to_beat=0.5, tolerance=phase.tolerance(460))
    assert _out_of_patience(epochs_of(0.4, 0.48), phase, to_beat=0.5, tolerance=phase.tolerance(460))
    assert _out_of_patience(epochs_of(1.0, 0.99), phase, to_beat=0.5, tolerance=phase.tolerance(460))


def test_epochs_that_are_not_better_use_up_the_patience() -> None:
    phase = finetune_phase(stage(LITE, mode="finetune", epochs=8, patience=2))
    assert _out_of_patience(epochs_of(0.9, 0.9, 0.9), phase, to_beat=0.5)


@pytest.mark.parametrize(("cycles", "stops"), [("one", True), ("full", False)])
def test_a_full_cycle_has_no_patience(cycles: str, stops: bool) -> None:
    phase = finetune_phase(stage(LITE, mode="finetune", epochs=8, cycles=cycles, patience=2))
    assert _out_of_patience(epochs_of(0.9, 0.1, 0.1, 0.1), phase, to_beat=0.5) is stops
    assert phase.rate(4) == finetune_phase(stage(LITE, mode="finetune", epochs=8)).rate(4)


@pytest.mark.parametrize(
    ("scores", "to_beat", "tolerance", "best"),
    [
        ((0.8, 0.9, 0.9, 0.7), 0.5, 0.0, 1),  # the first best epoch
        ((0.8, 0.9, 0.9, 0.85), 0.5, 0.05, 3),  # the last one that is not clearly worse
        ((0.8, 0.9, 0.9, 0.7), 0.5, 0.05, 2),
        ((0.4, 0.3), 0.5, 0.0, None),
        ((0.4, 0.46), 0.5, 0.05, 1),  # the head alone is not clearly better
        ((0.4, 0.3), 0.5, 0.05, None),
        ((), 0.5, 0.05, None),
    ],
)
def test_a_later_epoch_wins_unless_an_earlier_one_is_clearly_better(
    scores: tuple[float, ...], to_beat: float, tolerance: float, best: int | None
) -> None:
    assert _best_index(epochs_of(*scores), to_beat, tolerance) == best


def test_one_cycle_is_no_part_of_the_key() -> None:
    assert "cycles" not in stage(LITE, mode="finetune").model_dump()
    growing = stage(LITE, mode="finetune", cycles="while-better")
    versions = dict.fromkeys(growing.tools, "1")
    assert growing.key(versions) != stage(LITE, mode="finetune").key(versions)


@pytest.mark.parametrize(
    ("stated", "images", "batch_size"),
    [
        ({}, 170, 64),  # 96 steps
        ({}, 160, 32),  # 80 steps; two batches of 64 would be 64 steps
        ({}, 20, 8),
        ({"epochs": 6}, 170, 8),
        ({"epochs": 2}, 1_022, 16),
        ({"epochs": 6}, 1_022, 64),
        ({"epochs": 0}, 100, 64),  # the head alone
        ({"transfer": "head"}, 100, 64),
        ({"head": "svm"}, 100, 64),
        ({"epochs": 6, "batch_size": 64}, 170, 64),
        ({"epochs": 6, "processes": 2}, 170, 8),
        ({"epochs": 6, "processes": 4}, 170, 16),
        ({"epochs": 6, "processes": 32}, 170, 64),
    ],
)
def test_batches_are_smaller_if_there_would_be_few_steps(stated: dict[str, int], images: int, batch_size: int) -> None:
    assert filled_in(TrainChoice.model_validate(stated), "finetune", images, arch_named(LITE)).batch_size == batch_size
    assert filled_in(TrainChoice(), "scratch", images, arch_named(LITE)).batch_size == 64


@pytest.mark.parametrize(
    ("arch", "body_rate"), [(LITE, 1.0), ("resnet-18", 1.0), ("vgg-11", 0.1), ("convnext-atto", 0.1), ("lenet-5", 0.1)]
)
def test_only_networks_with_batch_norm_are_fine_tuned_at_the_rate_of_the_head(arch: str, body_rate: float) -> None:
    assert filled_in(TrainChoice(), "finetune", 3000, arch_named(arch)).body_rate == body_rate
    network = build_network(arch_named(arch), 10, seed=0)
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == (body_rate == 1.0)
    phase = finetune_phase(stage(arch, mode="finetune", epochs=8, body_rate=body_rate))
    assert phase.body_share == body_rate


def test_the_validation_loss_of_an_epoch_is_without_smoothing() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    expected = -(2 - math.log(math.exp(2) + 2) + math.log(1 / 3)) / 2
    assert validation_loss(logits, torch.tensor([0, 1])) == pytest.approx(expected)
    assert validation_loss(torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 1.0]])) == pytest.approx(
        (math.log(2) + math.log(1 + math.exp(-3))) / 2
    )


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"), train=48, validation=16)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(tmp_path_factory.mktemp("fetched") / "weights")


class InThirdEpoch(Heard):
    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        if what == "train" and done > 96:
            raise KeyboardInterrupt


def test_it_stops_by_itself_and_goes_on_after_an_interruption_with_the_same_bytes(
    given: Given, weights: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "mode": "finetune",
        "epochs": 8,
        "cycles": "while-better",
        "head_epochs": 1,
        "learning_rate": 1e-2,
    }
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    for out in (whole, halted):
        out.mkdir()
    heard = Heard()
    stage(LITE, **settings).make(given.roles(weights), whole, heard)
    facts = json.loads((whole / "history.json").read_text())
    epochs = facts["phases"][-1]["epochs"]
    assert all(math.isfinite(epoch["validation_loss"]) for phase in facts["phases"] for epoch in phase["epochs"])
    assert [step for step in heard.steps if step[0] == "train"][-1][1:3] == (len(epochs) * 48,) * 2
    assert len(epochs) in (2, 8)
    perfect = any(epoch["validation_top1"] == 1 for epoch in epochs)
    early = "every validation image is right" if perfect else "the head alone is clearly better"
    assert facts["stopped"] == ("all epochs done" if len(epochs) == 8 else early)
    with pytest.raises(KeyboardInterrupt):
        stage(LITE, **settings).make(given.roles(weights), halted, InThirdEpoch())
    stage(LITE, **settings).make(given.roles(weights), halted, Heard())
    assert files_of(halted) == files_of(whole)
