"""A recipe holds a user's choices and nothing else: it is read whole or refused whole, and never completed by guessing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.building.toml_file import checked, dotted_keys, problems_in, read_table, unknown_key
from edgecnn.errors.recipes import OverridesInvalid, RecipeInvalid, RecipeTooNew, UnknownPipeline
from edgecnn.resources import resource_folder
from edgecnn.values.base import Value
from edgecnn.values.recipe import Recipe

SCHEMA = "edgecnn.recipe/1"
"""The newest schema of a recipe that this version reads."""


class Pipeline(Value):
    """A recipe that is shipped, under its file's name; ``summary`` is the file's first comment line."""

    name: str
    summary: str
    path: Path


def load_pipelines() -> Mapping[str, Pipeline]:
    """Every shipped pipeline by name, in alphabetical order."""
    paths = sorted(resource_folder("pipelines").glob("*.toml"))
    return {path.stem: Pipeline(name=path.stem, summary=_summary(path), path=path) for path in paths}


def pipeline_names() -> tuple[str, ...]:
    """The names of the shipped pipelines, in alphabetical order."""
    return tuple(load_pipelines())


def load_recipe(path_or_name: str | Path) -> Recipe:
    """A recipe from a TOML file, or a shipped pipeline by its name.

    A text with a slash or ending in ``.toml`` is a path, any other is a name.

    Raises:
        UnknownPipeline: no pipeline of this name is shipped.
        FileUnreadable, NotToml: of the file.
        RecipeTooNew: its schema is later than this version's.
        RecipeInvalid: unknown keys (with the nearest right one), wrong types, values out of range; all at once.
    """
    path = _path_of(path_or_name)
    table = read_table(path)
    _refuse_later_schema(table, path)
    return checked(Recipe, table, lambda problems: RecipeInvalid(path=path, problems=problems))


def apply_overrides(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """The recipe with ``--set TABLE.KEY=VALUE`` applied in order; what is not named stays as it was, set or unset.

    VALUE is a TOML value; what is no TOML value is taken as text, so that a shell needs no second pair of quotes
    (``--set model.arch=resnet-18``).

    Raises:
        OverridesInvalid: a key is unknown (with the nearest right one) or a value does not fit; all at once.
    """
    table = recipe.model_dump(mode="json", by_alias=True, exclude_unset=True)
    unknown = [said for text in overrides if (said := _set(table, text)) is not None]
    problems = (*unknown, *problems_in(Recipe, table))
    if problems:
        raise OverridesInvalid(problems=problems)
    return checked(Recipe, table, lambda found: OverridesInvalid(problems=found))


def _path_of(path_or_name: str | Path) -> Path:
    if isinstance(path_or_name, Path) or path_or_name.endswith(".toml") or "/" in path_or_name:
        return Path(path_or_name)
    if path_or_name not in pipeline_names():
        raise UnknownPipeline(name=path_or_name, known=pipeline_names())
    return load_pipelines()[path_or_name].path


def _refuse_later_schema(table: Mapping[str, Any], path: Path) -> None:
    schema = table.get("schema")
    found = re.fullmatch(r"edgecnn\.recipe/(\d{1,9})", schema) if isinstance(schema, str) else None
    if found is not None and int(found.group(1)) > int(SCHEMA.rpartition("/")[2]):
        raise RecipeTooNew(path=path, schema=found.group(0), newest=SCHEMA)


def _set(table: dict[str, Any], text: str) -> str | None:
    """Put one override into the table; the problem with it, or None."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        return f"{text!r} is not KEY=VALUE"
    keys = dotted_keys(Recipe)
    if any(known.startswith(f"{key}.") for known in keys):
        return f"{key} is a table; its keys are set one by one"
    if key not in keys and not any(key.startswith(f"{table_name}.") for table_name in _OPEN):
        return unknown_key(Recipe, key)
    *tables, leaf = _parts(key)
    inner = table
    for name in tables:
        inner = inner.setdefault(name, {})
    inner[leaf] = _value(value)
    return None


def _parts(key: str) -> list[str]:
    """A dotted key in its parts; what follows an open table is one name, whatever it holds."""
    for known in _OPEN:
        if key.startswith(f"{known}."):
            return [*known.split("."), key.removeprefix(f"{known}.")]
    return key.split(".")


_OPEN = ("gates.max", "gates.min")
"""Tables whose keys are metrics rather than fields."""


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if list(parsed) == ["value"] else text


def _summary(path: Path) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").rstrip() if first.startswith("#") else ""
