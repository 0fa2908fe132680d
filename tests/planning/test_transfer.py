"""The transfer choice in a plan: a rule with a key before its file exists."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import (
    HEAD_NOT_FITTING,
    NO_CYCLES_HERE,
    NOTHING_FROM_SCRATCH,
    NOTHING_IN_EPOCHS,
    NOTHING_IN_PRECISION,
    NOTHING_TO_SHARE,
    NOTHING_TO_TRANSFER,
    NOTHING_TO_UNFREEZE,
    WEIGHTS_NOT_WANTED,
)
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.complete import complete_recipe
from edgecnn.planning.plan import plan
from edgecnn.planning.recipe import apply_overrides
from edgecnn.planning.request import BuildRequest
from edgecnn.stages.learning import TrainStage
from edgecnn.store.store import Store
from edgecnn.training.settings import OtherTerms
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Resolved
from tests.building.resolutions import VERSIONS, resolved
from tests.data.folders import Heard


def asking(transfer: str, **changes: Any) -> Resolved:
    recipe = resolved().recipe
    asked = recipe.model_copy(update={"train": recipe.train.model_copy(update={"transfer": transfer})})
    file = WeightsAnswer(choice="w.pth", kind="file", sha256="f" * 64, path="/w.pth", why="yours")
    return resolved(asked, **{"mode": "finetune", "weights": file, **changes})


def train_of(found: Resolved) -> TrainStage:
    step = plan(found).step("train")
    assert step is not None and isinstance(step.stage, TrainStage)
    return step.stage


def test_auto_is_a_stage_whose_key_training_names() -> None:
    laid = plan(asking("auto"))
    decides = laid.step("transfer")
    assert decides is not None
    stage = train_of(asking("auto"))
    assert stage.inputs["transfer"] == decides.key and stage.transfer == "auto"
    assert stage.otherwise is not None and stage.otherwise.epochs == 2, "what the recipe states holds from scratch too"


def test_of_a_network_that_lost_layers_auto_may_come_to_what_all_is_when_forced() -> None:
    narrow = arch_named("efficientnet-lite0-d1-w0.5")
    auto, forced = (train_of(asking(each, arch=narrow, mode=mode)) for each, mode in (("auto", "finetune"), ("all", "inherit")))
    assert auto.relearned is not None and forced.relearned is None
    assert {name: getattr(forced, name) for name in OtherTerms.model_fields} == dict(auto.relearned)
    assert train_of(asking("auto")).relearned is None


@pytest.mark.parametrize("forced", ["head", "last", "all"])
def test_a_forced_choice_asks_nobody(forced: str) -> None:
    assert plan(asking(forced)).step("transfer") is None
    assert (train_of(asking(forced)).transfer, train_of(asking(forced)).otherwise) == (forced, None)


def test_each_choice_trains_under_a_key_of_its_own() -> None:
    keys = {plan(asking(each)).step("train").key for each in ("auto", "head", "last", "all")}  # type: ignore[union-attr]
    assert len(keys) == 4


def settled(tmp_path: Any, *overrides: str) -> Recipe:
    recipe = apply_overrides(Recipe(), ["model.arch=efficientnet-lite0", *overrides])
    request = BuildRequest(recipe=recipe, device=device_named("cpu"), out=tmp_path / "out")
    return complete_recipe(request, Store.open(tmp_path / "store"), Heard()).recipe


def test_what_is_unset_is_filled_in_visibly(tmp_path: Any) -> None:
    assert settled(tmp_path).train.transfer == "all"
    assert settled(tmp_path, "train.transfer=auto").train.transfer == "auto"
    assert settled(tmp_path, "model.weights=none", "train.transfer=auto").train.transfer == "scratch"
    assert settled(tmp_path, "train.transfer=scratch").train.learning_rate == 4e-3


def test_contradictions_are_refused_before_anything_is_done(tmp_path: Any) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_TO_TRANSFER.made):
        settled(tmp_path, "model.weights=none", "train.transfer=last")
    with pytest.raises(EdgecnnError, check=WEIGHTS_NOT_WANTED.made):
        settled(tmp_path, "model.weights=imagenet", "train.transfer=scratch")


@pytest.mark.parametrize(
    ("overrides", "beside"),
    [
        (("model.weights=none",), "random weights"),
        (("train.transfer=all",), "--transfer all"),
        (("train.transfer=auto",), "--transfer auto"),
        (("quantize.aware=true",), "quantize.aware"),
    ],
)
def test_a_fitted_head_wants_frozen_features(overrides: tuple[str, ...], beside: str, tmp_path: Any) -> None:
    with pytest.raises(EdgecnnError, check=HEAD_NOT_FITTING.made) as refusal:
        settled(tmp_path, "train.head=knn", *overrides)
    assert refusal.value.fields["beside"] == beside


def test_a_fitted_head_means_that_the_head_alone_is_learned(tmp_path: Any) -> None:
    assert settled(tmp_path, "train.head=svm").train.transfer == "head"


def test_the_resnet_recipe_fills_in_its_own_figures(tmp_path: Any) -> None:
    found = settled(tmp_path, "model.weights=none", "train.scratch=resnet").train
    assert (found.learning_rate, found.batch_size, found.weight_decay, found.label_smoothing) == (0.1, 256, 1e-4, 0.0)
    kept = settled(tmp_path, "model.weights=none", "train.scratch=resnet", "train.batch_size=32").train
    assert kept.batch_size == 32


def test_the_modern_recipe_mixes_images(tmp_path: Any) -> None:
    found = settled(tmp_path, "model.weights=none", "train.scratch=modern").train
    assert [each.kind for each in found.augment or ()] == ["crop", "flip", "randaugment", "cutout", "mixup", "cutmix"]


@pytest.mark.parametrize("override", ["model.weights=none", "train.transfer=head", "train.transfer=scratch", "train.head=svm"])
def test_groups_are_unfrozen_only_where_they_are_fine_tuned(override: str, tmp_path: Any) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_TO_UNFREEZE.made):
        settled(tmp_path, "train.unfreeze=groups", override)
    assert settled(tmp_path, "train.unfreeze=groups", "train.transfer=last").train.unfreeze == "groups"


@pytest.mark.parametrize("recipe", ["resnet", "modern"])
def test_a_recipe_for_random_weights_is_stated_only_where_they_may_be_trained(recipe: str, tmp_path: Any) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_FROM_SCRATCH.made):
        settled(tmp_path, f"train.scratch={recipe}")
    for override in ("train.transfer=auto", "train.transfer=scratch", "model.scale=width=0.5"):
        assert settled(tmp_path, f"train.scratch={recipe}", override).train.scratch == recipe


@pytest.mark.parametrize("override", ["train.transfer=head", "train.head=svm"])
def test_epochs_of_the_whole_network_are_stated_only_where_it_learns(override: str, tmp_path: Any) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_IN_EPOCHS.made):
        settled(tmp_path, "train.epochs=7", override)
    assert settled(tmp_path, "train.epochs=7", "train.transfer=last").train.epochs == 7
    assert settled(tmp_path, "train.epochs=0", override).train.transfer == "head"


@pytest.mark.parametrize("override", ["model.weights=none", "train.transfer=head", "train.head=svm", "train.epochs=0"])
def test_cycles_are_stated_only_where_the_whole_network_is_fine_tuned(override: str, tmp_path: Any) -> None:
    with pytest.raises(EdgecnnError, check=NO_CYCLES_HERE.made):
        settled(tmp_path, "train.cycles=while-better", override)
    train = settled(tmp_path, "train.cycles=while-better", "train.epochs=16").train
    assert (train.epochs, train.cycles) == (16, "while-better")


@pytest.mark.parametrize("override", ["train.transfer=head", "train.head=svm", "train.epochs=0"])
def test_a_precision_of_steps_is_stated_only_where_there_are_some(override: str, tmp_path: Any) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_IN_PRECISION.made):
        settled(tmp_path, "train.precision=bf16", override)
    assert settled(tmp_path, "train.precision=bf16").train.precision == "bf16"
    assert settled(tmp_path, "train.precision=fp32", override).train.precision == "fp32"


@pytest.mark.parametrize("override", ["train.transfer=head", "train.head=svm", "train.epochs=0"])
def test_processes_are_asked_for_only_where_the_whole_network_learns(override: str, tmp_path: Any) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_TO_SHARE.made):
        settled(tmp_path, "train.processes=2", override)
    assert settled(tmp_path, "train.processes=2").train.processes == 2


def test_several_processes_train_under_a_key_of_their_own() -> None:
    one, two = train_of(asking("all")), train_of(asking("all")).model_copy(update={"processes": 2})
    assert "processes" not in one.payload(VERSIONS)["settings"]
    assert two.payload(VERSIONS)["settings"]["processes"] == 2


def test_unfreezing_trains_under_a_key_of_its_own() -> None:
    plain, gradual = train_of(asking("all")), train_of(asking("all")).model_copy(update={"unfreeze": "groups"})
    assert "unfreeze" not in plain.payload(VERSIONS)["settings"]
    assert gradual.payload(VERSIONS)["settings"]["unfreeze"] == "groups"
