"""A value as TOML writes it: for recipe files, and for the right side of ``--set KEY=VALUE``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def toml_value(value: Any) -> str:
    """A value of a recipe as TOML writes it: texts, numbers, true and false, and tables and lists of them on one line."""
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_text(str(key))} = {toml_value(inner)}" for key, inner in value.items()) + " }" if value else "{}"
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(toml_value(inner) for inner in value)}]"
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


def _text(text: str) -> str:
    """JSON's escapes are TOML's too; but TOML wants DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
