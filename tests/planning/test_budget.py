"""``train.minutes``: how many epochs fit, by what this machine does in a second, and the same number when it is asked again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn import installed
from edgecnn.data.manifest import summarize
from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import MINUTES_NOT_FITTING
from edgecnn.errors.weights import MissingPackage
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.budget import BudgetedTraining, choose_epochs, training_budget, training_seconds
from edgecnn.planning.complete import complete_recipe
from edgecnn.planning.plan import plan
from edgecnn.planning.recipe import apply_overrides
from edgecnn.planning.request import BuildRequest
from edgecnn.store.store import Store
from edgecnn.training import material
from edgecnn.training import speed as speed_module
from edgecnn.training.speed import measure_speed
from edgecnn.values.recipe import Recipe
from edgecnn.values.training import TrainingSpeed
from tests.building.resolutions import resolved
from tests.data.folders import Heard
from tests.training.made import LENET, LITE, stage

SPEED = TrainingSpeed(decoded_per_s=1000, learned_per_s=10, judged_per_s=50)


def training(*overrides: str, mode: Any = "finetune", arch: str = LITE) -> BudgetedTraining:
    stated = (f"model.arch={arch}", "model.resolution_px=64", "train.learning_rate=0.01", *overrides)
    asked = apply_overrides(Recipe(), stated)
    return BudgetedTraining(resolved(asked).recipe, asked, arch_named(arch), mode, resolved().data, images=4000)


def test_the_estimate_counts_decoding_features_epochs_and_validation() -> None:
    fixed = 4000 / 1000 + (2 * 4000 + 1000) / 50
    assert training_seconds(training(), 3, SPEED) == pytest.approx(fixed + 3 * (4000 / 10 + 1000 / 50))


def test_early_epochs_from_scratch_at_half_size_cost_a_quarter_and_are_not_judged() -> None:
    seconds = training_seconds(training(mode="scratch"), 3, SPEED)
    assert seconds == pytest.approx(4 + (1 + 1 / 4 + 1 / 4) * 400 + 20)


@pytest.mark.parametrize(("mode", "passes"), [("finetune", 4), ("scratch", 3)])
def test_images_that_do_not_fit_into_memory_are_decoded_in_each_epoch(
    mode: Any, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgeted = training(mode=mode)
    size = budgeted.settings().preprocessing.pixels.decoded_px
    monkeypatch.setattr(material, "HELD_BYTES", 4000 * 3 * size.area_px)
    kept = training_seconds(budgeted, 3, SPEED)
    monkeypatch.setattr(material, "HELD_BYTES", 4000 * 3 * size.area_px - 1)
    assert training_seconds(budgeted, 3, SPEED) - kept == pytest.approx((passes - 1) * 4000 / 1000)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "installed_version", lambda name: None if name == "torchvision" else "1")
    monkeypatch.setattr(speed_module, "measure_speed", lambda *_: SPEED)
    with pytest.raises(MissingPackage) as refused:
        training_budget(training("train.minutes=60"), tmp_path / "plan.json", Heard())
    assert refused.value.fields["distribution"] == "torchvision"


@pytest.mark.parametrize(("minutes", "epochs"), [(1, 1), (10.2, 1), (17.1, 2), (31.1, 4), (10_000, 256)])
def test_as_many_epochs_as_fit_are_chosen_and_one_at_least(minutes: float, epochs: int) -> None:
    budget = choose_epochs(training(), minutes, SPEED)
    assert (budget.epochs, budget.minutes, budget.speed) == (epochs, minutes, SPEED)
    assert budget.seconds == training_seconds(training(), epochs, SPEED)


def asked(out: Path, *overrides: str) -> BuildRequest:
    recipe = apply_overrides(Recipe(), [f"model.arch={LITE}", "train.minutes=60", *overrides])
    return BuildRequest(recipe=recipe, device=device_named("cpu"), out=out)


@pytest.mark.parametrize(
    ("override", "beside"),
    [
        ("train.epochs=3", "train.epochs=3"),
        ("train.transfer=auto", "--transfer auto"),
        ("train.head=svm", "train.head=svm"),
        ("train.teacher=resnet-18", "train.teacher"),
    ],
)
def test_what_leaves_no_epochs_to_choose_is_refused(override: str, beside: str, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=MINUTES_NOT_FITTING.made) as refusal:
        complete_recipe(asked(tmp_path / "out", override), Store.open(tmp_path / "store"), Heard())
    assert refusal.value.fields["beside"] == beside


def test_the_choice_is_filled_in_and_is_no_setting_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_module, "measure_speed", lambda *_: SPEED)
    completed = complete_recipe(asked(tmp_path / "out"), Store.open(tmp_path / "store"), Heard())
    assert completed.budget is not None
    assert (completed.recipe.train.epochs, completed.recipe.train.cycles) == (completed.budget.epochs, "while-better")
    short = complete_recipe(asked(tmp_path / "short", "train.minutes=0.1"), Store.open(tmp_path / "store"), Heard()).recipe.train
    assert (short.epochs, short.batch_size) == (1, 32)
    settings = ["train.epochs=2", "train.learning_rate=0.01", "model.arch=lenet-5", "quantize.images=200"]
    recipes = (apply_overrides(Recipe(), stated) for stated in (settings, [*settings, "train.minutes=60"]))
    keys = {plan(resolved(recipe)).step("train").key for recipe in recipes}  # type: ignore[union-attr]
    assert len(keys) == 1


@pytest.mark.parametrize("weights", ["imagenet", "none"])
def test_the_chosen_epochs_lead_to_the_same_surgery_as_the_same_epochs_stated(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_module, "measure_speed", lambda *_: SPEED)
    overrides = (f"model.weights={weights}", "surgery.pruned=0.3")
    store = Store.open(tmp_path / "store")
    chosen = complete_recipe(asked(tmp_path / "out", *overrides), store, Heard()).recipe
    epochs = (f"train.epochs={chosen.train.epochs}", f"train.cycles={chosen.train.cycles}")
    recipe = apply_overrides(Recipe(), (f"model.arch={LITE}", *epochs, *overrides))
    stated = BuildRequest(recipe=recipe, device=device_named("cpu"), out=tmp_path / "other")
    assert complete_recipe(stated, store, Heard()).recipe.surgery == chosen.surgery


def test_a_folder_keeps_its_choice_while_it_is_asked_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[float] = []

    def measure(*_: object) -> TrainingSpeed:
        measured.append(1.0)
        return SPEED.model_copy(update={"learned_per_s": 10.0 * 2 ** len(measured)})

    monkeypatch.setattr(speed_module, "measure_speed", measure)
    file, first = tmp_path / "plan.json", training("train.minutes=60")
    chosen = training_budget(first, file, Heard())
    assert chosen is not None
    train = first.recipe.train.model_copy(update={"epochs": chosen.epochs, "batch_size": 8})  # which follows from the epochs
    before = {
        "budget": chosen.model_dump(mode="json"),
        "asked": first.stated_recipe.model_dump(mode="json", by_alias=True),
        "recipe": first.recipe.model_copy(update={"train": train}).model_dump(mode="json", by_alias=True),
        "data": {"content": first.data.content},
    }
    file.write_text(json.dumps({"resolved": before}))
    assert (training_budget(first, file, Heard()), len(measured)) == (chosen, 1)
    recipe = first.recipe
    changed = (
        recipe.model_copy(update={"train": recipe.train.model_copy(update={"minutes": 61.0})}),
        recipe.model_copy(update={"synthesis": recipe.synthesis.model_copy(update={"degrees": 5.0})}),
        recipe.model_copy(update={"data": recipe.data.model_copy(update={"train": False})}),
    )
    for measurements, other_recipe in enumerate(changed, start=2):
        other = training_budget(first._replace(recipe=other_recipe), file, Heard())
        assert len(measured) == measurements and other is not None and other.speed.learned_per_s == 10.0 * 2**measurements
    assert training_budget(training(), file, Heard()) is None
    batch = {"batch_size": 512}
    asked, recipe = (
        first_recipe.model_copy(update={"train": first_recipe.train.model_copy(update=batch)})
        for first_recipe in (first.stated_recipe, first.recipe)
    )
    training_budget(first._replace(stated_recipe=asked, recipe=recipe), file, Heard())
    assert len(measured) == 5


def test_the_speed_is_measured_on_the_images(tmp_path: Path) -> None:
    data = summarize(resolved().recipe.data, tmp_path, Heard())
    settings = stage(LENET, epochs=1, batch_size=16)
    heard = Heard()
    speed = measure_speed(settings, Path(data.manifest_path), heard)
    assert speed.judged_per_s > 0 and speed.learned_per_s > 0 and speed.decoded_per_s > 0
    assert {what for what, *_ in heard.steps} == {"measure training speed"}
    _, done, total, unit = heard.steps[-1]
    assert (done, unit) == (total, "images")
