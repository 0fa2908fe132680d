"""A teacher in a plan: its own training comes first, or a finished build's weights are taken; what cannot teach is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import (
    NO_TEACHER,
    TEACHER_NOT_FITTING,
    TEACHER_SAW_OTHER_IMAGES,
    TEACHER_SEES_OTHERWISE,
    TEACHER_WITHOUT_WEIGHTS,
)
from edgecnn.errors.weights import RESOLUTION_TOO_SMALL, UnknownArch
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.complete import complete_recipe
from edgecnn.planning.plan import plan
from edgecnn.planning.recipe import apply_overrides, load_recipe
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.training import _require_same_shape, teacher_of
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.stages.learning import TrainStage
from edgecnn.store.store import Store
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Resolved
from edgecnn.values.training import Teacher, TeacherTerms
from tests.building.builds import Place
from tests.building.resolutions import VERSIONS, resolved, summary
from tests.data.folders import Heard

FOUND = WeightsAnswer(choice="imagenet", kind="package", why="installed")


def teacher(arch: str = "resnet-50", **changes: Any) -> Teacher:
    terms = TeacherTerms(arch=arch, normalization=arch_named(arch).normalization, resolution_px=64)
    return Teacher(**{"named": arch, "terms": terms, "weights": FOUND, **changes})


def train_of(found: Resolved, step_id: str = "train") -> TrainStage:
    step = plan(found).step(step_id)
    assert step is not None and isinstance(step.stage, TrainStage)
    return step.stage


def test_a_network_of_the_list_is_fine_tuned_on_the_same_pixels_before_it_teaches() -> None:
    laid = plan(resolved(teacher=teacher()))
    names = [step.id for step in laid.steps]
    assert names.index("fetch:teacher") < names.index("train:teacher") < names.index("train")
    first, own = train_of(laid.resolved, "train:teacher"), train_of(laid.resolved)
    assert (first.arch, first.mode, first.transfer) == ("resnet-50", "finetune", "all")
    assert (first.epochs, first.cycles) == (8, "while-better")
    assert first.preprocessing.pixels == own.preprocessing.pixels and first.inputs["pixels"] == own.inputs["pixels"]
    assert own.inputs["teacher"] == laid.step("train:teacher").key  # type: ignore[union-attr]
    assert own.teacher == teacher().terms and first.teacher is None


def test_a_finished_build_teaches_with_the_weights_that_it_has() -> None:
    laid = plan(resolved(teacher=teacher(weights=None, trained="7" * 64, folder="/store/train")))
    assert [step.id for step in laid.steps][:3] == ["prepare", "train", "export"]
    assert train_of(laid.resolved).inputs["teacher"] == "7" * 64


def test_who_is_taught_trains_under_another_key_and_labels_keep_theirs() -> None:
    keys = {plan(resolved(teacher=each)).step("train").key for each in (None, teacher(), teacher("resnet-34"))}  # type: ignore[union-attr]
    assert len(keys) == 3
    assert "teacher" not in plan(resolved()).step("train").stage.payload(VERSIONS)["settings"]  # type: ignore[union-attr]


def settled(tmp_path: Path, *overrides: str) -> Recipe:
    recipe = apply_overrides(Recipe(), ["model.arch=efficientnet-lite0", "train.teacher=resnet-50", *overrides])
    request = BuildRequest(recipe=recipe, device=device_named("cpu"), out=tmp_path / "out")
    return complete_recipe(request, Store.open(tmp_path / "store"), Heard()).recipe


@pytest.mark.parametrize(
    ("override", "beside"),
    [
        ("train.transfer=head", "--transfer head"),
        ("train.transfer=auto", "--transfer auto"),
        ("train.head=svm", "train.head=svm"),
        ("train.epochs=0", "train.epochs=0"),
        ("train.balance=weights", "train.balance=weights"),
        ("model.keep_head=true", "--keep-head"),
        ("model.onnx=mine.onnx", "--model"),
    ],
)
def test_a_teacher_that_would_not_be_heard_is_refused(override: str, beside: str, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=TEACHER_NOT_FITTING.made) as refusal:
        settled(tmp_path, override)
    assert refusal.value.ref == "teacher-not-fitting"


def test_from_scratch_everything_can_be_taught(tmp_path: Path) -> None:
    assert settled(tmp_path, "train.transfer=scratch").train.teacher == "resnet-50"


def asked(named: str, store: Path, **changes: Any) -> Teacher | None:
    recipe = apply_overrides(Recipe(), [f"train.teacher={named}", "model.resolution_px=64"])
    return teacher_of(recipe, changes.get("data", summary()), Store.open(store), VERSIONS)


def test_what_is_neither_a_network_nor_a_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownArch):
        asked("resnet-51", tmp_path)
    with pytest.raises(EdgecnnError, check=NO_TEACHER.made) as refusal:
        asked(str(tmp_path), tmp_path)
    assert "it has no report.json" in refusal.value.line()


def test_a_network_without_published_weights_is_answered_with_what_could_teach(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=TEACHER_WITHOUT_WEIGHTS.made) as refusal:
        asked("lenet-5", tmp_path)
    assert (refusal.value.ref, refusal.value.fields["named"]) == ("teacher-without-weights", "lenet-5")
    assert "lenet-5" in refusal.value.fields["because"]


def test_a_build_that_sees_another_shape_or_part_cannot_teach() -> None:
    square = PixelRecipe(resize_px=ImageSize.square(64), crop_px=ImageSize.square(64), interpolation="bicubic")
    recipe = apply_overrides(Recipe(), ["model.resolution_px=32"])
    _require_same_shape(Path("large"), recipe, square)
    for override, ours, mode in (
        ("model.resolution_px=48x192", "48x192", "crop"),
        ("preprocessing.resize=stretch", "32", "stretch"),
    ):
        with pytest.raises(EdgecnnError, check=TEACHER_SEES_OTHERWISE.made) as refusal:
            _require_same_shape(Path("large"), apply_overrides(recipe, [override]), square)
        fields = refusal.value.fields
        assert (str(fields["theirs"]), fields["their_mode"]) == ("64", "crop")
        assert (str(fields["ours"]), fields["mode"]) == (ours, mode)


def test_a_teacher_that_cannot_see_so_small_images_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.planning.training.answer_weights", lambda *_args, **_kept: FOUND)
    with pytest.raises(EdgecnnError, check=RESOLUTION_TOO_SMALL.made):
        asked("inception-v3", tmp_path)


def test_a_relative_folder_in_a_recipe_file_counts_from_that_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('schema = "edgecnn.recipe/2"\n[train]\nteacher = "builds/large"\n')
    assert load_recipe(file).train.teacher == str(tmp_path / "builds" / "large")
    file.write_text('schema = "edgecnn.recipe/2"\n[train]\nteacher = "resnet-50"\n')
    assert load_recipe(file).train.teacher == "resnet-50"


def test_a_build_of_other_images_may_have_seen_those_that_judge(built_once: Place) -> None:
    with pytest.raises(EdgecnnError, check=TEACHER_SAW_OTHER_IMAGES.made):
        asked(str(built_once.out), built_once.store)


@pytest.mark.slow  # a whole build; what a teacher gives is tried in tests/training/test_teaching.py
def test_a_finished_build_teaches_a_small_network(built: Place) -> None:
    words = ("--arch", "lenet-5", "--teacher", str(built.out), "--set", "train.epochs=2", "--out", str(built.folder / "pupil"))
    done = built.run("export", *words)
    assert done.returncode == 0, done.stderr
    histories = [json.loads(file.read_text()) for file in built.store.glob("artifacts/train/*/*/history.json")]
    (teacher,) = [history["teacher"] for history in histories if "teacher" in history]
    assert teacher["arch"] == "lenet-5" and 1 / 3 < teacher["validation_top1"] <= 1
    assert built.run("plan", *words).stdout.count(f"distilled from {built.out}") == 1
