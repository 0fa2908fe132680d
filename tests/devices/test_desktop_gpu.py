"""Whose name the desktop baseline is filed under, and when nobody needs to try."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgecnn.devices.desktop_gpu import (
    REFERENCE,
    VARIANTS,
    VariantChoice,
    _torch_cuda_version,
    baseline_device_name,
    cuda_gap,
    describe_candidate,
    describe_variant,
    local_gpu,
)
from edgecnn.values.candidate import Candidate

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
        ("NVIDIA H200", "h200"),
        ("NVIDIA H200 (SXM)", "nvidia-h200-sxm"),
        ("NVIDIA GeForce RTX 3060", "rtx-3060"),
        ("NVIDIA GeForce RTX 3060 Ti", "nvidia-geforce-rtx-3060-ti"),
    ],
)
def test_a_gpu_is_filed_under_what_it_really_is(model: str, device: str) -> None:
    found = local_gpu([model], TORCH)
    assert found is not None
    assert (found.model, found.device, found.unusable) == (model, device, None)
    assert found.candidate.session_options == {"gpu": model}, "the session takes this one and no other"


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [candidate.id for candidate in candidates]


@pytest.mark.parametrize(
    ("which", "beside"),
    [
        ("reference", []),
        ("usual", ["torch-amp-cudagraph"]),
        ("all", ["torch-tf32", "torch-amp", "torch-fp32-cudagraph", "torch-amp-cudagraph", "torch-fp32-compiled"]),
    ],
)
def test_as_many_ways_as_were_asked_for_stand_beside_the_reference(which: VariantChoice, beside: list[str]) -> None:
    found = local_gpu(["NVIDIA H200"], TORCH, which)
    assert found is not None
    assert (found.candidate.id, ids(found.variants)) == ("torch-fp32", beside)
    assert {each.session_options["gpu"] for each in found.variants} <= {"NVIDIA H200"}, "all on one GPU"


def test_tensorrt_plays_where_torch_has_it_and_is_named_where_not() -> None:
    there = local_gpu(["NVIDIA H200"], {**TORCH, "torch-tensorrt": "2.15.0"}, "all")
    here = local_gpu(["NVIDIA H200"], TORCH, "all")
    assert there is not None and here is not None
    assert ("torch-fp32-tensorrt" in ids(there.variants), there.unavailable) == (True, {})
    assert here.unavailable.keys() == {"torch-fp32-tensorrt"}


@pytest.mark.parametrize("candidate", [REFERENCE, *VARIANTS], ids=lambda each: each.id)
def test_every_way_says_its_precision_its_batch_and_where_the_copies_are(candidate: Candidate) -> None:
    said = describe_candidate(candidate)
    words = {"fp32": "TF32 off", "tf32": "TF32 allowed", "fp16": "autocast to fp16"}
    assert words[candidate.precision.value] in said
    assert ("CUDA graph" in said, "torch.compile" in said) == ("graph" in candidate.id, "eager" not in said)
    assert describe_variant(candidate.id) == said


def test_of_several_the_one_that_a_device_file_knows_plays() -> None:
    found = local_gpu(["NVIDIA GeForce GT 1030", "NVIDIA GeForce RTX 4090"], TORCH)
    assert found is not None
    assert found.device == baseline_device_name() == "rtx-4090"


@pytest.mark.parametrize("versions", [{}, {"torch": "2.15.0"}, {"torch": None, "torchvision": "0.29.2"}])
def test_without_torch_nobody_plays(versions: dict[str, str | None]) -> None:
    assert local_gpu(["NVIDIA GeForce RTX 4090"], versions) is None


def test_a_torch_without_cuda_is_known_by_its_version() -> None:
    found = local_gpu(["NVIDIA GeForce RTX 4090"], {**TORCH, "torch": "2.15.0+cpu"})
    assert found is not None
    assert "2.15.0+cpu" in str(found.unusable)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_gpu_is_not_tried(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    found = local_gpu(["NVIDIA GeForce RTX 4090"], TORCH)
    assert found is not None
    assert found.unusable == "CUDA_VISIBLE_DEVICES hides it"


@pytest.mark.parametrize(
    ("built_for", "driver", "why"),
    [
        ("13.0", (13, 2), None),
        ("12.8", (12, 4), None),  # of one major version
        ("12.8", (13, 0), None),
        ("13.0", (12, 4), "12.4"),
        ("", (13, 0), "without CUDA"),
        (None, (13, 0), None),
        ("13.0", None, None),
    ],
)
def test_a_driver_that_is_too_old_for_torch_is_known_without_trying(
    built_for: str | None, driver: tuple[int, int] | None, why: str | None
) -> None:
    gap = cuda_gap(built_for, driver)
    assert (gap is None) == (why is None) and str(why) in str(gap)


def test_what_torch_was_built_for_is_read_without_importing_it() -> None:
    import torch

    assert _torch_cuda_version() == (torch.version.cuda or "")
