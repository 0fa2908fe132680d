"""Training in bf16: its steps compute in it, and nothing that is kept or judged does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import BATCH_TOO_LARGE
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.beginning import scratch_phase
from edgecnn.training.losses import logits_of
from edgecnn.training.memory import _saved_bytes, _state_mib, image_mib, resident_mib, within_memory
from edgecnn.training.process import autocast_to
from tests.data.folders import Heard
from tests.training.made import LITE, Given, fetched, files_of, losses, make_given, stage


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"), train=64, validation=16)


def made(given: Given, out: Path, weights: Path | None = None, **changes: object) -> Path:
    out.mkdir()
    settings = {"arch": "resnet-18", "epochs": 2, "learning_rate": 1e-3, **changes}
    stage(**settings).make(given.roles(weights), out, Heard())  # type: ignore[arg-type]
    return out


@pytest.mark.slow  # trains twice
def test_bf16_trains_nearly_as_fp32_does_and_leaves_fp32_weights(given: Given, tmp_path: Path) -> None:
    plain, rounded = (made(given, tmp_path / each, precision=each) for each in ("fp32", "bf16"))
    assert losses(plain) != losses(rounded)
    assert losses(rounded) == pytest.approx(losses(plain), rel=0.05)
    kept = load_file(rounded / "weights.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32, torch.int64}, "int64: batches that batch norm counted"
    told = [json.loads((out / "history.json").read_text())["phases"][0].get("precision") for out in (plain, rounded)]
    assert told == [None, "bf16"]


def test_what_is_judged_computes_in_fp32(given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned, judged = set[torch.dtype](), set[torch.dtype]()

    def forward(layer: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        found = plainly(layer, images)
        (learned if torch.is_grad_enabled() else judged).add(found.dtype)
        return found

    plainly = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", forward)
    made(given, tmp_path / "out", precision="bf16", epochs=1)
    assert (learned, judged) == ({torch.bfloat16}, {torch.float32})


@pytest.mark.slow  # trains twice
def test_bf16_leaves_the_same_bytes_twice(given: Given, tmp_path: Path) -> None:
    first, second = (made(given, tmp_path / each, precision="bf16", epochs=1) for each in ("first", "second"))
    assert files_of(first) == files_of(second)


@pytest.mark.slow
def test_fine_tuning_steps_in_bf16_too(given: Given, tmp_path: Path) -> None:
    weights, asked = fetched(tmp_path / "weights"), {"arch": LITE, "mode": "finetune", "epochs": 1}
    found = [losses(made(given, tmp_path / each, weights, precision=each, **asked)) for each in ("fp32", "bf16")]
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], rel=0.05)


@pytest.mark.parametrize("arch", ["resnet-18", "googlenet"])
def test_convolutions_are_rounded_and_answers_are_not(arch: str) -> None:
    network, seen = build_network(arch_named(arch), 5).train(), set()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, given, found: seen.add(found.dtype))
    with autocast_to("bf16"):
        answers = logits_of(network(torch.zeros(2, 3, 96, 96)))
    assert seen == {torch.bfloat16}
    assert {answer.dtype for answer in answers} == {torch.float32}


@pytest.mark.parametrize("arch", ["resnet-18", "googlenet"])
def test_what_is_foreseen_of_bf16_is_what_it_takes_at_least(arch: str) -> None:
    network = build_network(arch_named(arch), 10).train()
    with autocast_to("bf16"):
        two, four = (_saved_bytes(network, torch.zeros(count, 3, 96, 96)) for count in (2, 4))
    taken_mib, fp32_mib = (four - two) / 2 / 2**20, image_mib(network, ImageSize.square(96))
    assert 0.8 * taken_mib < image_mib(network, ImageSize.square(96), precision="bf16") <= taken_mib < 0.7 * fp32_mib


def test_a_batch_may_fit_in_bf16_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, held = {"epochs": 1, "batch_size": 64, "scratch": "resnet", "size_px": 96}, resident_mib()
    network = build_network(arch_named("resnet-18"), 10)
    phases = [scratch_phase(stage("resnet-18", precision=each, **asked)) for each in ("fp32", "bf16")]  # type: ignore[arg-type]
    needed = [
        64 * image_mib(network, ImageSize.square(96), precision=each.precision) + _state_mib(network, each) for each in phases
    ]
    monkeypatch.setattr("edgecnn.training.memory.resident_mib", lambda: held)
    monkeypatch.setattr("edgecnn.training.memory.memory_limit_mib", lambda: held + sum(needed) / 2)
    with within_memory(network, phases[1], 64):
        pass
    with pytest.raises(EdgecnnError, check=BATCH_TOO_LARGE.made), within_memory(network, phases[0], 64):
        pytest.fail("fp32 takes more than there is")


def test_fp32_is_left_out_of_the_key() -> None:
    assert "precision" not in stage(precision="fp32").model_dump()
    assert stage(precision="bf16").model_dump()["precision"] == "bf16"
