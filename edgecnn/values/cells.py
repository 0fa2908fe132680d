"""Cells of CSV files that spreadsheets do not calculate."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_OPENS_A_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_GUARD = "'"


def guarded_cell(text: str) -> str:
    """Return the text with an apostrophe before it if a spreadsheet would calculate it. Numbers stay unchanged."""
    return f"{_GUARD}{text}" if _may_be_formula(text.lstrip(_GUARD)) else text


def plain_cell(text: str) -> str:
    """Return the text of a cell that ``guarded_cell`` wrote."""
    return text[1:] if text.startswith(_GUARD) and _may_be_formula(text.lstrip(_GUARD)) else text


def _may_be_formula(text: str) -> bool:
    """Return whether a spreadsheet may calculate the text. It skips blanks and invisible characters before a formula."""
    if _NUMBER.fullmatch(text):
        return False
    first = next((sign for sign in text if sign.isprintable() and not sign.isspace()), "")
    return first in _OPENS_A_FORMULA or text.startswith(("\t", "\r", "\n"))
