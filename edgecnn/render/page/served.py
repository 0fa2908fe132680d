"""The page of a served bundle: one file that loads nothing, in the colours of the report.

Untrusted names, such as those of a bundle or a kit, are escaped. Names of models and files reach the page as JSON, and its script
inserts them as text. The policy allows only this script and style.
"""

from __future__ import annotations

import html
from string import Template

from edgecnn.bundle.answering import Limits
from edgecnn.bundle.predictions import Served
from edgecnn.bundle.serving import Page
from edgecnn.render.page.style import asset_text, digest_source, tokens
from edgecnn.runner.causes import LEFT_BEHIND


def served_page(served: Served, limits: Limits) -> Page:
    """Return the page of a bundle, and its content security policy."""
    style, script = tokens() + asset_text("served.css"), asset_text("served.js")
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
    text = Template(asset_text("served.html")).substitute(escaped, style=style, script=script)
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
