"""Settings of a training that fit frozen layers, a fitted head, a teacher and this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from edgecnn.errors.comparing import NoBuildToJudge
from edgecnn.errors.training import (
    HEAD_NOT_ALONE,
    HEAD_NOT_FITTING,
    NO_BODY_RATE_HERE,
    NO_CYCLES_HERE,
    NO_GPU_TO_TRAIN_ON,
    NO_TEACHER,
    NOTHING_FROM_SCRATCH,
    NOTHING_IN_EPOCHS,
    NOTHING_IN_PRECISION,
    NOTHING_TO_UNFREEZE,
    TEACHER_CHANGED,
    TEACHER_GONE,
    TEACHER_NOT_FITTING,
    TEACHER_SAW_OTHER_IMAGES,
    TEACHER_SEES_OTHERWISE,
    TEACHER_UNTRAINED,
    TEACHER_WITHOUT_WEIGHTS,
    nothing_to_share,
)
from edgecnn.errors.weights import WeightsUnavailable
from edgecnn.errors.wording import counted
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import all_archs, arch_named, require_size
from edgecnn.models.weights import answer_weights
from edgecnn.results.finished import finished_build
from edgecnn.results.origin import whole_entry
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.stages.learning import TrainStage
from edgecnn.stages.weights import FetchStage
from edgecnn.store.disk import json_document, user_path
from edgecnn.store.store import Store
from edgecnn.training.settings import GPU_THREADS, Mode, openmp_threads, training_threads
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Artifact
from edgecnn.values.dataset import DataSummary
from edgecnn.values.device import is_path
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import Recipe, TrainChoice
from edgecnn.values.resolved import DesktopGpu
from edgecnn.values.stage import Key, Progress
from edgecnn.values.training import LearningDevice, Teacher, TeacherTerms

NO_SETTING = {"teacher", "folds", "minutes"}
"""Fields of ``[train]`` that a plan reads and a training does not."""


def require_something_learned(recipe: Recipe, mode: Mode, weights: str) -> None:
    """Refuse settings of layers, steps, random weights or epochs that this training does not have.

    Raises NOTHING_TO_UNFREEZE, NO_CYCLES_HERE, NO_BODY_RATE_HERE, NOTHING_TO_SHARE, NOTHING_IN_PRECISION,
    NOTHING_FROM_SCRATCH, NOTHING_IN_EPOCHS.
    """
    train, beside = recipe.train, _head_alone(recipe, mode)
    if train.unfreeze != "all" and mode != "finetune":
        raise NOTHING_TO_UNFREEZE(beside="training from scratch", because=f"every layer has to learn: {weights}")
    if train.unfreeze != "all" and beside is not None:
        raise NOTHING_TO_UNFREEZE(beside=beside, because="only the head learns")
    stepless = "train.epochs=0" if train.epochs == 0 else beside
    if train.cycles in ("full", "while-better") and (stepless is not None or mode != "finetune"):
        raise NO_CYCLES_HERE(cycles=train.cycles, beside=stepless or "training from scratch")
    if train.body_rate is not None and (stepless is not None or mode != "finetune"):
        raise NO_BODY_RATE_HERE(body_rate=train.body_rate, beside=stepless or "training from scratch")
    if stepless is not None and train.processes > 1:
        raise nothing_to_share(processes=train.processes, beside=stepless)
    if stepless is not None and train.precision != "fp32":
        raise NOTHING_IN_PRECISION(precision=train.precision, beside=stepless)
    if mode == "finetune" and train.scratch != "short" and train.transfer != "auto":
        raise NOTHING_FROM_SCRATCH(recipe=train.scratch)
    if train.epochs and beside is not None:
        fitted = train.head != "linear"
        instead = "the head is fitted in one step" if fitted else "train.head_epochs sets the epochs of the head"
        raise NOTHING_IN_EPOCHS(epochs=train.epochs, beside=beside, instead=instead)


def learning_device(train: TrainChoice, gpu: DesktopGpu | None, before: LearningDevice | None = None) -> LearningDevice:
    """Return the requested device, that of the folder's last build, or a GPU that seems usable, or else the CPU.

    Raises NO_GPU_TO_TRAIN_ON, NOTHING_TO_SHARE: the requested device is not usable.
    """
    if train.device == "gpu" and train.processes > 1:
        raise nothing_to_share(processes=train.processes, beside="train.device=gpu", gpu=True)
    because = "no driver lists a GPU, or torch is not installed" if gpu is None else gpu.unusable
    if train.device == "gpu" and because is not None:
        raise NO_GPU_TO_TRAIN_ON(because=because)
    if train.device is not None:
        return train.device
    if train.processes > 1:
        return "cpu"
    return before or ("gpu" if because is None else "cpu")


def fill_machine(recipe: Recipe, gpu: DesktopGpu | None, plan_file: Path, tell: Progress) -> Recipe:
    """Fill in the device and the number of threads of training, if anything is trained.

    ``plan_file``: of the folder's last build, whose choice stays. Raises as ``learning_device``.
    """
    if recipe.model.onnx is not None or recipe.model.keep_head:
        return recipe
    device = learning_device(recipe.train, gpu, previous_training_device(plan_file))
    before = previous_threads(plan_file, device)
    threads = recipe.train.threads or before or (GPU_THREADS if device == "gpu" else training_threads())
    requested = openmp_threads()
    if recipe.train.threads is None and device == "cpu" and before is not None and requested not in (None, before):
        because = f"the last build in this folder trained with {counted(before, 'thread')}"
        ignored = f"OMP_NUM_THREADS={requested} is ignored, because {because}"
        tell.note(f"{ignored} — --set train.threads={requested} retrains with {requested}")
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"device": device, "threads": threads})})


def previous_training_device(plan_file: Path) -> LearningDevice | None:
    """Return the device that trained the folder's last build; it need not be available now. None if it is unknown."""
    before = _training_before(plan_file)
    device = None if before is None else before.get("device", "cpu")  # plans of older versions have no device
    return device if device in get_args(LearningDevice) else None


def previous_threads(plan_file: Path, device: LearningDevice | None) -> int | None:
    """Return the number of threads that trained the folder's last build on that device; None if it is unknown."""
    if previous_training_device(plan_file) != device:
        return None
    threads = (_training_before(plan_file) or {}).get("threads")
    return threads if isinstance(threads, int) and threads > 0 else None


def _training_before(plan_file: Path) -> Mapping[str, Any] | None:
    """Return ``[train]`` of the folder's last build."""
    try:
        table = json_document(plan_file)["resolved"]["recipe"]["train"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return table if isinstance(table, dict) else None


def require_fitting_head(recipe: Recipe, mode: Mode, weights: str) -> None:
    """Refuse settings that contradict the head. Raises HEAD_NOT_FITTING."""
    head, transfer = recipe.train.head, recipe.train.transfer
    if head == "linear":
        return
    if recipe.train.balance != "none":
        because = "the fit counts each image once"
        raise HEAD_NOT_FITTING(head=head, beside=f"train.balance={recipe.train.balance}", because=because)
    if mode == "scratch":
        raise HEAD_NOT_FITTING(head=head, beside="random weights", because=f"random features do not separate classes: {weights}")
    if transfer not in (None, "head"):
        because = "it is fitted on frozen features, so nothing else learns"
        raise HEAD_NOT_FITTING(head=head, beside=f"--transfer {transfer}", because=because)
    learned = recipe.quantize.aware or recipe.surgery.suffix
    if head == "knn" and learned:
        because = "votes of neighbours have no gradient"
        raise HEAD_NOT_FITTING(head=head, beside="quantize.aware" if recipe.quantize.aware else "[surgery]", because=because)


def require_one_head(recipe: Recipe, arch: ArchSpec) -> None:
    """Refuse settings that train only the last layer if the network has several heads. Raises HEAD_NOT_ALONE."""
    train = recipe.train
    alone = {
        f"train.head={train.head}": train.head != "linear",
        f"--transfer {train.transfer}": train.transfer in ("head", "auto"),
        "train.epochs=0": train.epochs == 0,
    }
    setting = next((setting for setting, applies in alone.items() if applies), None)
    if arch.beside and setting is not None:
        raise HEAD_NOT_ALONE(arch=arch.name, heads=(arch.head, *arch.beside), asked=setting)


def _head_alone(recipe: Recipe, mode: Mode) -> str | None:
    """Return the setting that makes only the head learn, or None."""
    train = recipe.train
    if mode != "finetune":
        return None
    if train.head != "linear":
        return f"train.head={train.head}"
    return "--transfer head" if train.transfer == "head" else None


_FROM_LABELS = "only the head learns, and it needs labels"


def require_teachable(recipe: Recipe, mode: Mode | None) -> None:
    """Refuse settings that contradict a teacher.

    ``mode``: how training begins; None if nothing is trained. Raises TEACHER_NOT_FITTING.
    """
    if recipe.train.teacher is None:
        return
    for beside, because in _contradictions_to_teacher(recipe, mode):
        raise TEACHER_NOT_FITTING(beside=beside, because=because)


def _contradictions_to_teacher(recipe: Recipe, mode: Mode | None) -> Iterator[tuple[str, str]]:
    train = recipe.train
    if mode is None:
        yield "--keep-head" if recipe.model.onnx is None else "--model", "nothing is trained"
    if train.epochs == 0:
        yield "train.epochs=0", "a teacher is heard only while the whole network is trained"
    if train.head != "linear":
        yield f"train.head={train.head}", _FROM_LABELS
    if mode == "finetune" and train.transfer == "head":
        yield "--transfer head", _FROM_LABELS
    if mode == "finetune" and train.transfer == "auto":
        yield "--transfer auto", "it may train only the head, which needs labels"
    if train.balance == "weights":
        yield ("train.balance=weights", "a teacher replaces the labels that the weights count; use train.balance=sampling")


TRAINED = "weights.safetensors"


def teacher_of(recipe: Recipe, data: DataSummary, store: Store, versions: Mapping[str, str]) -> Teacher | None:
    """Return the teacher, or None if training learns from labels.

    ``recipe``: with every default filled in.

    Raises:
        UnknownArch: the name is neither a network of the catalogue nor a folder.
        MissingPackage: the network needs a package of the extra ``zoo``.
        TEACHER_WITHOUT_WEIGHTS: the network has no pretrained weights.
        NO_TEACHER: the folder is not a finished build.
        TEACHER_UNTRAINED, TEACHER_CHANGED, TEACHER_GONE: the build trained no network, changed it afterwards, or the store no
            longer holds it.
        TEACHER_SEES_OTHERWISE: the build uses another part or shape of the image.
        TEACHER_SAW_OTHER_IMAGES: the build used other images, or other roles of these.
        RESOLUTION_TOO_SMALL: the network cannot see images as small as the training images.
    """
    named = recipe.train.teacher
    if named is None:
        return None
    if is_folder(named):
        return _teacher_from_build(named, recipe, data, store)
    return _teacher_from_list(named, recipe.model.resolution_px or arch_named(recipe.model.arch).resolution_px, store, versions)


def is_folder(named: str) -> bool:
    """Whether a teacher is a folder: a path, or a name that is not in the catalogue and exists as a folder."""
    return is_path(named) or (all(named != arch.name for arch in all_archs()) and Path(named).is_dir())


def _terms(arch: ArchSpec, resolution_px: ImageSize) -> TeacherTerms:
    return TeacherTerms(arch=arch.name, normalization=arch.normalization, resolution_px=resolution_px)


def _teacher_from_list(named: str, resolution_px: ImageSize, store: Store, versions: Mapping[str, str]) -> Teacher:
    arch = arch_named(named)
    require_packages(arch.needs, extra="zoo", needed_for=arch.name)
    require_size(arch, resolution_px)
    cached = None if arch.weights is None else store.artifacts.find(FetchStage.published(arch), versions, {})
    try:
        weights = answer_weights(arch, "imagenet", cached=cached.folder if isinstance(cached, Artifact) else None)
    except WeightsUnavailable as error:
        raise TEACHER_WITHOUT_WEIGHTS(named=named, because=error.because) from error
    return Teacher(named=named, terms=_terms(arch, resolution_px), weights=weights)


def _teacher_from_build(named: str, recipe: Recipe, data: DataSummary, store: Store) -> Teacher:
    folder = user_path(named)
    try:
        build = finished_build(folder)
    except NoBuildToJudge as error:
        raise NO_TEACHER(named=folder, because=error.because or error.what) from error
    theirs = build.resolved
    if theirs.data.content != data.content:
        raise TEACHER_SAW_OTHER_IMAGES(folder=folder, theirs=theirs.data.root, ours=data.root)
    if theirs.recipe.surgery.instead:
        raise TEACHER_CHANGED(folder=folder)
    _require_same_shape(folder, recipe, theirs.preprocessing.pixels)
    key = build.keys.get("train")
    if key is None:
        raise TEACHER_UNTRAINED(folder=folder)
    made = whole_entry(store, TrainStage.kind, key)
    if made is None:
        raise TEACHER_GONE(folder=folder, store=store.root, command=build.again)
    sha256 = Key(made.record.files[TRAINED].sha256)
    terms = _terms(theirs.arch, theirs.preprocessing.pixels.crop_px)
    return Teacher(named=named, terms=terms, trained=sha256, folder=str(made.folder))


def _require_same_shape(folder: Path, recipe: Recipe, theirs: PixelRecipe) -> None:
    """Require that teacher and student see the same part of an image. Their sizes may differ."""
    ours = recipe.model.resolution_px or arch_named(recipe.model.arch).resolution_px
    mode, shape = recipe.preprocessing.resize or "crop", theirs.crop_px
    if ours.height_px * shape.width_px != ours.width_px * shape.height_px or mode != theirs.resize:
        raise TEACHER_SEES_OTHERWISE(folder=folder, theirs=shape, their_mode=theirs.resize, ours=ours, mode=mode)
