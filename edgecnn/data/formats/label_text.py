"""The text of a list's cell, and the label that it means. Every format of a list uses these rules, so that exporting a table in
another format changes no class.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from pathlib import Path
from typing import Final

from edgecnn.errors.data import table_unusable
from edgecnn.errors.wording import shortened

_CHARACTERS_MAX: Final = 1000
_CONTROL: Final = ("Cc", "Zl", "Zp")
"""Unicode's general categories of control characters and of line and paragraph separators (UAX #44), which no name may contain.
"""
SURROGATE: Final = "Cs"
"""Half a character (a surrogate), which JSON can contain and UTF-8 cannot."""
_WHOLE: Final = re.compile(r"(-?[0-9]+)\.0+")
"""A whole number as a column of floats writes it."""
_PYTHON_CONTAINER: Final = re.compile(r"\[\s*'.*'\s*\]|\(\s*'.*'\s*,?\s*\)|\{\s*'.*\}", re.DOTALL)
"""A list, a tuple, a set or a dict of texts, as Python prints it."""
_TRUTH: Final = ("true", "false")


def cell_text(value: object) -> str:
    """Return a value of JSON or Parquet as text. A missing value, which is null or NaN, is empty text.

    Raises UnicodeDecodeError: bytes that are not UTF-8.
    """
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=cell_text)
    return plain_text(str(value))


def plain_text(text: str) -> str:
    """Return one spelling for a truth value and for a whole number: ``True`` becomes ``true``, and ``1.0`` becomes ``1``."""
    if text.casefold() in _TRUTH:
        return text.casefold()
    whole = _WHOLE.fullmatch(text)
    return text if whole is None else whole[1] if whole[1] != "-0" else "0"


def label_name(file: Path, line: int | None, text: str) -> str:
    """Return a label in the spelling of ``plain_text``, without surrounding blanks, in Unicode's composed form (NFC).

    Raises TABLE_UNUSABLE: it is invalid, or a list or an object instead of a text.
    """
    name = plain_text(unicodedata.normalize("NFC", text.strip()))
    if len(name) > _CHARACTERS_MAX:
        because = f"the label {shortened(name)!r} is longer than {_CHARACTERS_MAX:,} characters"
        raise table_unusable(file=file, line=line, because=because)
    categories = set(map(unicodedata.category, name))
    if SURROGATE in categories:
        raise table_unusable(file=file, line=line, because=f"the label {ascii(name[:100])} contains half of a character")
    if not categories.isdisjoint(_CONTROL):
        raise table_unusable(file=file, line=line, because=f"the label {ascii(name[:100])} contains a control character")
    if (kind := container_in(name)) is not None:
        hint = "write each label as a plain text; to give an image several labels, name the column labels"
        raise table_unusable(file=file, line=line, because=f"the label {shortened(name)!r} is {kind}", hint=hint)
    return name


def container_in(text: str) -> str | None:
    """Return whether a text is a list or an object, as JSON and Python write them; None if it is a name or a path."""
    if _PYTHON_CONTAINER.fullmatch(text) is not None:
        return "an object" if text.startswith("{") else "a list"
    try:
        value = json.loads(text) if text.startswith(("[", "{")) else None
    except (ValueError, RecursionError):
        return None
    return None if value is None else "an object" if isinstance(value, dict) else "a list"
