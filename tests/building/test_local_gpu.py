"""Whose name the desktop baseline is filed under, and when nobody needs to try."""

from __future__ import annotations

import pytest

from edgecnn.building.local_gpu import local_gpu, role

TORCH = {"torch": "2.15.0+cu132", "torchvision": "0.29.2"}


@pytest.fixture(autouse=True)
def every_gpu_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("model", "device"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "nvidia-geforce-rtx-4090-laptop-gpu"),
        ("NVIDIA GeForce RTX 4090 D", "nvidia-geforce-rtx-4090-d"),
        ("NVIDIA H200 (SXM)", "nvidia-h200-sxm"),
    ],
)
def test_a_gpu_is_filed_under_what_it_really_is(model: str, device: str) -> None:
    found = local_gpu([model], TORCH)
    assert found is not None
    assert (found.model, found.device, found.unusable) == (model, device, None)
    assert found.candidate.session_options == {"gpu": model}, "the session takes this one and no other"


def test_of_several_the_one_that_a_device_file_knows_plays() -> None:
    found = local_gpu(["NVIDIA GeForce GT 1030", "NVIDIA GeForce RTX 4090"], TORCH)
    assert found is not None
    assert found.device == role() == "rtx-4090"


@pytest.mark.parametrize("versions", [{}, {"torch": "2.15.0"}, {"torch": None, "torchvision": "0.29.2"}])
def test_without_torch_nobody_plays(versions: dict[str, str | None]) -> None:
    assert local_gpu(["NVIDIA GeForce RTX 4090"], versions) is None


def test_a_torch_without_cuda_is_known_by_its_version() -> None:
    found = local_gpu(["NVIDIA GeForce RTX 4090"], {**TORCH, "torch": "2.15.0+cpu"})
    assert found is not None
    assert found.unusable == "torch 2.15.0+cpu was built without CUDA"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_gpu_is_not_tried(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    found = local_gpu(["NVIDIA GeForce RTX 4090"], TORCH)
    assert found is not None
    assert found.unusable == "CUDA_VISIBLE_DEVICES hides it"
