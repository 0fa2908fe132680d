"""A variant runs the reference's program, byte for byte, and says how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from edgecnn.devices.desktop_gpu import VARIANTS
from edgecnn.stages.desktop import VariantStage
from edgecnn.values.candidate import Candidate
from edgecnn.values.model_file import ModelFile
from edgecnn.values.stage import Key
from tests.graph.trunks import NORMALIZATION, network, prepared
from tests.runtimes.made import Quiet
from tests.stages.test_program import STAGE

NAMED = {candidate.id: candidate for candidate in VARIANTS}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained, out = tmp_path_factory.mktemp("trained"), tmp_path_factory.mktemp("program")
    save_file(network("resnet18").state_dict(), trained / "weights.safetensors")
    STAGE.make({"weights": trained, "pixels": prepared()}, out, Quiet())
    return out


def made(program: Path, out: Path, candidate: Candidate) -> ModelFile:
    stage = VariantStage(inputs={"program": Key("a"), "pixels": Key("b")}, candidate=candidate, normalization=NORMALIZATION)
    stage.make({"program": program, "pixels": prepared()}, out, Quiet())
    return ModelFile.model_validate_json((out / "model.json").read_text())


@pytest.mark.parametrize("name", ["torch-tf32", "torch-amp", "torch-fp32-cudagraph"])
def test_it_is_the_same_program_with_its_own_options(program: Path, tmp_path: Path, name: str) -> None:
    model = made(program, tmp_path, NAMED[name])
    assert (tmp_path / "program.pt2").read_bytes() == (program / "program.pt2").read_bytes()
    assert model.session.options == NAMED[name].session_options
    assert np.array_equal(np.load(tmp_path / "golden_logits.npy"), np.load(program / "golden_logits.npy"))


def test_what_rounds_more_may_be_further_from_the_golden_answers(program: Path, tmp_path: Path) -> None:
    allowed = [ModelFile.model_validate_json((program / "model.json").read_text()).logits_tolerance]
    for name in ("torch-tf32", "torch-amp"):
        (tmp_path / name).mkdir()
        allowed.append(made(program, tmp_path / name, NAMED[name]).logits_tolerance)
    assert allowed == sorted(set(allowed))


def test_tensorrt_is_required_of_the_machine_that_runs_it_alone(program: Path, tmp_path: Path) -> None:
    assert set(made(program, tmp_path, NAMED["torch-fp32-tensorrt"]).requirements.packages) == {"torch", "torch-tensorrt"}
