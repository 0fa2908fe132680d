"""Read recipes. A recipe holds a user's choices only; it is accepted or refused as a whole.

A relative path in a recipe file counts from the file's folder, so that the file means the same everywhere. A path on the
command line, including ``--set``, counts from the current folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgecnn.data.class_names import CLASSES_WORDS
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.recipes import (
    OVERRIDES_INVALID,
    RECIPE_FILE_MISSING,
    RECIPE_INVALID,
    RECIPE_IS_FOLDER,
    RECIPE_TOO_NEW,
    RECIPE_WITHOUT_SCHEMA,
    recipe_too_old,
    unknown_pipeline,
)
from edgecnn.errors.weights import WEIGHTS_WORDS
from edgecnn.installed import resource_folder
from edgecnn.store.disk import read_table
from edgecnn.values.base import Value
from edgecnn.values.device import is_path, split_target
from edgecnn.values.recipe import Recipe
from edgecnn.values.synthesis import FOLDERS
from edgecnn.values.toml import dotted_keys, parsed, unknown_key, validated

SCHEMA = "edgecnn.recipe/2"
"""The recipe schema of this version."""
RENAMED: Final[Mapping[str, str]] = {
    "data.calibrate_images": "data.calibration_images",
    "data.choose_share": "data.validation_share",
    "data.report_share": "data.test_share",
}
"""Keys of the previous schema, with their new names."""


class Pipeline(Value):
    """A shipped recipe; ``summary`` is the first comment line of its file."""

    name: str
    summary: str
    path: Path


def load_pipelines() -> Mapping[str, Pipeline]:
    """Return the shipped pipelines by name, in alphabetical order."""
    pipelines = {}
    for path in sorted(resource_folder("pipelines").glob("*.toml")):
        first_line = path.read_text(encoding="utf-8").partition("\n")[0]
        summary = first_line.lstrip("# ").rstrip() if first_line.startswith("#") else ""
        pipelines[path.stem] = Pipeline(name=path.stem, summary=summary, path=path)
    return pipelines


def pipeline_names() -> tuple[str, ...]:
    """Return the names of the shipped pipelines, in alphabetical order."""
    return tuple(load_pipelines())


def load_recipe(path_or_name: str | Path) -> Recipe:
    """Read a recipe from a TOML file, or a shipped pipeline by its name.

    A text with a slash or ending in ``.toml`` is a path, any other is a name. Relative paths in ``data.path``,
    ``data.classes``, ``model.weights``, ``model.onnx``, ``train.teacher``, ``target.device`` and ``[synthesis]`` become
    absolute; ``demo`` and other names stay.

    Raises:
        UNKNOWN_PIPELINE: no pipeline of this name is shipped.
        RECIPE_FILE_MISSING: the file does not exist, but a pipeline of its name does.
        RECIPE_IS_FOLDER: the path is a folder, perhaps one of images.
        FILE_UNREADABLE, NOT_TOML: the file cannot be read.
        RECIPE_WITHOUT_SCHEMA: it is empty, or does not state its schema.
        RECIPE_TOO_NEW: its schema is later than this version's.
        RECIPE_INVALID: unknown keys (with the nearest right one), wrong types or values out of range; lists all of them.
    """
    if isinstance(path_or_name, str) and not (path_or_name.endswith(".toml") or "/" in path_or_name):
        return _read_recipe(_shipped_path(path_or_name))
    path = Path(path_or_name)
    if not os.path.lexists(path) and path.stem in pipeline_names():
        raise RECIPE_FILE_MISSING(path=path, shipped=path.stem)
    if path.is_dir():
        raise RECIPE_IS_FOLDER(path=path)
    return anchor_paths(path.parent, _read_recipe(path))


def apply_overrides(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """Apply ``--set TABLE.KEY=VALUE`` to a recipe, in order. Other keys stay as they are.

    VALUE is a TOML value. Anything else is taken as text, so that a shell needs no second pair of quotes (``--set
    model.arch=resnet-18``).

    Raises OverridesInvalid: a key is unknown (with the nearest right one) or a value does not fit; lists all of them.
    """
    table = recipe.model_dump(mode="json", by_alias=True, exclude_unset=True)
    unknown = [problem for text in overrides if (problem := _apply_override(table, text)) is not None]
    return _checked_recipe(table, lambda problems: OVERRIDES_INVALID(problems=problems), unknown)


def _shipped_path(name: str) -> Path:
    pipelines = load_pipelines()
    if name not in pipelines:
        # os.path, unlike pathlib, accepts a name that is longer than a file's name may be
        files = (Path(name), Path(f"{name}.toml"), Path(f"{Path(name).stem}.toml"))
        meant = next((file for file in files if name and os.path.isfile(file)), None)  # noqa: PTH113
        is_folder = os.path.isdir(name)  # noqa: PTH112
        raise unknown_pipeline(name=name, known=tuple(pipelines), here=meant, folder=is_folder)
    return pipelines[name].path


def _read_recipe(path: Path) -> Recipe:
    table = read_table(path)
    _refuse_another_schema(table, path)
    return _checked_recipe(table, lambda problems: RECIPE_INVALID(path=path, problems=problems))


def _checked_recipe(
    table: Mapping[str, Any], refuse: Callable[[Sequence[str]], EdgecnnError], already: Sequence[str] = ()
) -> Recipe:
    """Return the table as a recipe, or raise ``refuse`` with the problems in ``already`` and those of the table."""
    recipe = validated(Recipe, table)
    problems = [*already, *(() if isinstance(recipe, Recipe) else recipe), *_empty_paths(table)]
    if problems or not isinstance(recipe, Recipe):
        raise refuse(problems)
    return recipe


def _empty_paths(table: Mapping[str, Any]) -> list[str]:
    """Return a problem for each empty path, which would mean the current folder."""
    places = (
        ("model", "weights"),
        ("model", "onnx"),
        ("data", "path"),
        ("data", "image_root"),
        ("train", "teacher"),
        *(("synthesis", name) for name in FOLDERS),
    )
    texts = {f"{name}.{key}": inner.get(key) for name, key in places if isinstance(inner := table.get(name), Mapping)}
    return [f"{key} must not be empty" for key, text in texts.items() if isinstance(text, str) and not text.strip()]


def anchor_paths(folder: Path, recipe: Recipe) -> Recipe:
    """Return the recipe with relative paths made absolute, as seen from ``folder``."""
    model, data, train, target = recipe.model, recipe.data, recipe.train, recipe.target
    if model.weights not in WEIGHTS_WORDS:
        model = model.model_copy(update={"weights": _anchored(folder, model.weights)})
    if model.onnx is not None:
        model = model.model_copy(update={"onnx": _anchored(folder, model.onnx)})
    if is_on_disk(data.path):
        data = data.model_copy(update={"path": _anchored(folder, data.path)})
    if data.image_root is not None:
        data = data.model_copy(update={"image_root": _anchored(folder, data.image_root)})
    if data.classes is not None and data.classes not in CLASSES_WORDS:
        data = data.model_copy(update={"classes": _anchored(folder, data.classes)})
    if train.teacher is not None and is_path(train.teacher):
        train = train.model_copy(update={"teacher": _anchored(folder, train.teacher)})
    if is_path(split_target(target.device)[0]):
        target = target.model_copy(update={"device": _anchored(folder, target.device)})
    counted = {name: _anchored(folder, path) for name, path in recipe.synthesis.stated_folders.items()}
    synthesis = recipe.synthesis.model_copy(update=counted)
    changed = {"model": model, "data": data, "train": train, "synthesis": synthesis, "target": target}
    return recipe.model_copy(update={name: value for name, value in changed.items() if value != getattr(recipe, name)})


def _anchored(folder: Path, text: str) -> str:
    """Make a path absolute. Links of the folder are resolved before ``..``, as the system does; other parts are not examined."""
    if text.startswith("~") or Path(text).is_absolute():
        return text
    base, parts = folder.resolve(), Path(text).parts
    while parts[:1] == ("..",):
        base, parts = base.parent, parts[1:]
    return str(base.joinpath(*parts))


def _refuse_another_schema(table: Mapping[str, Any], path: Path) -> None:
    if "schema" not in table:
        raise RECIPE_WITHOUT_SCHEMA(path=path, because="it has no key schema" if table else "it is empty", reads=SCHEMA)
    schema = table["schema"]
    match = re.fullmatch(r"edgecnn\.recipe/(\d{1,9})", schema) if isinstance(schema, str) else None
    if match is None:
        return
    version, known = int(match.group(1)), int(SCHEMA.rpartition("/")[2])
    if version > known:
        raise RECIPE_TOO_NEW(path=path, schema=match.group(0), newest=SCHEMA)
    if version < known:
        raise recipe_too_old(path=path, schema=match.group(0), reads=SCHEMA, renamed=RENAMED)


def _apply_override(table: dict[str, Any], text: str) -> str | None:
    """Set one key of the table. Return the problem, or None."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        return f"{text!r} is not KEY=VALUE"
    keys = dotted_keys(Recipe)
    if any(known.startswith(f"{key}.") for known in keys):
        return f"{key} is a table; set its keys one by one"
    if key not in keys and not any(key.startswith(f"{table_name}.") for table_name in _OPEN):
        return unknown_key(Recipe, key)
    *tables, leaf = key_parts(key)
    inner = table
    for name in tables:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            return f"{key} cannot be set: {'.'.join(tables)} was set to {json.dumps(inner, default=str)}, which is not a table"
    inner[leaf] = _override_value(value)
    return None


def key_parts(key: str) -> list[str]:
    """Split a dotted key. The rest after an open table is one name, even if it holds dots."""
    for known in _OPEN:
        if key.startswith(f"{known}."):
            return [*known.split("."), key.removeprefix(f"{known}.")]
    return key.split(".")


_SIZE = re.compile(r"[0-9]+[xX][0-9]+")
"""Height by width. TOML would read some sizes as hexadecimal numbers."""
_OPEN = ("gates.max", "gates.min")
"""Tables whose keys are metrics rather than fields."""


def _override_value(text: str) -> Any:
    if _SIZE.fullmatch(text):
        return text
    try:
        table = parsed(f"value = {text}")
    except ValueError:
        return text
    return table["value"] if list(table) == ["value"] else text
