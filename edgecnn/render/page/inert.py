"""Text that stays text: whatever a class, a path or a command is called, it can end no script and begin none."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from markupsafe import Markup

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def inert_json(value: Any) -> Markup:
    """JSON for inside a script element, in ASCII: no ``<``, ``>`` or ``&``, and U+2028 and U+2029 as escapes.

    Raises:
        ValueError: a NaN or an infinity, which no JSON has.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704 - the three characters that mean anything to HTML were just taken out


def inert_script(text: str) -> Markup:
    """A trusted program for inside a script element.

    Raises:
        ValueError: it holds what would end the element early, or a character that a browser would exchange, so that its digest
            in the page's policy would not hold.
    """
    lowered = text.lower()
    if "</script" in lowered or "<!--" in lowered or "\r" in text or "\0" in text:
        raise ValueError("this program cannot stand inside a script element")
    return Markup(text)  # noqa: S704 - our own file, and Vega's, checked above


def script_source(text: str) -> str:
    """The script's entry in a Content-Security-Policy: only a program with this digest runs."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
