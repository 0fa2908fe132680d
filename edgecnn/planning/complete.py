"""Fill in what a recipe leaves open, once and visibly, from the network, the data and the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edgecnn.data.class_names import label_files_next_to, names_in_model, order_by_names
from edgecnn.data.formats.registry import has_own_order
from edgecnn.data.layout import natural_order
from edgecnn.data.manifest import summarize
from edgecnn.devices.desktop_gpu import gpu_here
from edgecnn.errors.custom_model import KEPT_HEAD_DIFFERS, NO_HEAD_TO_KEEP
from edgecnn.errors.data import NoClassFolders, class_order_open
from edgecnn.errors.graph import CALIBRATION_SET_TOO_SMALL
from edgecnn.errors.training import NOTHING_TO_TRANSFER, WEIGHTS_NOT_WANTED
from edgecnn.errors.wording import first_of
from edgecnn.installed import installed_version, lacking, require_packages
from edgecnn.models.catalogue import all_archs, arch_named, pixel_recipe, require_size
from edgecnn.models.compound import keeps_all, scaled_or_same
from edgecnn.models.weights import answer_weights, held_weights
from edgecnn.planning.budget import BudgetedTraining, require_budgetable, training_budget
from edgecnn.planning.candidates import PACKAGE as TORCHAO
from edgecnn.planning.candidates import require_something_to_replace
from edgecnn.planning.custom_model import class_order, custom_weights, requested_order
from edgecnn.planning.data_rules import fill_size, first_fold, require_fitting, require_foldable, require_synthesis, synthesis_of
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.training import (
    fill_machine,
    require_fitting_head,
    require_one_head,
    require_something_learned,
    require_teachable,
)
from edgecnn.results.folder import PLAN
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes.registry import every_backend
from edgecnn.stages.weights import FetchStage
from edgecnn.store.disk import json_document, user_path
from edgecnn.store.store import Store
from edgecnn.training.settings import (
    BATCH_SIZE,
    Mode,
    default_augmentation,
    default_batch_size,
    default_body_rate,
    default_cycles,
    default_epochs,
    default_label_smoothing,
    default_learning_rate,
    finetune_batch_size,
)
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import ABSENT, Artifact, NetworkWithWeights, WeightsAnswer
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import ModelChoice, QuantizeChoice, Recipe, SurgeryChoice, TrainChoice
from edgecnn.values.resolved import DesktopGpu
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import Synthesis, images_trained_on
from edgecnn.values.training import TrainingBudget

DEMO_RESOLUTION_PX = 64
"""The demo's images are 28 pixels wide, so a larger input would only cost time."""
DISTRIBUTIONS = tuple(
    dict.fromkeys(
        (
            *(package for backend in every_backend() for package in backend.packages),
            *("torchvision", "safetensors", "onnxscript", "onnxconverter-common", "nncf", "pillow", "numpy", "timm"),
            *("tensorrt", "tensorrt-rtx-cu13-bindings", TORCHAO, "scikit-learn", "torch-pruning"),
        )
    )
)
"""The distributions whose versions can change an artifact's bytes."""


class CompletedRecipe(NamedTuple):
    """A recipe with nothing left open, and the facts that its defaults come from."""

    weights: WeightsAnswer
    data: DataSummary
    recipe: Recipe
    synthesis: Synthesis | None = None
    gpu: DesktopGpu | None = None
    """The GPU of this machine."""
    budget: TrainingBudget | None = None


def complete_recipe(request: BuildRequest, store: Store, tell: Progress) -> CompletedRecipe:
    """Fill in what the recipe leaves to the data, the weights, the network and this machine. No runtime needs to be installed.

    Raises EdgecnnError: the network is unknown, the scale impossible, the data unusable, the weights or the GPU not available.
    """
    completed, gpu = _complete(request, store, tell), gpu_here(request.recipe.desktop.variants)
    completed = completed._replace(recipe=fill_machine(completed.recipe, gpu, request.out / PLAN, tell), gpu=gpu)
    return completed if completed.recipe.train.minutes is None else _choose_epochs(completed, request, tell)


def _choose_epochs(completed: CompletedRecipe, request: BuildRequest, tell: Progress) -> CompletedRecipe:
    arch = arch_named(completed.recipe.model.arch)
    spec = scaled_or_same(arch, completed.recipe.model.scale, None, arch.resolution_px).spec
    images = images_trained_on(completed.data, completed.synthesis, photographs=completed.recipe.data.train)
    mode = mode_of(completed.recipe.train, spec, completed.weights)
    training = BudgetedTraining(completed.recipe, request.recipe, spec, mode, completed.data, images)
    budget = training_budget(training, request.out / PLAN, tell)
    if budget is None:
        return completed
    filled = filled_in(request.recipe.train, mode, images, spec, budget.epochs)
    following = {name: getattr(filled, name) for name in ("epochs", "cycles", "batch_size")}
    train = completed.recipe.train.model_copy(update=following)
    surgery = completed_surgery(request.recipe.surgery, _epochs_before_surgery(train))
    return completed._replace(recipe=completed.recipe.model_copy(update={"train": train, "surgery": surgery}), budget=budget)


def _complete(request: BuildRequest, store: Store, tell: Progress) -> CompletedRecipe:
    require_synthesis(request.recipe)
    require_foldable(request.recipe)
    if request.recipe.model.onnx is not None or request.recipe.model.keep_head:
        require_teachable(request.recipe, None)
        require_budgetable(request.recipe, None)
    if request.recipe.model.onnx is not None:
        return _complete_custom(request.recipe, store, tell)
    arch = arch_named(request.recipe.model.arch)
    require_something_to_replace(request.recipe, arch)
    size = request.recipe.model.resolution_px
    if size is not None:
        require_size(arch, size)
    require_packages(arch.needs, extra="zoo", needed_for=arch.name)
    scaled_or_same(arch, request.recipe.model.scale, None, arch.resolution_px)  # refuses an impossible scale early
    weights = _weights_answer(request, arch, store, tool_versions())
    if request.recipe.model.keep_head:
        return _complete_kept(request.recipe, arch, weights, store, tell)
    data = summarize(request.recipe.data, store.root, tell, first_fold(request.recipe))
    require_fitting(request.recipe, data)
    synthesis = synthesis_of(request.recipe, data, store.root, tell)
    images = images_trained_on(data, synthesis, photographs=request.recipe.data.train)
    return CompletedRecipe(weights, data, _completed(request.recipe, arch, data, (weights, images)), synthesis)


def _complete_custom(recipe: Recipe, store: Store, tell: Progress) -> CompletedRecipe:
    """Complete the recipe of a custom model. Nothing is trained, so no images are kept for training, unless ``data.train``
    says that the model learned from them."""
    learned = recipe.data.train and "train" in recipe.data.model_fields_set
    choice = recipe.data.model_copy(update={"train": learned, "labels": recipe.data.labels is not False})
    try:
        data = summarize(choice, store.root, tell)
    except NoClassFolders as error:
        if recipe.data.labels is not None or not error.fields["files"]:
            raise
        choice = choice.model_copy(update={"labels": False})
        data = summarize(choice, store.root, tell)
    require_fitting(recipe, data)
    named = names_in_model(Path(str(recipe.model.onnx))) if data.labelled else None
    if named is None and choice.classes is None and data.labelled:
        _note_unread_labels(user_path(str(recipe.model.onnx)), tell)
    taken = requested_order(choice.classes, named)
    if choice.classes is None and data.labelled:
        order = None if named is None else order_by_names(named.names, data.classes, Path(data.root), str(named.file))
        if named is None or order is None:
            _require_one_order(data)
        else:
            taken = "file"
            if order != data.classes:
                choice = choice.model_copy(update={"classes": str(named.file)})
                data = summarize(choice, store.root, tell)
    surgery = completed_surgery(recipe.surgery, 0)  # the plan lists the changed candidates as not available
    filled = {"data": choice, "quantize": _fill_images(recipe.quantize, data), "surgery": surgery}
    class_note = class_order(recipe.model, named, taken, data)
    weights = custom_weights(recipe.model, train_kept_out=learned, order=class_note)
    return CompletedRecipe(weights, data, recipe.model_copy(update=filled))


def _note_unread_labels(model: Path, tell: Progress) -> None:
    if files := label_files_next_to(model):
        named = first_of([str(file) for file in files], 3)
        use = "`--set data.classes=FILE` uses a text or JSON file with the names in the order of the outputs"
        tell.note(f"{named} may name the classes of the model, and is not used: {use}")


def _require_one_order(data: DataSummary) -> None:
    """Refuse class folders whose order depends on how they are sorted. Published data sets define their own order."""
    characters = tuple(sorted(data.classes))
    sorted_here = data.classes == natural_order(data.classes) != characters
    if sorted_here and not has_own_order(data.root):
        raise class_order_open(root=data.root, folders=data.classes, characters=characters)


def _complete_kept(recipe: Recipe, arch: ArchSpec, weights: WeightsAnswer, store: Store, tell: Progress) -> CompletedRecipe:
    """Complete a recipe that keeps the published head. Nothing is trained, and published weights have ImageNet's classes."""
    if weights.kind == "none":
        raise NO_HEAD_TO_KEEP(arch=arch.name, why=weights.why)
    published = "folders" if weights.kind == "file" else "imagenet"
    choice = recipe.data.model_copy(update={"train": False, "classes": recipe.data.classes or published})
    data = summarize(choice, store.root, tell)
    require_fitting(recipe, data)
    if choice.classes == "folders" and recipe.data.classes is None:
        _require_one_order(data)
    if published == "imagenet" and len(data.classes) != arch.classes:
        raise KEPT_HEAD_DIFFERS(file=str(weights.path or arch.name), classes=arch.classes, found=len(data.classes))
    resolution_px = recipe.model.resolution_px or arch.resolution_px
    model = recipe.model.model_copy(update={"arch": arch.name, "resolution_px": resolution_px})
    filled = {"data": choice, "model": model, "quantize": _fill_images(recipe.quantize, data)}
    return CompletedRecipe(weights.kept(), data, recipe.model_copy(update=filled))


def tool_versions() -> dict[str, str]:
    """Return the version of each distribution that can change bytes, or ``ABSENT``."""
    return {name: installed_version(name) or ABSENT for name in DISTRIBUTIONS}


def _weights_answer(request: BuildRequest, arch: ArchSpec, store: Store, versions: Mapping[str, str]) -> WeightsAnswer:
    """Return the weights that training starts from. The last build's online answer is reused."""
    choice = request.recipe.model.weights
    if request.recipe.train.transfer == "scratch":
        if choice not in ("auto", "none"):
            raise WEIGHTS_NOT_WANTED(weights=choice)
        choice = "none"
    previous = None if request.refresh_weights else _previous_answer(request.out / PLAN, arch.name, choice)
    answer = answer_weights(arch, choice, cached=stored_weights(arch, store, versions), previous=previous)
    if answer.kind != "none":
        return answer
    return answer.model_copy(update={"alternative": _alternative_network(arch, request.recipe.model, store, versions)})


def _alternative_network(
    arch: ArchSpec, model: ModelChoice, store: Store, versions: Mapping[str, str]
) -> NetworkWithWeights | None:
    """Return the network most similar to ``arch`` whose published weights are on this machine, or None.

    The network itself comes first, then networks with at most twice its multiply-adds, so that the speed stays about the same.
    Among these, its family comes first, then networks with about as many multiply-adds. A stated scale or resolution has to fit.
    """

    def unlikeness(spec: ArchSpec) -> tuple[bool, bool, bool, float]:
        difference = abs(math.log(spec.macs / arch.macs)) if spec.macs and arch.macs else math.inf
        is_slower = (spec.macs or 0) > 2 * (arch.macs or math.inf)
        return spec.name != arch.name, is_slower, spec.family != arch.family, difference

    def suits(spec: ArchSpec) -> bool:
        fits = model.resolution_px is None or (spec.least_px <= min(model.resolution_px) and not spec.only_native_px)
        return fits and (model.scale is None or spec.name == arch.name) and not lacking(spec.needs, "zoo")

    best = next(
        (
            spec
            for spec in sorted(all_archs(), key=unlikeness)
            if spec.weights is not None
            and suits(spec)
            and held_weights(spec.weights, cached=stored_weights(spec, store, versions)) is not None
        ),
        None,
    )
    if best is None:
        return None
    return NetworkWithWeights(
        arch=best.name,
        top1=_published_top1(best) or None,
        macs=best.macs,
        instead_of_top1=_published_top1(arch) or None,
        instead_of_macs=arch.macs,
    )


def _published_top1(spec: ArchSpec) -> float:
    return 0.0 if spec.accuracy is None else spec.accuracy.top1


def stored_weights(arch: ArchSpec, store: Store, versions: Mapping[str, str]) -> Path | None:
    """Return the store's folder of a network's published weights, or None."""
    entry = store.artifacts.find(FetchStage.published(arch), versions, {}) if arch.weights is not None else None
    return entry.folder if isinstance(entry, Artifact) else None


def _previous_answer(plan_file: Path, arch: str, choice: str) -> WeightsAnswer | None:
    """Return the last build's answer about the same network and weights, or None."""
    try:
        before = json_document(plan_file)["resolved"]
        if before["asked"]["model"]["arch"] != arch or before["asked"]["model"]["weights"] != choice:
            return None
        answer = WeightsAnswer.model_validate(before["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no plan.json, or an older or damaged one: that only costs one more question
    return answer if answer.asked and answer.what else None


def _completed(recipe: Recipe, arch: ArchSpec, data: DataSummary, training: tuple[WeightsAnswer, int]) -> Recipe:
    """Fill in every default. ``training``: the starting weights and the number of training images."""
    weights, images = training
    usual = demo_resolution(arch) if data.origin == "demo" else arch.resolution_px
    scaled = scaled_or_same(arch, recipe.model.scale, recipe.model.resolution_px, usual)
    resolution = scaled.resolution_px
    train = completed_training(recipe, scaled.spec, images, weights)
    if data.multi_label and recipe.train.label_smoothing is None:
        train = train.model_copy(update={"label_smoothing": 0.0})  # a share of many absent labels would outweigh those there are
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update={"arch": arch.name, "resolution_px": resolution}),
            "train": train,
            "synthesis": fill_size(recipe.synthesis, pixel_recipe(scaled.spec, resolution, recipe.preprocessing)),
            "quantize": _fill_images(recipe.quantize, data),
            "surgery": completed_surgery(recipe.surgery, _epochs_before_surgery(train)),
        }
    )


def _epochs_before_surgery(train: TrainChoice) -> int:
    """Return the training epochs that set the length of surgery. Fine-tuning in cycles is long, so it does not count."""
    return 0 if train.cycles != "one" else train.epochs or 0


def completed_surgery(choice: SurgeryChoice, trained_epochs: int) -> SurgeryChoice:
    """Fill in the epochs and learning rate of surgery: few epochs for exchanged layers, many for pruned channels.

    ``trained_epochs``: of the network itself.
    """
    usual = (max(4, round(1.5 * trained_epochs)), 3e-3) if choice.pruned else (4, 1e-4)
    return choice.model_copy(
        update={"epochs": choice.epochs or usual[0], "learning_rate": choice.learning_rate or usual[1]},
    )


def demo_resolution(arch: ArchSpec) -> ImageSize:
    """Return a small resolution, within the network's own resolution and its minimum."""
    return ImageSize.square(max(arch.least_px, min(DEMO_RESOLUTION_PX, arch.resolution_px.short_px)))


def _fill_images(choice: QuantizeChoice, data: DataSummary) -> QuantizeChoice:
    """Use all calibration images unless the recipe states fewer. Too many fail here, before training."""
    available = data.counts["calibration"]
    if choice.images is not None and choice.images > available:
        raise CALIBRATION_SET_TOO_SMALL(asked=choice.images, found=available)
    return choice.model_copy(update={"images": choice.images or available})


def completed_training(recipe: Recipe, arch: ArchSpec, images: int, weights: WeightsAnswer) -> TrainChoice:
    """Return ``[train]`` with nothing left open.

    Raises:
        NOTHING_TO_TRANSFER: pretrained layers are to be kept, and there are none.
        HEAD_NOT_FITTING, HEAD_NOT_ALONE: the head does not fit the other settings, or the network.
        NOTHING_TO_UNFREEZE, NO_CYCLES_HERE, NO_BODY_RATE_HERE, NOTHING_TO_SHARE, NOTHING_IN_PRECISION, NOTHING_FROM_SCRATCH,
            NOTHING_IN_EPOCHS: a setting applies to training the whole network, which is not trained.
        TEACHER_NOT_FITTING: the training would ignore a teacher.
        MINUTES_NOT_FITTING: no epochs can be chosen.
    """
    train = recipe.train
    mode = mode_of(train, arch, weights)
    require_one_head(recipe, arch)
    if mode == "scratch" and train.transfer in ("head", "last", "all"):
        raise NOTHING_TO_TRANSFER(arch=arch.name, asked=train.transfer, why=weights.why)
    require_fitting_head(recipe, mode, weights.why)
    require_something_learned(recipe, mode, weights.why)
    require_teachable(recipe, mode)
    require_budgetable(recipe, mode)
    default = "all" if train.head == "linear" else "head"
    transfer = "scratch" if mode == "scratch" else train.transfer or default
    return filled_in(train, mode, images, arch).model_copy(update={"transfer": transfer})


def mode_of(train: TrainChoice, arch: ArchSpec, weights: WeightsAnswer) -> Mode:
    """Return how training begins.

    A scaled network that lost channels or blocks must learn again, unless the recipe asks for its features as they are.
    ``auto`` starts from the features as they are and may choose either.
    """
    return mode_from(train, arch, pretrained=weights.kind != "none")


def mode_from(train: TrainChoice, arch: ArchSpec, *, pretrained: bool) -> Mode:
    """Return how training begins, given only whether pretrained weights exist."""
    if not pretrained or train.transfer == "scratch":
        return "scratch"
    as_they_are = train.transfer not in (None, "all") or train.head != "linear"
    return "finetune" if as_they_are or keeps_all(arch) else "inherit"


def filled_in(train: TrainChoice, mode: Mode, images: int, arch: ArchSpec, epochs: int | None = None) -> TrainChoice:
    """Fill in the settings that depend on the mode. Stated values stay.

    ``epochs``: the number that a training time leaves room for, in place of the default.
    """
    recipe = train.scratch
    if epochs is None:
        epochs = default_epochs(mode, images)
    unset: dict[str, Any] = {
        "epochs": epochs,
        "cycles": "one",
        "learning_rate": default_learning_rate(mode, recipe, arch.scratch_rate),
        "augment": default_augmentation(mode, recipe),
        "batch_size": BATCH_SIZE if mode == "finetune" else default_batch_size(recipe),
        "label_smoothing": default_label_smoothing(mode, recipe),
    }
    if mode == "finetune":
        unset["body_rate"] = default_body_rate(arch)
        if train.epochs is None:
            unset["cycles"] = default_cycles(epochs, images)
        if train.transfer != "head" and train.head == "linear" and train.epochs != 0:  # more than the head is trained
            unset["batch_size"] = finetune_batch_size(images, train.epochs or epochs, train.processes)
    return train.model_copy(update={name: value for name, value in unset.items() if getattr(train, name) is None})
