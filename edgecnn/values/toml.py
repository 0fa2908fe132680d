"""Read TOML as a Value, and write values as TOML. All problems are reported, by dotted key with the nearest right key.

Validation runs through strict JSON, where a text is never taken for a number, while arrays become tuples and names become
enums.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import nearest

if TYPE_CHECKING:
    from tomlkit.items import Item


_Model = TypeVar("_Model", bound=BaseModel)

_REQUIREMENTS = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text in quotes",
    "bool_type": "must be true or false",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
    "tuple_type": "must be an array",
    "list_type": "must be an array",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "is not one of {expected_tags}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must not be empty",
}
"""Our words for pydantic's error types. Other types keep pydantic's words."""


def checked(model: type[_Model], table: Mapping[str, Any], refuse: Callable[[Sequence[str]], EdgecnnError]) -> _Model:
    """Return the table as a model, or raise ``refuse`` with all problems."""
    outcome = validated(model, table)
    if isinstance(outcome, tuple):
        raise refuse(outcome)
    return outcome


def validated(model: type[_Model], table: Mapping[str, Any]) -> _Model | tuple[str, ...]:
    """Return the table as a model, or one sentence per problem: unknown keys, wrong types, bad values."""
    unusable: dict[str, str] = {}
    usable = _drop_unusable(table, "", unusable)
    try:
        value = model.model_validate_json(json.dumps(usable, default=str), strict=True)
    except ValidationError as error:
        others = [details for details in error.errors() if _dotted(details) not in unusable]
        return (*unusable.values(), *(_sentence(model, details) for details in others))
    return tuple(unusable.values()) if unusable else value


def dotted_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys of a model as ``table.key``; an open table appears by its own name."""
    keys: list[str] = []
    for name, annotation in _keys(model).items():
        inner = _model_in(annotation)
        if inner is None or get_origin(annotation) is not None:
            keys.append(name)
        if inner is not None:
            keys += [f"{name}.{key}" for key in dotted_keys(inner)]
    return tuple(keys)


def nearest_key(model: type[BaseModel], key: str) -> str | None:
    """Return the dotted key that a mistyped key most likely means, or None.

    Keys of the same table come first, then similar keys anywhere, then the same last part in another table.
    """
    *parents, leaf = key.split(".")
    holder = _model_at(model, parents)
    if holder is not None and (near := nearest(leaf, _keys(holder))):
        return ".".join((*parents, near))
    known = dotted_keys(model)
    if near := nearest(key, known, cutoff=0.75):
        return near
    by_leaf = {candidate.rpartition(".")[2]: candidate for candidate in reversed(known)}
    near = nearest(leaf, by_leaf)
    return by_leaf[near] if near else None


def unknown_key(model: type[BaseModel], key: str) -> str:
    """Return the sentence about an unknown key."""
    near = nearest_key(model, key)
    key = _printable(key)
    return f"{key} is not a key, the nearest is {near}" if near else f"{key} is not a key"


def _sentence(model: type[BaseModel], details: ErrorDetails) -> str:
    path = [str(part) for part in details["loc"]]
    if details["type"] == "extra_forbidden":
        return unknown_key(model, _dotted(details))
    key = _printable(_dotted(details)) or "the file"
    if path and path[-1] == "[key]":
        expected = str(details.get("ctx", {}).get("expected", ""))
        near = nearest(path[-2], re.findall(r"'([^']+)'", expected), cutoff=0.4)
        parent = ".".join(path[:-2])
        return f"{key} is not a key, the nearest is {parent}.{near}" if near else f"{key} is not a key; {parent} takes {expected}"
    template = _REQUIREMENTS.get(details["type"])
    if template is None:
        return f"{key}: {details['msg']}"
    requirement = template.format_map(dict(details.get("ctx", {})))
    return f"{key} {requirement}" if details["type"] == "missing" else f"{key} {requirement}, not {_shown(details['input'])}"


def _dotted(details: ErrorDetails) -> str:
    return ".".join(str(part) for part in details["loc"] if part != "[key]")


def _printable(key: str) -> str:
    """Escape a quoted key that would break the line of an error."""
    return key if key.isprintable() else json.dumps(key)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _drop_unusable(value: Any, key: str, unusable: dict[str, str]) -> Any:
    """Copy a value without nan, inf, integers beyond 64 bits and texts with a NUL, which TOML's parser accepts. Their keys go
    to ``unusable``."""
    if isinstance(value, Mapping):
        inner = {
            name: _drop_unusable(inner_value, f"{key}.{name}" if key else name, unusable) for name, inner_value in value.items()
        }
        return {name: inner_value for name, inner_value in inner.items() if inner_value is not _DROPPED}
    if isinstance(value, list):
        kept = [_drop_unusable(element, f"{key}.{index}", unusable) for index, element in enumerate(value)]
        return [element for element in kept if element is not _DROPPED]
    if isinstance(value, str) and "\0" in value:
        unusable[key] = f"{_printable(key)} must not hold a NUL character, as {_shown(value)} does"
        return _DROPPED
    if isinstance(value, float) and not math.isfinite(value):
        unusable[key] = f"{_printable(key)} must be a finite number, not {value}"
        return _DROPPED
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        unusable[key] = f"{_printable(key)} must fit in 64 bits"
        return _DROPPED
    return value


_DROPPED = object()


def _keys(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model of an annotation, directly or as an optional; None for plain values and open tables."""
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType):
        return next((model for option in get_args(annotation) if (model := _model_in(option)) is not None), None)
    return None


def _model_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """Return the model of the table at a path. All keys of an open table share one model."""
    if not path:
        return model
    annotation = _keys(model).get(path[0])
    if get_origin(annotation) is Mapping:
        inner, rest = _model_in(get_args(annotation)[1]), path[2:] if len(path) > 1 else None
        return _model_at(inner, rest) if inner is not None and rest is not None else None
    inner = _model_in(annotation)
    return _model_at(inner, path[1:]) if inner is not None else None


def toml_value(value: Any) -> str:
    """Write a value as TOML on one line, for a recipe file or ``--set KEY=VALUE``."""
    return _toml_item(value).as_string()


def _toml_item(value: Any) -> Item:
    import tomlkit  # what writes nothing does without it

    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update({key: _toml_item(inner) for key, inner in value.items()})
        return table
    if isinstance(value, Sequence) and not isinstance(value, str):
        array = tomlkit.array()
        array.extend(_toml_item(inner) for inner in value)
        return array
    scalar: Item = tomlkit.item(value)
    return scalar


DEPTH_MAX: Final = 32
"""Recipes, devices and sweeps nest five tables at most."""
_PART: Final = r"""(?:[\w-]{1,200}+|"(?:[^"\\\n]|\\.){0,200}+"|'[^'\n]{0,200}+')"""
_SPACE: Final = r"[ \t]{0,99}"
_DEEP_KEY: Final = re.compile(rf"(?:^|[\[{{,]){_SPACE}{_PART}(?:{_SPACE}\.{_SPACE}{_PART}){{{DEPTH_MAX}}}", re.MULTILINE)


def parsed(text: str) -> dict[str, Any]:
    """Return the table that a text holds.

    Raises ValueError: the text breaks TOML's grammar (``tomllib.TOMLDecodeError``), holds an integer with too many digits, or
    is nested more than 32 deep.
    """
    if (deep := _DEEP_KEY.search(text)) is not None:
        raise ValueError(f"it is nested too deeply (at line {text.count(chr(10), 0, deep.end()) + 1}, column 1)")
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    level: list[Any] = [table]
    for _ in range(DEPTH_MAX):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, (dict, list))
        ]
    if level:
        raise ValueError("it is nested too deeply")
    return table
