"""The colours and typefaces that every page of edgecnn shares, in light and dark."""

from __future__ import annotations

from pathlib import Path


def tokens() -> str:
    """CSS custom properties on ``:root``, and nothing else."""
    return Path(__file__).with_name("tokens.css").read_text(encoding="utf-8")
