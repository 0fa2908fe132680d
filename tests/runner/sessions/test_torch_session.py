"""The baseline's session: the same code on a processor as on a GPU, and a clear word where there is no GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgecnn.graph.export import save_program
from edgecnn.runner.feeds import feed_of
from edgecnn.runner.golden import golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.sessions import open_session
from edgecnn.runner.sessions.torch_gpu import open_session as open_torch
from tests.graph.trunks import CLASSES, network
from tests.runner.kits import SIDE, make_kit, rewrite_manifest


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return kit_of(tmp_path, network("resnet18"))


def kit_of(tmp_path: Path, whole: torch.nn.Module) -> Kit:
    folder = make_kit(tmp_path)
    save_program(whole, ImageSize.square(SIDE), folder / "program.pt2")
    (folder / "model.onnx").unlink()

    def use_program(manifest: dict) -> None:  # type: ignore[type-arg]
        manifest["session"] = {"module": "torch_gpu", "options": {"device": "cpu"}}
        manifest["model"].update(entry="program.pt2", files=["program.pt2"])
        manifest["model"]["output"]["classes"] = CLASSES
        manifest["requirements"]["packages"] = {"torch": ">=2.13"}
        manifest["labels"] = [str(label) for label in range(CLASSES)]

    rewrite_manifest(folder, use_program)
    return Kit.open(folder)


def test_it_answers_as_the_network_does(kit: Kit) -> None:
    feed = feed_of(kit, golden_pixels(kit))
    session = open_session(kit)
    with torch.inference_mode():
        expected = network("resnet18")(torch.from_numpy(feed["image"])).numpy()
    assert session.inputs()[0].shape == (None, 3, SIDE, SIDE)
    assert np.array_equal(session.run(feed)["logits"], expected)
    session.close()


def test_it_computes_in_fp32_and_not_in_tf32(kit: Kit) -> None:
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cuda.matmul.allow_tf32 = True
    open_session(kit).close()
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (False, False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(kit: Kit) -> None:
    with pytest.raises(RunnerError) as caught:
        open_torch(kit, {})
    assert (caught.value.ref, caught.value.missing) == ("no-gpu", True)
    assert str(caught.value).startswith("no NVIDIA GPU is available")


@pytest.mark.parametrize(("option", "value"), [("device", "tpu"), ("tf32", "on"), ("threads", "0")])
def test_an_option_that_it_does_not_know_is_refused(kit: Kit, option: str, value: str) -> None:
    with pytest.raises(RunnerError) as caught:
        open_session(kit, {"device": "cpu", option: value})
    assert caught.value.ref == "bad-option"


def test_a_broken_program_is_refused_by_name(kit: Kit) -> None:
    (kit.folder / "program.pt2").write_bytes(b"nothing")
    with pytest.raises(RunnerError) as caught:
        open_torch(kit, {"device": "cpu"})
    assert caught.value.ref == "runtime-refused-model"
    assert "program.pt2" in str(caught.value)


def test_it_is_no_session_to_trace(kit: Kit, tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        open_torch(kit, {"device": "cpu"}, trace_folder=tmp_path)
    assert caught.value.ref == "no-trace"
