"""Choose as many epochs as fit into ``train.minutes``. The speed is measured once, and the folder's plan keeps the choice."""

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
"""Numbers of epochs that a budget chooses from. They are so far apart that noise rarely changes the choice."""
_TRAINS = ("numpy", "pillow", "safetensors", "torch", "torchvision")


class BudgetedTraining(NamedTuple):
    """A training whose number of epochs is not chosen yet."""

    recipe: Recipe
    """The recipe with every other default filled in."""
    stated_recipe: Recipe
    """The recipe as it was stated."""
    arch: ArchSpec
    mode: Mode
    data: DataSummary
    images: int
    """Number of training images."""

    def settings(self) -> TrainSettings:
        """Return the settings of a training of one epoch."""
        pixels = pixel_recipe(self.arch, self.recipe.model.resolution_px, self.recipe.preprocessing)
        chosen = self.recipe.train.model_dump(exclude=NO_SETTING, exclude_none=True) | {"epochs": 1, "head": "linear"}
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
        for beside in _settings_without_epochs(recipe, mode):
            raise MINUTES_NOT_FITTING(beside=beside)


def _settings_without_epochs(recipe: Recipe, mode: Mode | None) -> Iterator[str]:
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
    """Choose the epochs, or repeat the choice of the folder's last build with the same settings; None without a budget.

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
    """Choose the largest number of epochs that fits, or one epoch if none fits."""
    seconds = {epochs: training_seconds(training, epochs, speed) for epochs in EPOCHS}
    epochs = max((epochs for epochs in EPOCHS if seconds[epochs] <= 60 * minutes), default=EPOCHS[0])
    return TrainingBudget(minutes=minutes, speed=speed, epochs=epochs, seconds=seconds[epochs])


def training_seconds(training: BudgetedTraining, epochs: int, speed: TrainingSpeed) -> float:
    """Estimate the time of decoding, of computing features for the head's training, and of the epochs."""
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
    """Return the area of the images in each epoch, as a share of the area at the shipped size."""
    from edgecnn.training.beginning import finetune_phase, scratch_phase

    settings = training.settings().model_copy(update={"epochs": epochs})
    phase = (finetune_phase if training.mode == "finetune" else scratch_phase)(settings)
    return [size.area_px / phase.shipped_px.area_px for size in phase.sizes_px]


def _budget_before(training: BudgetedTraining, plan_file: Path) -> TrainingBudget | None:
    """Return the choice of the folder's last build, if that build has the same network, images and settings."""
    try:
        before = json_document(plan_file)["resolved"]
        budget = TrainingBudget.model_validate(before["budget"])
        stated, recipe = (Recipe.model_validate(before[name]) for name in ("asked", "recipe"))
        content = before["data"]["content"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same_speed = ["cycles", "body_rate"]
    if stated.train.batch_size is None and training.stated_recipe.train.batch_size is None:  # it followed from the epochs
        same_speed.append("batch_size")
    filled = {name: getattr(recipe.train, name) for name in same_speed}
    train = training.recipe.train.model_copy(update={"epochs": budget.epochs, **filled})
    now = training.recipe.model_copy(update={"train": train})
    same = all(getattr(recipe, table) == getattr(now, table) for table in ("model", "preprocessing", "train", "synthesis"))
    return budget if same and recipe.data.train == now.data.train and content == training.data.content else None
