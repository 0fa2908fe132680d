"""The files in every page: colours and typefaces in light and dark, layout, and behaviour of buttons."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

TEMPLATES = Path(__file__).with_name("templates")


def tokens() -> str:
    """Return the CSS custom properties on ``:root``, which are the colours of every page."""
    return asset_text("tokens.css")


def asset_text(name: str) -> str:
    """Return the text of one file."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def digest_source(text: str) -> str:
    """Return the entry of a script or a style in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
