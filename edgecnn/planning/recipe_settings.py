"""The settings of a recipe as a build takes them, with the origin of each value, and the difference between two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from edgecnn.errors.comparing import PLAN_OF_ANOTHER_BUILD
from edgecnn.errors.recipes import PLAN_UNREADABLE
from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import scaled_or_same
from edgecnn.planning.complete import CompletedRecipe, complete_recipe, mode_of
from edgecnn.planning.recipe import load_recipe, pipeline_names
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.training import previous_threads, previous_training_device
from edgecnn.results.folder import PLAN, REPORT, read_report
from edgecnn.results.shipped import keys_of, step_of_another
from edgecnn.store.disk import json_document
from edgecnn.store.store import Store
from edgecnn.training.settings import Mode
from edgecnn.values.base import Value, another_schema
from edgecnn.values.recipe import Recipe, TrainChoice
from edgecnn.values.resolved import PLAN_SCHEMA
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import images_trained_on
from edgecnn.values.toml import dotted_keys, validated

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "edgecnn recipe"
DESCRIPTION = "A user's recipe file (TOML), and `asked` in plan.json."
DEFAULT = "default"
_NOTHING = "options alone"


def recipe_schema() -> dict[str, Any]:
    """Return the published JSON Schema of a recipe file."""
    return {"$schema": DIALECT, **Recipe.model_json_schema(by_alias=True), "title": TITLE, "description": DESCRIPTION}


def origins(named: str | None, overrides: Sequence[str] = (), options: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the origin of each stated dotted key: the recipe file, then ``--set``, then named options; the last one wins.

    ``options``: the option that states each key.
    """
    origin_of: dict[str, str] = {}
    if named is not None:
        kind = "pipeline" if named in pipeline_names() else "file"
        stated, keys = load_recipe(named).model_dump(mode="json", by_alias=True, exclude_unset=True), dotted_keys(Recipe)
        for table, inner in stated.items():
            stated_keys = [f"{table}.{key}" for key in inner] if isinstance(inner, Mapping) else []
            origin_of |= {key: f"{kind} {named}" for key in stated_keys if key in keys}
    for text in overrides:
        key = text.partition("=")[0].strip()
        origin_of[".".join(key.split(".")[:2])] = "--set"
    return {**origin_of, **(options or {})}


def settings_of(request: BuildRequest, stated: Mapping[str, str], named: str | None, tell: Progress) -> RecipeSettings:
    """Return every value that a build of this request would take. Raises EdgecnnError: as ``complete_recipe``."""
    completed = complete_recipe(request, Store.open(), tell)
    requested, filled = _values(request.recipe), _values(completed.recipe)
    sources = {
        "train.device": f"filled in: this machine's {'GPU' if completed.recipe.train.device == 'gpu' else 'CPU'}",
        "train.threads": _threads_origin(request, completed.recipe.train),
        **_filled_origins(completed),
    }
    if previous_training_device(request.out / PLAN) is not None:
        sources["train.device"] = "filled in: the device of the last build in this folder"
    if request.recipe.train.epochs is not None and completed.recipe.train.body_rate is not None:
        sources["train.cycles"] = "filled in: train.epochs is stated"
    origin_of = {**stated, **{key: source for key, source in sources.items() if requested[key] != filled[key]}}
    settings = [Setting(key=key, value=value, origin=origin_of.get(key, DEFAULT)) for key, value in filled.items()]
    return RecipeSettings(of=named or _NOTHING, settings=tuple(settings))


def settings_of_build(folder: Path) -> RecipeSettings:
    """Return every value that a finished build took, from its ``plan.json``.

    Raises:
        PLAN_UNREADABLE: the plan is missing, damaged or of a later version.
        PLAN_OF_ANOTHER_BUILD: a later call renewed the plan and did not finish.
        ReportUnreadable: the report next to it is damaged.
    """
    try:
        plan = json_document(folder / PLAN)
        resolved = plan["resolved"]
        requested, taken = (validated(Recipe, resolved[name]) for name in ("asked", "recipe"))
    except FileNotFoundError as error:
        raise PLAN_UNREADABLE(folder=folder, because=f"it holds no {PLAN}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PLAN_UNREADABLE(folder=folder, because=f"{PLAN} is damaged: {type(error).__name__}: {error}") from error
    if (other_schema := another_schema(plan, PLAN_SCHEMA)) is not None:
        raise PLAN_UNREADABLE(folder=folder, because=f"{PLAN} is of another version: {other_schema}")
    for recipe in (requested, taken):
        if not isinstance(recipe, Recipe):
            raise PLAN_UNREADABLE(folder=folder, because=f"{PLAN} holds no recipe of this version: {'; '.join(recipe)}")
    _refuse_plan_of_another_build(folder, plan)
    values, stated = _values(taken), _values(requested)  # type: ignore[arg-type]
    settings = [
        Setting(key=key, value=value, origin=f"build {folder}" if stated[key] == value else f"filled in by build {folder}")
        for key, value in values.items()
    ]
    return RecipeSettings(of=str(folder), settings=tuple(settings))


def _threads_origin(request: BuildRequest, train: TrainChoice) -> str:
    if previous_threads(request.out / PLAN, train.device) is not None:
        return "filled in: the number of the last build in this folder"
    if train.device == "gpu":
        return "filled in: the same on every machine, because a GPU trains"
    return "filled in: OMP_NUM_THREADS, or all threads of this process"


def difference(before: RecipeSettings, after: RecipeSettings) -> RecipeDifference:
    """Return the values that differ, in the recipe's order. Origins are not compared."""
    others = {setting.key: setting for setting in after.settings}
    pairs = [(setting, others[setting.key]) for setting in before.settings]
    differing = [
        Differing(key=one.key, before=one.value, before_origin=one.origin, after=other.value, after_origin=other.origin)
        for one, other in pairs
        if one.value != other.value
    ]
    return RecipeDifference(before=before.of, after=after.of, differing=tuple(differing), same=len(pairs) - len(differing))


def _refuse_plan_of_another_build(folder: Path, plan: Mapping[str, Any]) -> None:
    """Refuse a plan whose keys differ from the report's. A folder with only a plan was never built."""
    if not (folder / REPORT).is_file():
        return
    report = read_report(folder)
    if (differs := step_of_another(report.keys, keys_of(plan))) is not None:
        again = report.build.again or "repeat the build command"
        raise PLAN_OF_ANOTHER_BUILD(folder=folder, differs=differs, command=again)


_MODES: Mapping[Mode, str] = {
    "scratch": "training from scratch",
    "finetune": "fine-tuning",
    "inherit": "training from inherited weights",
}


_KEYS_OF_THE_MODE = tuple(f"train.{name}" for name in ("learning_rate", "body_rate", "label_smoothing", "transfer", "augment"))


def _filled_origins(completed: CompletedRecipe) -> dict[str, str]:
    """Return the origin of each value that a build fills in."""
    recipe, data, weights = completed.recipe, completed.data, completed.weights
    if recipe.model.onnx is not None:
        labels = "its sub-folders name the classes" if data.labelled else "the folder has no sub-folders"
        return {
            "data.labels": f"filled in: {labels}",
            "data.classes": "filled in: the order in the model file",
            "data.train": "filled in: nothing is trained",
            "quantize.images": "filled in: all calibration images",
        }
    if recipe.model.keep_head:
        return {
            "model.resolution_px": "filled in: the network's own",
            "data.classes": "filled in: the classes of the kept head",
            "data.train": "filled in: nothing is trained",
            "quantize.images": "filled in: all calibration images",
        }
    arch = arch_named(recipe.model.arch)
    native = recipe.model.resolution_px == arch.resolution_px
    own = "filled in: the network's own" if native else "filled in: a small one for the demo's small images"
    count = images_trained_on(data, completed.synthesis, photographs=recipe.data.train)
    spec = scaled_or_same(arch, recipe.model.scale, None, arch.resolution_px).spec
    changed = "channels are pruned" if recipe.surgery.pruned else "layers are exchanged"
    mode = mode_of(recipe.train, spec, weights)
    by_mode = f"filled in: {_MODES[mode]}"
    epochs = by_images = f"{by_mode} on {count:,} training images, with those for calibration"
    if completed.budget is not None:
        epochs = f"filled in: as many as fit into {completed.budget.minutes:g} minutes here"
    return {
        "model.resolution_px": own if recipe.model.scale is None else f"filled in: --scale {recipe.model.scale}",
        "train.epochs": epochs,
        **dict.fromkeys(("train.cycles", "train.batch_size"), by_images if mode == "finetune" else by_mode),
        **dict.fromkeys(_KEYS_OF_THE_MODE, by_mode),
        "synthesis.size_px": "filled in: the size of the training images",
        "quantize.images": "filled in: every calibration image",
        **dict.fromkeys(("surgery.epochs", "surgery.learning_rate"), f"filled in: {changed}"),
    }


def _values(recipe: Recipe) -> dict[str, Any]:
    """Return the value of every dotted key as in JSON, in the recipe's order."""
    table = recipe.model_dump(mode="json", by_alias=True)
    return {key: reduce(getitem, key.split("."), table) for key in dotted_keys(Recipe) if key != "schema"}


class Setting(Value):
    """One value of a recipe."""

    key: str
    """Dotted, as ``--set`` takes it."""
    value: Any
    """The value in JSON; None: unset, and nothing has to be filled in."""
    origin: str
    """``default``; the file, pipeline or option that states it; or the source of a filled-in value."""


class RecipeSettings(Value):
    """`edgecnn recipe show --json`, schema edgecnn.recipe-settings/1."""

    schema_: Literal["edgecnn.recipe-settings/1"] = Field(default="edgecnn.recipe-settings/1", alias="schema")
    of: str
    """The source: a file, a pipeline, a build's folder, or options alone."""
    settings: tuple[Setting, ...]


class Differing(Value):
    """One value that differs."""

    key: str
    before: Any
    before_origin: str
    after: Any
    after_origin: str


class RecipeDifference(Value):
    """`edgecnn recipe diff --json`, schema edgecnn.recipe-difference/1."""

    schema_: Literal["edgecnn.recipe-difference/1"] = Field(default="edgecnn.recipe-difference/1", alias="schema")
    before: str
    after: str
    differing: tuple[Differing, ...]
    same: int
    """Number of equal values, whatever their origins."""
