"""Each way of running the desktop baseline's program: what it computes, and a clear word where this machine cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgecnn.runner.feeds import feed_of
from edgecnn.runner.golden import golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.runs.schedule import bench
from edgecnn.runner.runs.worker import EVENTS, timed_by_events
from edgecnn.runner.sessions import Session, open_session, torch_gpu
from edgecnn.runner.sessions.torch_gpu import Way, check_gpu, settle_tf32, way_of
from tests.graph.trunks import CLASSES
from tests.runner.processes import schedule_of
from tests.runner.sessions.test_torch_session import kit_of


class Small(torch.nn.Module):
    """A convolution and a matrix product: what every way changes, compiled in seconds."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.head = torch.nn.Conv2d(3, 16, 3, stride=4), torch.nn.Linear(16, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tensor: torch.Tensor = self.head(torch.relu(self.stem(image)).mean((2, 3)))
        return tensor


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return kit_of(tmp_path, Small())


@pytest.fixture(autouse=True)
def tf32_as_it_was() -> Iterator[None]:
    yield
    settle_tf32(Way("fp32", "off", "off"))


def answers(kit: Kit, images: int = 2, **options: str) -> Any:
    session = open_session(kit, {"device": "cpu", "threads": "1", **options})
    try:
        return session.run(feed_of(kit, golden_pixels(kit)[:images]))["logits"]
    finally:
        session.close()


def refused(kit: Kit, **options: str) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        open_session(kit, {"device": "cpu", **options})
    return caught.value


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_mixed_precision_rounds_and_answers_in_fp32(kit: Kit, precision: str) -> None:
    exact, mixed = answers(kit), answers(kit, precision=precision)
    assert mixed.dtype == np.float32
    assert not np.array_equal(mixed, exact), "something was computed in half precision"
    assert np.abs(mixed - exact).max() < 0.02 * np.ptp(exact)


@pytest.mark.slow  # compiles with inductor
def test_a_compiled_program_answers_as_the_eager_one_at_any_batch(kit: Kit) -> None:
    session = open_session(kit, {"device": "cpu", "threads": "1", "compile": "inductor"})
    for images in (1, 2):
        there = session.run(feed_of(kit, golden_pixels(kit)[:images]))["logits"]
        assert np.allclose(there, answers(kit, images), atol=1e-5)


def test_without_a_compiler_it_says_what_is_missing(kit: Kit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("CXX", raising=False)
    error = refused(kit, compile="inductor")
    assert (error.ref, error.missing) == ("no-compiler", True)
    assert error.because == "g++ is not on PATH"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("option", "value", "ref"),
    [
        ("graph", "cuda", "no-cuda-graph"),
        ("precision", "tf32", "unsupported-precision"),
        ("precision", "fp8", "bad-option"),
        ("graph", "yes", "bad-option"),
        ("compile", "xla", "bad-option"),
    ],
)
def test_what_a_processor_cannot_do_is_refused_and_never_done_in_another_way(kit: Kit, option: str, value: str, ref: str) -> None:
    error = refused(kit, **{option: value})
    assert error.ref == ref
    assert "device = cpu" in error.what or value in error.what


def test_tensorrt_names_the_package_that_it_needs(kit: Kit) -> None:
    if torch_gpu.find_spec("torch_tensorrt") is not None:
        pytest.skip("it is installed")
    error = refused(kit, compile="tensorrt")
    assert (error.ref, error.hint, error.missing) == ("missing-package", "pip install torch-tensorrt", True)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_gpu_of_before_ampere_is_refused_by_name(precision: str) -> None:
    with pytest.raises(RunnerError) as caught:
        check_gpu(precision, "NVIDIA GeForce RTX 2080", (7, 5))
    assert caught.value.what == f"NVIDIA GeForce RTX 2080 has no {precision}"
    assert caught.value.because == "its compute capability is 7.5, it needs 8.0"
    check_gpu(precision, "NVIDIA A100", (8, 0))
    check_gpu("fp16", "NVIDIA GeForce RTX 2080", (7, 5))


@pytest.mark.parametrize(("precision", "allowed"), [("tf32", True), ("fp32", False), ("fp16", False)])
def test_tf32_is_on_only_where_it_was_asked_for(precision: str, allowed: bool) -> None:
    settle_tf32(Way("fp32" if allowed else "tf32", "off", "off"))
    settle_tf32(Way(precision, "off", "off"))
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (allowed, allowed)


def test_without_options_it_is_the_reference() -> None:
    conditions = {"gpu": "NVIDIA H200"}
    assert way_of(conditions) == Way("fp32", "off", "off")
    assert conditions == {"gpu": "NVIDIA H200"}


def test_what_torch_cannot_run_is_named_with_the_way(kit: Kit) -> None:
    session = open_session(kit, {"device": "cpu", "precision": "bf16"})
    with pytest.raises(RunnerError) as caught:
        session.run({kit.manifest.model.input.name: np.zeros((1, 4, 8, 8), np.float32)})
    assert caught.value.ref == "inference-failed"
    assert caught.value.what == "program.pt2: torch could not run it with precision = bf16, graph = off, compile = off"


def test_a_run_says_why_the_gpu_s_own_clock_timed_nothing(kit: Kit, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", kit.folder), tmp_path / "out")
    run = json.loads((tmp_path / "out/run-00000.json").read_text())
    assert run["events"] == {"absent": "it ran on the processor, which has no CUDA events"}
    assert len(run["samples_ns"]) == 20


def test_a_gpu_s_own_clock_is_asked_so_often_and_no_oftener() -> None:
    class Clocked(Session):
        no_events = None

        def event_ns(self, feed: Any) -> int:
            return int(feed)

    assert timed_by_events(Clocked(), 7) == {"samples_ns": [7] * EVENTS}
