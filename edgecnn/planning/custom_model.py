"""Examine a user's model file once: its inputs, outputs and preprocessing. The result is cached until the file changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from edgecnn.data.class_names import ModelNames, spaced
from edgecnn.data.files import read_json, write_json
from edgecnn.data.images import open_source
from edgecnn.errors.base import system_reason
from edgecnn.errors.custom_model import (
    CUSTOM_FILE_MISSING,
    CUSTOM_MODEL_AND_ARCH,
    CUSTOM_MODEL_WITHOUT_DATA,
    DATA_TRAIN_STATED,
    FILL_WITHOUT_BORDER,
    KEPT_HEAD_AND_TRAINING,
    KEPT_HEAD_WITHOUT_DATA,
    LABELS_NEEDED,
    MODEL_OUTPUT_OF_AN_ARCH,
    NOTHING_TO_TRAIN,
    PREPROCESSING_OF_AN_ARCH,
    InputSizeOpen,
    custom_model_classes_differ,
    custom_model_unusable,
)
from edgecnn.errors.fit import SCALE_OF_A_FILE
from edgecnn.errors.labels import multi_label_not_fitting
from edgecnn.graph.custom.form import form_of
from edgecnn.installed import installed_version, require_packages
from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import scaled_or_same
from edgecnn.models.foreign_files import refuse_foreign
from edgecnn.planning.preprocessing_search import CustomFile, find_preprocessing
from edgecnn.planning.stated_preprocessing import stated_for
from edgecnn.runner.model_files.onnx_files import named_beside
from edgecnn.store.disk import stamp_from, user_path
from edgecnn.training.settings import sleeping_threads
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.custom_model import CustomModel, GraphEntry, TorchForm
from edgecnn.values.dataset import DataSummary
from edgecnn.values.preprocessing import BORDERED
from edgecnn.values.recipe import ModelChoice, Recipe
from edgecnn.values.stage import Progress, digest_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

ClassOrder = Literal["file", "folders", "stated"]
_UNKNOWN = "; it is unknown whether it was trained on these images"
_KEPT_OUT = "; data.train = true keeps the images of the role train out, because the model learned from them"
_OWN_ORDER = "; classes have the order and the names in {}"
_FOLDERS_ORDER = "; classes have the order of their folders, whose names differ from those in {}"
_STATED_ORDER = "; classes have the order that data.classes states, which differs from {}"
_REVISION = 11
"""Raise this number when the code describes the same file differently, so that cached results of older code are ignored."""

_OFF, _SUM_OFF = 5e-3, 1e-2
"""Tolerances for recognising probabilities: half a step of signed bytes around 0…1, and half precision for their sum. In bytes,
the error of the sum grows with the number of classes, so the end of the graph decides."""


_LEAST_SUMS, _WHOLE_TOTAL, _ROUNDED_OFF = 4, 50, 0.1
"""Least number of images whose sums are compared. Least total of whole numbers that can be rounded shares; usual ones are 100 and
255. Largest error of such a sum, as a share of the total."""


def network_name(choice: ModelChoice) -> str:
    """Return the name that a build uses for its network: the catalogue row, or the custom model's file.

    Raises UnknownArch: the name is unknown. NOTHING_TO_SCALE, ScaleLeavesNoChannel, ResolutionUnderStride: the scale is
    impossible.
    """
    if choice.onnx is None:
        row = arch_named(choice.arch)
        return scaled_or_same(row, choice.scale, None, row.resolution_px).spec.file_name
    return re.sub(r"[^a-z0-9]+", "-", Path(choice.onnx).stem.lower()).strip("-") or "model"


def check_custom(recipe: Recipe, goal: str, bundle: Path) -> None:
    """Refuse contradictions, and model files of other formats, before images are read.

    Raises CUSTOM_MODEL_AND_ARCH, SCALE_OF_A_FILE, LABELS_NEEDED, CUSTOM_MODEL_WITHOUT_DATA, NOTHING_TO_TRAIN,
    PREPROCESSING_OF_AN_ARCH, FILL_WITHOUT_BORDER, MODEL_OUTPUT_OF_AN_ARCH, DATA_TRAIN_STATED, KEPT_HEAD_AND_TRAINING,
    KEPT_HEAD_WITHOUT_DATA: settings contradict each other. CustomModelUnusable: the file is inside the ``bundle`` that the build
    would replace.
    CUSTOM_FILE_MISSING: the file cannot be read. Others: see ``refuse_foreign``.
    """
    model, usual = recipe.model, Recipe()
    if model.onnx is None:
        _check_trained(recipe, goal)
        return
    # Compared with the defaults and not with what was stated, because the recipe of an earlier build states every value.
    _refuse_named(model, usual.model)
    if recipe.train != usual.train:
        raise CUSTOM_MODEL_AND_ARCH(option="settings of training")
    if "path" not in recipe.data.model_fields_set:
        raise CUSTOM_MODEL_WITHOUT_DATA()
    if goal == "train":
        raise NOTHING_TO_TRAIN()
    path = user_path(model.onnx)
    if path.resolve().is_relative_to(bundle.resolve()):
        because = "it lies in the bundle that this build would replace"
        raise custom_model_unusable(
            path=Path(model.onnx), because=because, hint="pass another folder with --out, or a copy of the file"
        )
    try:
        refuse_foreign(path)
    except FileNotFoundError:
        return  # the code that reads the file reports it
    except OSError as error:
        raise CUSTOM_FILE_MISSING(path=path, because=system_reason(error)) from error


def _check_kept(recipe: Recipe, goal: str) -> None:
    model, usual = recipe.model, Recipe()
    conflicts = {
        "train": goal == "train",
        "settings of training": recipe.train != usual.train,
        "--weights none": model.weights == "none",
        "--scale": model.scale is not None or arch_named(model.arch).scale is not None,
        "quantize.aware": recipe.quantize.aware,
        "surgery": bool(recipe.surgery.suffix),
    }
    if (first := next((name for name, applies in conflicts.items() if applies), None)) is not None:
        raise KEPT_HEAD_AND_TRAINING(asked=first)
    if "path" not in recipe.data.model_fields_set:
        raise KEPT_HEAD_WITHOUT_DATA()


def _check_trained(recipe: Recipe, goal: str) -> None:
    """Refuse settings that a network of the catalogue does not have."""
    if recipe.model.keep_head:
        _check_kept(recipe, goal)
    elif not recipe.data.train and recipe.synthesis.cutouts is None:
        raise DATA_TRAIN_STATED()
    if recipe.data.labels is False:
        raise LABELS_NEEDED(arch=recipe.model.arch)
    own = recipe.preprocessing
    if own.fill is not None and own.resize not in BORDERED:
        raise FILL_WITHOUT_BORDER()
    stated = [name for name in ("like", "mean", "std", "channels", "resize_px") if getattr(own, name) is not None]
    if stated:
        raise PREPROCESSING_OF_AN_ARCH(arch=recipe.model.arch, stated=stated[0])
    if recipe.model.output is not None:
        raise MODEL_OUTPUT_OF_AN_ARCH(arch=recipe.model.arch)


def _refuse_named(model: ModelChoice, usual: ModelChoice) -> None:
    conflicts = {"--arch": model.arch != usual.arch, "--weights": model.weights != usual.weights, "--keep-head": model.keep_head}
    for option, stated in conflicts.items():
        if stated:
            raise CUSTOM_MODEL_AND_ARCH(option=option)
    if model.scale is not None:
        raise SCALE_OF_A_FILE(onnx=str(model.onnx))


def custom_model(recipe: Recipe, data: DataSummary, cache: Path, tell: Progress) -> CustomModel:
    """Examine the file of ``recipe.model.onnx`` with these images, or return the cached result.

    ``data``: the images; those of the role ``validation`` decide the preprocessing if it is not stated. ``cache``: the store's
    root.

    Raises EdgecnnError: one of ``errors.custom_model``; NOT_AN_ONNX_MODEL, EXTERNAL_DATA_OUTSIDE; MissingPackage, for a file
    of torch.
    """
    path = user_path(recipe.model.onnx or "")
    try:
        path = path.resolve(strict=True)
        form = form_of(path)
    except OSError as error:
        raise CUSTOM_FILE_MISSING(path=path, because=system_reason(error)) from error
    question: dict[str, Any] = {"path": str(path), "preprocessing": recipe.preprocessing.model_dump(mode="json")}
    size = recipe.model.resolution_px
    question |= {
        "resolution_px": size and size.stated,
        "output": recipe.model.output,
        "data": data.content,
        "revision": _REVISION,
    }
    question["stated"] = repr(stated_for(Path(recipe.model.onnx or "").expanduser()))
    if form is not None:
        require_packages(("torch", "onnx"), extra="train", needed_for=f"a {form} file")
    runs = "onnxruntime" if form is None else "torch"
    question |= {name: installed_version(name) for name in (runs, "pillow")}  # they decide the answers and the resized images
    cache_file = cache / "custom-models" / f"{digest_of(question)}.json"
    if (cached := _cached_model(cache_file)) is not None:
        return cached
    model, stamps = _examine(path, form, recipe, data, tell)
    write_json(cache_file, {"stamps": stamps, "model": model.model_dump(mode="json")})
    return model


def custom_weights(choice: ModelChoice, *, train_kept_out: bool, order: str) -> WeightsAnswer:
    """Return the weights answer of a model that is not trained. ``order``: see ``class_order``."""
    training_note = _KEPT_OUT if train_kept_out else _UNKNOWN
    why = f"the weights in {choice.onnx}, unchanged: nothing is trained{training_note}{order}"
    return WeightsAnswer(choice="onnx", kind="onnx", why=why)


def requested_order(classes: str | None, named: ModelNames | None) -> ClassOrder:
    """Return the source of the class order that ``data.classes`` asks for."""
    if classes is None:
        return "folders"
    return "file" if named is not None and classes == str(named.file) else "stated"


def class_order(choice: ModelChoice, named: ModelNames | None, taken: ClassOrder, data: DataSummary) -> str:
    """Describe the class order as the end of a sentence; empty if the file names no classes.

    ``named``: the classes that the file, or a file next to it, names. ``taken``: the source of the order in use.
    """
    if named is None:
        return ""
    where = "its metadata" if str(named.file) == choice.onnx else named.file.name
    if taken == "file":
        return _OWN_ORDER.format(where)
    theirs, ours = ([spaced(name).casefold() for name in names] for names in (named.names, data.classes))
    if taken == "stated" and theirs == ours:
        return ""
    first = f" ({', '.join(name[:40] for name in named.names[:3])}{', …' if named.names[3:] else ''})"
    return (_FOLDERS_ORDER if taken == "folders" else _STATED_ORDER).format(where) + first


def custom_arch(choice: ModelChoice, model: CustomModel) -> ArchSpec:
    """Return a catalogue row for the custom model."""
    pixels = model.feeding.pixels
    return ArchSpec(
        name=f"{network_name(choice)}-{model.content[:8]}",  # two files of one name are two networks
        family="custom",
        origin="onnx",
        builder=Path(model.path).name,
        parameters=model.parameters,
        resolution_px=pixels.crop_px,
        resize_px=pixels.resize_px,
        interpolation=pixels.interpolation,
        normalization=model.feeding.normalization,
        head="",
        year=None,
        paper=None,
    )


def _examine(
    path: Path, form: TorchForm | None, recipe: Recipe, data: DataSummary, tell: Progress
) -> tuple[CustomModel, dict[str, Any]]:
    """Examine the file. Also return the stamps that its files had before they were read, so that later changes are noticed."""
    with sleeping_threads():
        from edgecnn.graph.custom.trial import examine_file

    size, stated = recipe.model.resolution_px, stated_for(Path(recipe.model.onnx or "").expanduser())
    tell.step("reading the model", 0, 1)
    before = {name: stamp_from((path.parent / name).stat()) for name in (path.name, *named_beside(path))}
    try:
        says = examine_file(path, form, size, recipe.model.output)
    except InputSizeOpen:
        if size is not None or stated is None or stated.size_px is None:
            raise
        size = stated.size_px
        says = examine_file(path, form, size, recipe.model.output)
    stamps = {str(path.parent / name): before[name] for name in (path.name, *says.beside)}
    tell.step("reading the model", 1, 1)
    if data.labelled and says.entry.classes != len(data.classes):
        raise custom_model_classes_differ(path=path, classes=says.entry.classes, data=data.root, names=data.classes)
    entry = _entry_for_labels(says.entry, data, path)
    source = open_source(Path(data.manifest_path))
    preprocessing = find_preprocessing(CustomFile(path=path, entry=entry, stated=stated), recipe.preprocessing, source, tell)
    if not (data.multi_label or entry.ends_in_sigmoid):
        entry = _entry_for_answers(entry, preprocessing.answers, are_shares=entry.ends_in_shares or says.entry.ends_in_sigmoid)
    about = {"path": str(path), "content": says.content, "entry": entry, "parameters": says.parameters}
    feeding = {
        "feeding": preprocessing.feeding,
        "stated_by": preprocessing.stated_by,
        "trials": preprocessing.trials,
        "rivals": preprocessing.rivals,
    }
    return CustomModel(
        **about, **feeding, at_chance=preprocessing.at_chance, source=preprocessing.source, notes=preprocessing.notes
    ), stamps


def _entry_for_labels(entry: GraphEntry, data: DataSummary, path: Path) -> GraphEntry:
    """Keep a final sigmoid as one output per label only for multi-label data. For one class per image it is part of the file."""
    if data.multi_label and (entry.ends_in_softmax or (entry.ends_in_shares and not entry.ends_in_sigmoid)):
        end = "with one number an image" if entry.one_share else "in a softmax"
        because = f"it ends {end}, so its predictions belong to one class"
        raise multi_label_not_fitting(
            setting=f"--model {path}", because=because, hint="pass a network that ends in logits or a sigmoid"
        )
    return entry.model_copy(update={"ends_in_sigmoid": entry.ends_in_sigmoid and (data.multi_label or not data.labelled)})


def _entry_for_answers(entry: GraphEntry, answers: NDArray[np.float32], *, are_shares: bool) -> GraphEntry:
    """Decide whether the ``answers`` (images, classes) are softmax or other probabilities, or a multiple of these.

    ``are_shares``: the graph ends in a sigmoid, or in a softmax before bytes.
    """
    if entry.share_total == 1 and _sum_to_a_constant(answers):
        return entry.model_copy(update={"ends_in_softmax": False, "ends_in_shares": True})
    answers = answers / entry.share_total
    probable = bool(((answers > -_OFF) & (answers < 1 + _OFF)).all())
    sums_to_one = probable and bool((np.abs(answers.sum(axis=1) - 1) < _SUM_OFF).all())
    softmax = entry.ends_in_softmax and sums_to_one
    shares = not softmax and (sums_to_one or (probable and are_shares))
    return entry.model_copy(update={"ends_in_softmax": softmax, "ends_in_shares": shares})


def _sum_to_a_constant(answers: NDArray[np.float32]) -> bool:
    """Return whether the outputs of each image have the same sum other than 1, such as percentages or shares in 0…255.

    Whole numbers are rounded shares, so that each of them may be off by a half. A few images could have equal sums by chance.
    """
    sums = answers.sum(axis=1)
    total = float(np.median(sums))
    if len(answers) < _LEAST_SUMS or total <= 0 or abs(total - 1) < _SUM_OFF or answers.min() < -_OFF * total:
        return False
    rounded = bool((answers == answers.round()).all()) and total > _WHOLE_TOTAL
    allowed = max(_SUM_OFF * total, min(answers.shape[1] / 2, _ROUNDED_OFF * total) if rounded else 0)
    return bool((np.abs(sums - total) < allowed).all())


def _cached_model(file: Path) -> CustomModel | None:
    """Return the cached result if no file of the model has changed."""
    cached = read_json(file)
    try:
        if any(stamp_from(Path(name).stat()) != tuple(stamp) for name, stamp in cached["stamps"].items()):
            return None
        return CustomModel.model_validate(cached["model"])
    except (OSError, TypeError, KeyError, ValueError, ValidationError):
        return None  # absent, of another version, or gone: it is only found once more
