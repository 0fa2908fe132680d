"""Failures of recipes, of shipped pipelines and of ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import did_you_mean, no_unicode, shell_word


class OverridesInvalid(EdgecnnError):
    """``--set`` names no key of a recipe, or a value that the key cannot hold."""


UNKNOWN_PIPELINE = ErrorRow(
    "unknown-pipeline", "there is no pipeline {name!r}", "the shipped pipelines are {known:listed}", "{hint}"
)
RECIPE_FILE_MISSING = ErrorRow(
    "recipe-file-missing",
    "there is no recipe file {path}",
    "{shipped} is a shipped pipeline, which you select by its name without a path",
    "run edgecnn build {shipped}",
)
RECIPE_INVALID = ErrorRow(
    "recipe-invalid",
    "recipe {path} has {problems:counted problem}",
    "{problems:joined}",
    "docs/schemas/recipe.json lists every key",
)
RECIPE_WITHOUT_SCHEMA = ErrorRow(
    "recipe-without-schema",
    "{path} is not a recipe",
    "{because}",
    'write schema = "{reads}" on the first line, or write a recipe with edgecnn init FOLDER',
)
RECIPE_TOO_NEW = ErrorRow(
    "recipe-too-new",
    "recipe {path} is written for a later edgecnn",
    "its schema is {schema}, but this version knows schemas only up to {newest}",
    "pip install --upgrade edgecnn",
)
RECIPE_TOO_OLD = ErrorRow(
    "recipe-too-old",
    "recipe {path} is written for an earlier edgecnn",
    "its schema is {schema}, but this version reads {reads}",
    'write schema = "{reads}", and rename any of these keys: {renames:commas}',
)
PLAN_UNREADABLE = ErrorRow(
    "plan-unreadable",
    "{folder} cannot be read as a build",
    "{because}",
    "pass the folder of a finished build, such as builds/ARCH-DEVICE, a recipe file or a shipped pipeline",
)
OVERRIDES_INVALID = ErrorRow(
    "overrides-invalid",
    "a setting cannot be applied",
    "{problems:joined}",
    "correct the option; --set takes TABLE.KEY=VALUE, as in --set train.epochs=3",
    kind=OverridesInvalid,
)
EMPTY_OPTION = ErrorRow(
    "empty-option", "{option} is empty", "an unset shell variable gives an empty value", "set the variable, or remove {option}"
)
OPTION_NOT_UNICODE = ErrorRow(
    "option-not-unicode",
    "the value {value} of {option} {problem}",
    "a report cannot contain this name",
    "rename the file or folder, or create a link to it with another name",
)
RECIPE_IS_FOLDER = ErrorRow(
    "recipe-is-folder",
    "{path} is a folder, not a recipe file",
    "a folder of images has an option",
    "edgecnn build --data {path:word}, or `edgecnn init {path:word}` to write a recipe for it",
)
FILE_UNREADABLE = ErrorRow("file-unreadable", "{path} cannot be read", "{reason}")
NOT_TOML = ErrorRow(
    "not-toml",
    "{where} is not valid TOML",
    "{reason}",
    'put text in quotes and tables in brackets, as in [train] and device = "jetson"',
    also=("path", "line"),
)
RECIPE_THERE = ErrorRow(
    "recipe-there",
    "{path} already exists",
    fix="to build it, run edgecnn build {path:word}; to write another file, pass --out FILE",
)
RECIPE_UNWRITABLE = ErrorRow("recipe-unwritable", "{path} cannot be written", "{because}", "choose another file with --out FILE")


def unknown_pipeline(name: str, known: Sequence[str], here: Path | None = None, folder: bool = False) -> EdgecnnError:
    """``here``: a file in the current folder with a similar name; ``folder``: whether a folder here has the name."""
    if folder:
        hint = f"pass a folder of images with --data {shell_word(name)}"
    else:
        guess = did_you_mean(name, known, cutoff=0.4) if here is None else ""
        own = shell_word(f"./{here or 'my-recipe.toml'}")
        hint = f"{guess}to use your own recipe, pass its path, as in edgecnn build {own}"
    return UNKNOWN_PIPELINE(name=name, known=known, hint=hint)


def recipe_too_old(path: Path, schema: str, reads: str, renamed: Mapping[str, str]) -> EdgecnnError:
    return RECIPE_TOO_OLD(path=path, schema=schema, reads=reads, renames=[f"{old} to {new}" for old, new in renamed.items()])


def option_not_unicode(option: str, value: str) -> EdgecnnError:
    return OPTION_NOT_UNICODE(option=option, value=ascii(value), problem=no_unicode(value))


def not_toml(path: Path, line: int | None, reason: str) -> EdgecnnError:
    """``line`` counts from 1; None if the parser gives no line."""
    return NOT_TOML(where=str(path) if line is None else f"{path}:{line}", reason=reason, path=path, line=line)
