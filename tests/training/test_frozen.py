"""Features are those of the network, whoever computes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.training import frozen as frozen_module
from edgecnn.training.frozen import frozen, in_onnxruntime, in_torch
from tests.graph.trunks import NORMALIZATION
from tests.quantization.made import Quiet
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


@pytest.mark.parametrize("arch", ["resnet-18", "efficientnet-lite0", "mobilenet-v3-small"])
def test_onnxruntime_answers_as_torch_does(arch: str, tmp_path: Path) -> None:
    network = trained_like(build_network(arch_named(arch), 10))
    expected = in_torch(network, NORMALIZATION)(SHOWN)
    found = in_onnxruntime(network, NORMALIZATION, 64, tmp_path)(SHOWN)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    mirrored = in_onnxruntime(network, NORMALIZATION, 64, tmp_path)(SHOWN[:, :, ::-1])
    torch.testing.assert_close(mirrored, in_torch(network, NORMALIZATION)(SHOWN[:, :, ::-1]), rtol=1e-3, atol=1e-4)
    assert not list(tmp_path.iterdir()), "the graph is not left behind"


class LedAstray(nn.Module):
    """Answers by whether something whose sign rounding decides is positive."""

    def forward(self, images: Tensor) -> Tensor:
        means = images.double().mean((2, 3))
        return torch.where(images.mean((2, 3)).double() > means, 1.0, -1.0)


def test_a_network_that_rounding_leads_astray_is_asked_in_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_module, "in_onnxruntime", lambda *how: lambda pixels: torch.zeros(len(pixels), 3))
    answers = frozen(LedAstray(), NORMALIZATION, SHOWN[:2], (frozen_module.MANY, tmp_path))
    assert torch.equal(answers(SHOWN), in_torch(LedAstray(), NORMALIZATION)(SHOWN))


def test_a_head_learns_the_same_from_many_photographs_as_from_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, weights = make_given(tmp_path), fetched(tmp_path / "weights")
    found = {}
    for way, many in {"torch": 10**6, "onnxruntime": 1}.items():
        monkeypatch.setattr(frozen_module, "MANY", many)
        out = tmp_path / way
        out.mkdir()
        stage(LITE, mode="finetune", transfer="head", epochs=0).make(given.roles(weights), out, Quiet())
        found[way] = load_file(out / "weights.safetensors")
    head = arch_named(LITE).head
    torch.testing.assert_close(found["torch"], found["onnxruntime"], rtol=1e-2, atol=1e-3)
    assert not torch.equal(found["torch"][f"{head}.weight"], found["onnxruntime"][f"{head}.weight"]), "one way was taken twice"
