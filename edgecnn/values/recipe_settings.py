"""A recipe value by value, each with where it comes from, and how two of them differ."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edgecnn.values.base import Value


class Setting(Value):
    """One value."""

    key: str
    """Dotted, as ``--set`` takes it."""
    value: Any
    """As in JSON; None: unset, and nothing has to be filled in."""
    origin: str
    """``default``; the file, pipeline or option that states it; or what an unset one was filled in from."""


class RecipeSettings(Value):
    """`edgecnn recipe show --json`, schema edgecnn.recipe-settings/1."""

    schema_: Literal["edgecnn.recipe-settings/1"] = Field(default="edgecnn.recipe-settings/1", alias="schema")
    of: str
    """What was asked for: a file, a pipeline, a build's folder, or nothing but options."""
    settings: tuple[Setting, ...]


class Differing(Value):
    """One value that is not the same on both sides."""

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
    """How many values are the same, wherever they come from."""
