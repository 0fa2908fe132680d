"""How many epochs fit into ``train.minutes``: measured on this machine once, and kept in the plan of the folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.training import MINUTES_NOT_FITTING
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import pixel_recipe
from edgecnn.planning.training import NO_SETTING
from edgecnn.store.disk import json_document
from edgecnn.training.settings import Mode, TrainSettings
from edgecnn.values.arch import ArchSpec
from edgecnn.values.dataset import DataSummary
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.recipe import Recipe
from edgecnn.values.stage import Progress
from edgecnn.values.training import TrainingBudget, TrainingSpeed

EPOCHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""A budget chooses among these: steps so coarse that noise of the measurement rarely changes the choice."""
_TRAINS = ("numpy", "pillow", "safetensors", "torch", "torchvision")


class BudgetedTraining(NamedTuple):
    """A training whose epochs are to be chosen."""

    recipe: Recipe
    """With every other default filled in."""
    arch: ArchSpec
    mode: Mode
    data: DataSummary
    images: int
    """That train."""

    def settings(self) -> TrainSettings:
        """Return the settings of the training, of one epoch."""
        pixels = pixel_recipe(self.arch, self.recipe.model.resolution_px, self.recipe.preprocessing)
        chosen = self.recipe.train.model_dump(exclude=NO_SETTING) | {"epochs": 1, "head": "linear"}
        return TrainSettings(
            arch=self.arch.name,
            classes=len(self.data.classes),
            preprocessing=Preprocessing(pixels=pixels, normalization=self.arch.normalization),
            mode=self.mode,
            **chosen,
        )


def require_budgetable(recipe: Recipe, mode: Mode | None) -> None:
    """Refuse settings that leave no epochs to choose. ``mode``: None if nothing is trained. Raises MINUTES_NOT_FITTING."""
    if recipe.train.minutes is not None:
        for beside in _unbudgetable(recipe, mode):
            raise MINUTES_NOT_FITTING(beside=beside)


def _unbudgetable(recipe: Recipe, mode: Mode | None) -> Iterator[str]:
    train = recipe.train
    if mode is None:
        yield "--keep-head" if recipe.model.onnx is None else "--model"
    if train.epochs is not None:
        yield f"train.epochs={train.epochs}"
    if train.transfer in ("head", "auto"):
        yield f"--transfer {train.transfer}"
    if train.head != "linear":
        yield f"train.head={train.head}"
    for name in ("teacher", "folds"):
        if getattr(train, name) is not None:
            yield f"train.{name}"
    if train.processes > 1:
        yield f"train.processes={train.processes}"


def training_budget(training: BudgetedTraining, plan_file: Path, tell: Progress) -> TrainingBudget | None:
    """Choose the epochs, or repeat the choice of the folder's last build if it was asked the same; None without a budget.

    Raises MissingPackage: PyTorch is not installed. EdgecnnError: as ``measure_speed``.
    """
    minutes = training.recipe.train.minutes
    if minutes is None:
        return None
    if (before := _budget_before(training, plan_file)) is not None:
        return before
    require_packages(_TRAINS, extra="train", needed_for="train.minutes")
    from edgecnn.training.speed import measure_speed

    return choose_epochs(training, minutes, measure_speed(training.settings(), Path(training.data.manifest_path), tell))


def choose_epochs(training: BudgetedTraining, minutes: float, speed: TrainingSpeed) -> TrainingBudget:
    """Choose the most epochs that fit, and one if none fits."""
    seconds = {epochs: training_seconds(training, epochs, speed) for epochs in EPOCHS}
    epochs = max((epochs for epochs in EPOCHS if seconds[epochs] <= 60 * minutes), default=EPOCHS[0])
    return TrainingBudget(minutes=minutes, speed=speed, epochs=epochs, seconds=seconds[epochs])


def training_seconds(training: BudgetedTraining, epochs: int, speed: TrainingSpeed) -> float:
    """Decoding, frozen features of images and their mirror images if a head is trained on them first, and epochs."""
    from edgecnn.training.material import kept_decoded

    settings = training.settings()
    validation = training.data.counts["validation"]
    features = (2 * training.images + validation) / speed.judged_per_s if training.mode == "finetune" else 0.0
    shares = _size_shares(training, epochs)
    learning = sum(shares) * training.images / speed.learned_per_s
    judging = sum(share == 1 for share in shares) * validation / speed.judged_per_s
    passes = 1
    if not kept_decoded(training.images, settings.preprocessing.pixels.decoded_px):  # each epoch and the features decode again
        passes = epochs + (training.mode == "finetune")
    return passes * training.images / speed.decoded_per_s + features + learning + judging


def _size_shares(training: BudgetedTraining, epochs: int) -> Sequence[float]:
    """The area of the images of each epoch, as a share of the shipped size."""
    from edgecnn.training.beginning import finetune_phase, scratch_phase

    settings = training.settings().model_copy(update={"epochs": epochs})
    phase = (finetune_phase if training.mode == "finetune" else scratch_phase)(settings)
    return [size.area_px / phase.shipped_px.area_px for size in phase.sizes_px]


def _budget_before(training: BudgetedTraining, plan_file: Path) -> TrainingBudget | None:
    """The choice of the folder's last build, if it was of this network, these images and settings."""
    try:
        before = json_document(plan_file)["resolved"]
        budget = TrainingBudget.model_validate(before["budget"])
        recipe = Recipe.model_validate(before["recipe"])
        content = before["data"]["content"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    train = training.recipe.train.model_copy(update={"epochs": budget.epochs})
    now = training.recipe.model_copy(update={"train": train})
    same = all(getattr(recipe, table) == getattr(now, table) for table in ("model", "preprocessing", "train", "synthesis"))
    return budget if same and recipe.data.train == now.data.train and content == training.data.content else None
