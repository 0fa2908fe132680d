"""Parse TOML with a limit on nesting. Python's parser takes time and memory with the square of a dotted key's length: 7.7 GB
for a file of 1 MiB."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

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
