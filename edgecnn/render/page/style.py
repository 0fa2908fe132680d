"""The files that every page carries: colours and typefaces in light and dark, how a page is laid out, and what its buttons do."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

TEMPLATES = Path(__file__).with_name("templates")


def tokens() -> str:
    """CSS custom properties on ``:root``, and nothing else: the colours that every page of edgecnn shares."""
    return asset_text("tokens.css")


def asset_text(name: str) -> str:
    """The text of one of the files."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def digest_source(text: str) -> str:
    """A script's or style's entry in a Content-Security-Policy: only text with this digest is taken."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
