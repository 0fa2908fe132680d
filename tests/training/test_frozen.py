"""Features are those of the network, whoever computes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training import heads as frozen_module
from edgecnn.training.beginning import TrainingInputs
from edgecnn.training.heads import Work, choose_features, macs_at, onnxruntime_features, torch_features
from edgecnn.training.settings import TransferSettings
from edgecnn.training.transfer import make_transfer
from tests.graph.trunks import NORMALIZATION
from tests.runtimes.made import Quiet
from tests.slow_parameters import slowly
from tests.training.made import LITE, fetched, make_given, stage

SHOWN = np.random.default_rng(0).integers(0, 256, (11, 64, 64, 3), np.uint8)


def trained_like(network: nn.Module) -> nn.Module:
    """With statistics, scales and shifts as no new network has them."""
    random = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.bias):
                tensor.data.uniform_(-0.2, 0.2, generator=random)  # type: ignore[union-attr]
            for tensor in (layer.running_var, layer.weight):
                tensor.data.uniform_(0.5, 1.5, generator=random)  # type: ignore[union-attr]
    return network.train()


@pytest.mark.parametrize("arch", slowly("resnet-18", "efficientnet-lite0", "mobilenet-v3-small"))
def test_onnxruntime_answers_as_torch_does(arch: str, tmp_path: Path) -> None:
    network = trained_like(build_network(arch_named(arch), 10))
    expected = torch_features(network, NORMALIZATION)(SHOWN)
    found = onnxruntime_features(network, NORMALIZATION, ImageSize.square(64), tmp_path)(SHOWN)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    mirrored = onnxruntime_features(network, NORMALIZATION, ImageSize.square(64), tmp_path)(SHOWN[:, :, ::-1])
    torch.testing.assert_close(mirrored, torch_features(network, NORMALIZATION)(SHOWN[:, :, ::-1]), rtol=1e-3, atol=1e-4)
    assert not list(tmp_path.iterdir()), "the graph is not left behind"


NETWORK = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
MUCH = frozen_module.MANY_MACS


@pytest.mark.parametrize(("off", "torch_keeps"), [(2e-3, True), (5e-4, False), (float("nan"), True)])
def test_what_answers_otherwise_than_torch_is_not_asked_and_that_is_said(
    off: float, torch_keeps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = torch_features(NETWORK, NORMALIZATION)
    monkeypatch.setattr(frozen_module, "onnxruntime_features", lambda *how: lambda pixels: plain(pixels) * (1 + off))
    tell = Quiet()
    answers = choose_features(NETWORK, NORMALIZATION, SHOWN, Work(MUCH, tmp_path, tell))
    assert torch.equal(answers(SHOWN), plain(SHOWN)) == torch_keeps
    assert [note.split(":")[0] for note in tell.notes] == ["features come from torch"] * torch_keeps


def test_few_photographs_of_a_small_network_are_not_worth_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_module, "onnxruntime_features", None)
    work = Work(10_000 * macs_at(arch_named("mobilenet-v3-small"), ImageSize.square(64)), tmp_path, Quiet())
    assert torch.equal(choose_features(NETWORK, NORMALIZATION, SHOWN, work)(SHOWN), torch_features(NETWORK, NORMALIZATION)(SHOWN))
    assert 3_000 * macs_at(arch_named("efficientnet-lite0"), ImageSize.square(224)) > MUCH


@pytest.mark.slow  # two trainings
def test_a_head_learns_the_same_from_many_photographs_as_from_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, weights = make_given(tmp_path), fetched(tmp_path / "weights")
    found = {}
    for way, many in {"torch": 1e15, "onnxruntime": 1.0}.items():
        monkeypatch.setattr(frozen_module, "MANY_MACS", many)
        out = tmp_path / way
        out.mkdir()
        stage(LITE, mode="finetune", transfer="head", epochs=0).make(given.roles(weights), out, Quiet())
        found[way] = load_file(out / "weights.safetensors")
    head = arch_named(LITE).head
    torch.testing.assert_close(found["torch"], found["onnxruntime"], rtol=1e-2, atol=1e-3)
    assert not torch.equal(found["torch"][f"{head}.weight"], found["onnxruntime"][f"{head}.weight"]), "one way was taken twice"


@pytest.mark.slow  # two trainings
def test_features_that_are_there_need_no_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, weights = make_given(tmp_path), fetched(tmp_path / "weights")
    monkeypatch.setattr(frozen_module, "MANY_MACS", 1.0)
    asked = TransferSettings(arch=LITE, classes=10, threads=2, preprocessing=stage(LITE).preprocessing)
    inputs = TrainingInputs(given.images, given.pixels, weights)
    (tmp_path / "decided").mkdir()
    make_transfer(asked, inputs, tmp_path / "decided", Quiet())
    monkeypatch.setattr(frozen_module, "onnxruntime_features", None)
    out = tmp_path / "out"
    out.mkdir()
    roles = given.roles(weights) | {"transfer": tmp_path / "decided"}
    stage(LITE, mode="finetune", transfer="auto", epochs=0).make(roles, out, Quiet())
    assert (out / "weights.safetensors").is_file()
