"""What a batch takes of memory is foreseen, and where it is too much the batch that would fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import BATCH_TOO_LARGE, TRAINING_DIVERGED
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.beginning import TrainingInputs, material_for, scratch_phase
from edgecnn.training.loop import run_phase
from edgecnn.training.memory import TrainingProcesses, _fitting_batch_size, _largest_batch, image_mib, resident_mib, within_memory
from edgecnn.training.schedule import Phase
from tests.data.folders import Heard
from tests.training.made import SMALL, make_given, stage

MIB = 2**20


def phase(batch_size: int) -> Phase:
    return scratch_phase(stage("resnet-18", size_px=64, batch_size=batch_size))


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 GiB above what earlier tests left this process holding."""
    monkeypatch.setattr("edgecnn.training.memory.memory_limit_mib", lambda: resident_mib() + 2048)


def test_an_image_counts_what_the_backward_pass_will_read_each_storage_once() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1), nn.Tanh())
    read = (3 + 8 + 4) * 16 * 16 * 4  # the image; what ReLU gave, which it and the second convolution read; what Tanh gave
    assert image_mib(network, ImageSize.square(16)) == pytest.approx(read / MIB)


def test_a_frozen_layer_saves_nothing() -> None:
    network = build_network(arch_named(SMALL), 10)
    whole = image_mib(network, ImageSize.square(64))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("classifier"))
    assert image_mib(network, ImageSize.square(64)) < whole / 10
    assert next(network.parameters()).device.type == "cpu"


def test_a_batch_that_cannot_fit_is_refused_with_one_that_does(little: None) -> None:
    network = build_network(arch_named("resnet-18"), 10)
    with pytest.raises(EdgecnnError, check=BATCH_TOO_LARGE.made) as refusal, within_memory(network, phase(4096), 100_000):
        pytest.fail("it was begun")
    fits = int((refusal.value.hint or "").removeprefix("pass --set train.batch_size="))
    assert 2 <= fits < 4096
    with within_memory(network, phase(fits), 100_000):
        pass


def test_what_one_process_holds_is_not_counted_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    features = torch.ones(768 * MIB // 4)
    monkeypatch.setattr("edgecnn.training.memory.memory_limit_mib", lambda: resident_mib() + 512)
    network = build_network(arch_named("resnet-18"), 10)
    with within_memory(network, phase(16), 64, TrainingProcesses(processes=2)):
        assert features.numel()
    with (
        pytest.raises(EdgecnnError, check=BATCH_TOO_LARGE.made),
        within_memory(network, phase(16), 64, TrainingProcesses(processes=8)),
    ):
        pytest.fail("eight times weights, gradients and averages are more than is left")


@pytest.mark.parametrize(("images", "most"), [(140, 100), (64, 32), (7, 2), (100_000, 100), (3, 1)])
def test_what_is_proposed_fits_however_few_images_are_divided(images: int, most: int) -> None:
    asked = _fitting_batch_size(images, most)
    assert _largest_batch(images, asked) <= most < _largest_batch(images, asked + 1)
    assert _fitting_batch_size(images, 0) == 0


def test_few_images_make_no_large_batch(little: None) -> None:
    with within_memory(build_network(arch_named("resnet-18"), 10), phase(4096), 32):
        pass


def test_memory_that_runs_out_all_the_same_is_told_so() -> None:
    network = build_network(arch_named("resnet-18"), 10)
    ran_out = pytest.raises(EdgecnnError, match="memory ran out", check=BATCH_TOO_LARGE.made)
    with ran_out as refusal, within_memory(network, phase(64), 64):
        torch.empty(1 << 50)
    assert refusal.value.hint == "pass --set train.batch_size=42"
    with pytest.raises(RuntimeError, match="size mismatch|shapes cannot"), within_memory(network, phase(64), 64):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_a_training_is_refused_before_its_first_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = make_given(tmp_path, train=32, validation=8)
    monkeypatch.setattr("edgecnn.training.memory.memory_limit_mib", lambda: 100.0)
    (tmp_path / "out").mkdir()
    with pytest.raises(EdgecnnError, check=BATCH_TOO_LARGE.made) as refusal:
        stage().make(given.roles(), tmp_path / "out", Heard())
    assert "a machine with more memory" in (refusal.value.hint or ""), "not even two images fit"


def test_weights_that_the_very_last_step_ruins_are_not_kept(tmp_path: Path) -> None:
    given, asked = make_given(tmp_path, train=32, validation=8), stage(scratch="resnet", epochs=1, learning_rate=1e38)
    material = material_for(asked, TrainingInputs(given.images, given.pixels, None), tmp_path, Heard())
    deep = [layer for _ in range(4) for layer in (nn.Conv2d(3, 3, 3, padding=1), nn.Tanhshrink())]
    head = nn.Linear(3, 10)
    network = nn.Sequential(*deep, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    with pytest.raises(EdgecnnError, check=TRAINING_DIVERGED.made) as told:
        run_phase(network, head, scratch_phase(asked), material)
    assert told.value.what == "training diverged in phase scratch, epoch 1, batch 1"
    assert not list(tmp_path.glob("*.safetensors"))
