"""Text that others wrote (class names, paths, candidates) as it may reach a terminal: one line, and no control signs."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """Signs that would steer a terminal, break a line or turn the direction of writing, as their escapes; others as they are."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or unicodedata.category(sign) == "Zs" else ascii(sign)[1:-1] for sign in text)
