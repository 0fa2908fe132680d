"""The program that plays the desktop-GPU baseline computes what the trained network computes, and is the same file every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import PROGRAM_NOT_MADE
from edgecnn.graph.export import save_program
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.stages.desktop import ProgramStage
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import ModelFile
from edgecnn.values.stage import Key
from tests.graph.trunks import CLASSES, NORMALIZATION, RESOLUTION_PX, feed_of, network, pictures, prepared
from tests.runtimes.made import Quiet

CANDIDATE = Candidate(id="torch-fp32", runtime=Runtime.TORCH, precision=Precision.FP32)
STAGE = ProgramStage(
    inputs={"weights": Key("a"), "pixels": Key("b")},
    candidate=CANDIDATE,
    arch="resnet-18",
    classes=CLASSES,
    resolution_px=RESOLUTION_PX,
    normalization=NORMALIZATION,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    save_file(network("resnet18").state_dict(), folder / "weights.safetensors")
    return folder


def make(trained: Path, out: Path) -> Path:
    out.mkdir()
    STAGE.make({"weights": trained, "pixels": prepared()}, out, Quiet())
    return out


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(trained, tmp_path_factory.mktemp("program") / "out")


def test_it_leaves_what_package_takes(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {"program.pt2", "model.json", "golden_logits.npy"}
    model = ModelFile.model_validate_json((made / "model.json").read_text())
    assert (model.session.module, model.model.entry, model.model.output.classes) == ("torch_gpu", "program.pt2", CLASSES)


@pytest.mark.parametrize("images", [1, 2, 7])
def test_the_program_is_the_network_at_any_batch(made: Path, images: int) -> None:
    feed = torch.from_numpy(feed_of(pictures(images, seed=3)))
    with torch.inference_mode():
        program = torch.export.load(made / "program.pt2").module()
        assert torch.equal(program(feed), network("resnet18")(feed))


def test_golden_answers_are_torchs(made: Path) -> None:
    with torch.inference_mode():
        expected = network("resnet18")(torch.from_numpy(feed_of(np.load(prepared() / "golden" / "pixels.npy")))).numpy()
    assert np.allclose(np.load(made / "golden_logits.npy"), expected, atol=1e-5)


def test_a_second_run_elsewhere_makes_the_same_bytes(trained: Path, made: Path, tmp_path: Path) -> None:
    again = make(trained, tmp_path / "deeper")
    for path in made.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_network_that_torch_refuses_is_a_failure_with_a_name(tmp_path: Path) -> None:
    class Branching(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image * 2 if image.sum() > 0 else image

    with pytest.raises(
        EdgecnnError, match="torch cannot export this network as a program", check=PROGRAM_NOT_MADE.made
    ) as caught:
        save_program(Branching(), ImageSize.square(RESOLUTION_PX), tmp_path / "program.pt2")
    assert caught.value.line().startswith("torch cannot export this network as a program: ")
    assert caught.value.line().endswith("[program-not-made]")
