"""A step that two processes share is the step of one: the same chances, the same batch norm, the same gradients."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgecnn.training.parallel.team import Part, Team
from tests.house.child import child

ROOT = Path(__file__).resolve().parents[3]
TOLERANCE = 1e-4
"""Of the largest gradient. Seen on two processes: 2e-5 (EfficientNet-B0), 4e-8 (AlexNet); 7e-3 of GoogLeNet, where rounding of
the images alone moves one process's gradients by as much."""


def compared(folder: Path, *networks: str) -> dict[str, dict[str, float]]:
    words = [sys.executable, "-m", "tests.training.shared_steps"]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with ExitStack() as running:
        started = [
            running.enter_context(
                child([*words, str(rank), str(folder / "meeting"), *networks], stderr=None, env=environment, cwd=ROOT)
            )
            for rank in range(2)
        ]
        said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    return dict(json.loads(said[0].splitlines()[-1]))


def check(found: dict[str, dict[str, float]]) -> None:
    assert found
    for network, apart in found.items():
        assert apart["loss"] < 1e-5, network
        assert apart["gradients"] < max(TOLERANCE, 5 * apart["rounding"]), network
        assert apart["statistics"] < 1e-5, network


@pytest.mark.slow  # starts two processes of torch
def test_chances_and_batch_norm_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    check(compared(tmp_path, "efficientnet-b0@32"))  # stochastic depth, dropout, batch norm, squeeze-and-excitation


@pytest.mark.slow
def test_it_holds_across_families(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    check(
        compared(tmp_path, "lenet-5@32", "alexnet@64", "resnet-18@64", "mobilenet-v3-small@64", "googlenet@96", "densenet-121@64")
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("images", [8, 9, 31])
def test_each_image_of_a_batch_falls_to_one_process(images: int, size: int) -> None:
    parts = [Team(rank, size).part(images) for rank in range(size)]
    assert [image for part in parts for image in range(part.start, part.stop)] == list(range(images))
    assert max(part.images for part in parts) - min(part.images for part in parts) <= 1
    assert Team().part(images) == Part(0, images, images)
