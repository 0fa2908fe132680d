"""The served page: one file that loads nothing, in the colours of the report.

Names that others chose, such as those of a bundle or a kit, are escaped. Names of models and files reach the page as JSON, and
its script inserts them as text. The policy allows only this script and style.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from edgecnn.bundle.predictions import Served
from edgecnn.render.page.style import digest_source, tokens
from edgecnn.runner.causes import LEFT_BEHIND
from edgecnn.serving.answering import Limits

_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """The page's bytes in UTF-8, and its content security policy."""

    bundle: str
    html: bytes
    policy: str


def page_of(served: Served, limits: Limits) -> Page:
    """Make the page of a bundle."""
    style, script = tokens() + _file("page.css"), _file("page.js")
    facts = {
        "name": served.name,
        "version": str(served.version),
        "candidate": served.candidate,
        "classes": f"{served.classes:,}",
        "body_bytes": str(limits.body_bytes),
        "left_behind": "|".join(sorted(LEFT_BEHIND)),
        "body_mib": f"{limits.body_bytes / 2**20:,.4g}",
    }
    escaped = {name: html.escape(fact) for name, fact in facts.items()}
    text = Template(_file("page.html")).substitute(escaped, style=style, script=script)
    parts = (
        "default-src 'none'",
        f"script-src {digest_source(script)}",
        f"style-src {digest_source(style)}",
        "img-src blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return Page(bundle=served.bundle, html=text.encode("utf-8"), policy="; ".join(parts))


def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
