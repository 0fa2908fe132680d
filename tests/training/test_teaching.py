"""One network teaches another: what is learned are its answers, and what is written down is who it was and how good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network, load_trained
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.stages.learning import TrainStage
from edgecnn.training import losses as teacher_module
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.losses import AdaptedTeacher
from edgecnn.training.material import ValidationPixels
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.training import TeacherTerms
from tests.data.folders import Heard
from tests.training.made import SIZE_PX, SMALL, Given, files_of, make_given, stage

PUPIL, SAYS = "lenet-5", 3


class Interrupting(Heard):
    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        if what == "train" and done > 96:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"), train=96, validation=32)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It calls everything by the fourth class's name, which nobody has from the labels."""
    out = tmp_path_factory.mktemp("teacher")
    network = build_network(arch_named(SMALL), 10)
    with torch.no_grad():
        network.get_parameter(f"{arch_named(SMALL).head}.bias")[SAYS] = 8.0
    write_tensors(network.state_dict(), out / "weights.safetensors")
    return out


def taught(**changes: object) -> TrainStage:
    terms = TeacherTerms(arch=SMALL, normalization=arch_named(SMALL).normalization, resolution_px=SIZE_PX)
    return stage(PUPIL, **{"teacher": terms, "epochs": 3, "learning_rate": 4e-3, **changes})


def network(arch: str, folder: Path) -> nn.Module:
    return load_trained(arch_named(arch), 10, folder / "weights.safetensors").eval()


@pytest.fixture(scope="module")
def pupil(given: Given, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pupil")
    taught().make({**given.roles(), "teacher": teacher}, out, Heard())
    return out


def test_who_is_taught_says_what_the_teacher_says_and_not_what_the_labels_say(given: Given, pupil: Path) -> None:
    said = ValidationPixels(given.pixels, arch_named(PUPIL).normalization).outputs(network(PUPIL, pupil)).argmax(1)
    assert set(said.tolist()) == {SAYS}


def test_the_history_says_who_taught_and_how_often_it_is_right_itself(given: Given, teacher: Path, pupil: Path) -> None:
    own = ValidationPixels(given.pixels, arch_named(SMALL).normalization).top1(network(SMALL, teacher))
    assert 0 < own < 1
    told = json.loads((pupil / "history.json").read_text())["teacher"]
    assert told == {"arch": SMALL, "validation_top1": own}


def test_a_taught_training_that_was_interrupted_ends_with_the_same_bytes(
    given: Given, teacher: Path, pupil: Path, tmp_path: Path
) -> None:
    roles = {**given.roles(), "teacher": teacher}
    with pytest.raises(KeyboardInterrupt):
        taught().make(roles, tmp_path, Interrupting())
    torch.rand(1)
    taught().make(roles, tmp_path, Heard())
    assert files_of(tmp_path) == files_of(pupil)


def test_a_teacher_that_is_fed_otherwise_sees_the_same_pixels() -> None:
    class Itself(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images

    pixels = torch.rand(2, 3, 4, 4)
    theirs, own = Normalization(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)), Normalization(mean=(0.5,) * 3, std=(0.5,) * 3)
    shown = (pixels - torch.tensor(theirs.mean).view(3, 1, 1)) / torch.tensor(theirs.std).view(3, 1, 1)
    assert torch.allclose(AdaptedTeacher(Itself(), theirs, own, ImageSize.square(4))(shown), (pixels - 0.5) / 0.5, atol=1e-6)
    assert AdaptedTeacher(Itself(), theirs, own, ImageSize.square(6))(shown).shape == (2, 3, 6, 6)


def test_a_teacher_of_another_resolution_sees_its_own_in_every_epoch(
    given: Given, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown images of another size, it is wrong: a network taught so learned its mistakes, 39 % right in place of 82."""
    terms = TeacherTerms(arch=SMALL, normalization=arch_named(SMALL).normalization, resolution_px=48)
    sizes: list[int] = []

    def taught_by(*given: Any) -> nn.Module:
        found = teacher_module.load_larger_teacher(*given)
        found.teacher.register_forward_pre_hook(lambda _, images: sizes.append(images[0].shape[-1]))  # type: ignore[union-attr]
        return found

    monkeypatch.setattr("edgecnn.training.beginning.load_larger_teacher", taught_by)
    learner = stage(SMALL, size_px=64, teacher=terms)
    learner.make({**given.roles(), "teacher": teacher}, tmp_path, Heard())
    learned_at = [each["resolution_px"] for each in json.loads((tmp_path / "history.json").read_text())["phases"][0]["epochs"]]
    assert set(learned_at) == {32, 64} and set(sizes) == {48}


def test_without_a_teacher_the_key_is_what_it_was() -> None:
    assert "teacher" not in stage().model_dump(mode="json")
    assert (
        "timm"
        in taught(
            teacher={"arch": "xception", "normalization": {"mean": (0.5,) * 3, "std": (0.5,) * 3}, "resolution_px": 64}
        ).tools
    )
