"""Training in bf16: its steps compute in it, and nothing that is kept or judged does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.training.answers import answers_of
from edgecnn.training.arithmetic import computing_in
from edgecnn.training.memory import image_mib
from tests.data.folders import Heard
from tests.training.made import LITE, Given, fetched, files_of, make_given, stage


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"), train=64, choose=16)


def made(given: Given, out: Path, weights: Path | None = None, **changes: object) -> Path:
    out.mkdir()
    settings = {"arch": "resnet-18", "epochs": 2, "learning_rate": 1e-3, **changes}
    stage(**settings).make(given.roles(weights), out, Heard())  # type: ignore[arg-type]
    return out


def losses(out: Path) -> list[float]:
    return [each["train_loss"] for each in json.loads((out / "history.json").read_text())["phases"][-1]["epochs"]]


def test_bf16_trains_nearly_as_fp32_does_and_leaves_fp32_weights(given: Given, tmp_path: Path) -> None:
    plain, rounded = (made(given, tmp_path / each, precision=each) for each in ("fp32", "bf16"))
    assert losses(plain) != losses(rounded)
    assert losses(rounded) == pytest.approx(losses(plain), rel=0.05)
    kept = load_file(rounded / "weights.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32, torch.int64}, "int64: batches that batch norm counted"


def test_bf16_leaves_the_same_bytes_twice(given: Given, tmp_path: Path) -> None:
    first, second = (made(given, tmp_path / each, precision="bf16", epochs=1) for each in ("first", "second"))
    assert files_of(first) == files_of(second)


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
    with computing_in("bf16"):
        answers = answers_of(network(torch.zeros(2, 3, 96, 96)))
    assert seen == {torch.bfloat16}
    assert {answer.dtype for answer in answers} == {torch.float32}


def test_a_batch_takes_less_memory_where_steps_compute_in_bf16() -> None:
    network = build_network(arch_named("resnet-18"), 10)
    assert 0.4 < image_mib(network, 64, precision="bf16") / image_mib(network, 64) < 0.8


def test_fp32_is_left_out_of_the_key() -> None:
    assert "precision" not in stage(precision="fp32").model_dump()
    assert stage(precision="bf16").model_dump()["precision"] == "bf16"
