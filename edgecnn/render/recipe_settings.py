"""A recipe as a recipe file, each value with where it comes from beside it; and a difference as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgecnn.planning.settings import RecipeDifference, RecipeSettings
from edgecnn.recipes.toml_file import toml_value
from edgecnn.render.terminal import show_lines, show_rows

SCHEMA_LINE = 'schema = "edgecnn.recipe/1"'
UNSET = "unset"


def show_settings(settings: RecipeSettings) -> None:
    """TOML, which can be kept as a recipe: it says what this one comes to here."""
    show_lines(toml_lines(settings))


def toml_lines(settings: RecipeSettings) -> Iterator[str]:
    """The lines of a recipe file; what is unset and stays so is a comment."""
    yield SCHEMA_LINE
    table = None
    for setting in settings.settings:
        name, _, key = setting.key.partition(".")
        if name != table:
            yield ""
            yield f"[{name}]"
            table = name
        origin = " ".join(setting.origin.split())
        yield f"# {key} is unset  # {origin}" if setting.value is None else f"{key} = {toml_value(setting.value)}  # {origin}"


def show_difference(found: RecipeDifference) -> None:
    """A row a value that differs."""
    said = f"{len(found.differing)} of {len(found.differing) + found.same} values differ"
    show_lines([f"{found.before} → {found.after}: {said}"])
    if found.differing:
        rows = [
            (each.key, _cell(each.before), _cell(each.after), each.before_origin, each.after_origin) for each in found.differing
        ]
        show_rows(("key", "before", "after", "before is from", "after is from"), rows)


def _cell(value: Any) -> str:
    return UNSET if value is None else toml_value(value)
