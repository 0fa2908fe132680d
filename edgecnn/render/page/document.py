"""The report page: one HTML file that loads nothing and works from a disk, on paper and on a phone.

The policy in the head of the page allows two scripts by their digests, and no loading. A name that is not escaped would not run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import jinja2
from markupsafe import Markup

import edgecnn
from edgecnn.render.page import words
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, MISSING, Figure
from edgecnn.render.page.style import TEMPLATES, asset_text, digest_source, tokens
from edgecnn.render.wording import visible_lines

_POLICY = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a page may load besides its scripts. Vega compiles the expressions of charts, so the scripts need ``unsafe-eval``. No
expression contains a name or a path."""
_BEFORE_UNIT = re.compile(r"(\d|\]) (%|ms|pp|px|MiB|×)")


def document(template: str, every: Sequence[Figure], **shown: Any) -> str:
    """Return a page from a template of this folder, with the head, style, scripts, charts and glossary that every page has.

    ``every``: the charts that the template shows. ``shown``: the other values that it shows.
    """
    library, behaviour = vega.library(), asset_text("page.js")
    scripts = f"{digest_source(library)} {digest_source(behaviour)} 'unsafe-eval'"
    page = (
        _environment()
        .get_template(template)
        .render(
            **{"version": edgecnn.__version__, "made_at": datetime.now(UTC).isoformat(timespec="seconds"), **shown},
            mark_of=MARK_BY_FIDELITY,
            missing=MISSING,
            policy=f"default-src 'none'; script-src {scripts}; {_POLICY}",
            style=Markup(tokens() + asset_text("page.css")),  # noqa: S704 - our own files
            library=inert_script(library),
            behaviour=inert_script(behaviour),
            charts=inert_json({figure.id: vega.compiled(figure.spec) for figure in every}),
        )
    )
    page, used = words.linked(page)
    return page.replace("</main>", _environment().get_template("words.html.j2").render(words=used) + "</main>", 1)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{share * 100:.1f} %"
    environment.filters["tied"] = tied
    return environment


def _shown(value: Any) -> Any:
    """The text of a value before escaping. Markup is from edgecnn and stays."""
    return visible_lines(value) if type(value) is str else value


def tied(text: str) -> str:
    """Keep each number and its unit on one line."""
    return _BEFORE_UNIT.sub("\\1\u00a0\\2", text)


_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def inert_json(value: Any) -> Markup:
    """Return JSON for a script element, in ASCII and without ``<``, ``>`` and ``&``.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704 - the three characters that mean anything to HTML were just taken out


def inert_script(text: str) -> Markup:
    """Return a trusted program for a script element.

    Raises:
        ValueError: the program would end the element early, or has a character that a browser replaces, so that the digest in
            the policy would be wrong.
    """
    lowered = text.lower()
    if "</script" in lowered or "<!--" in lowered or "\r" in text or "\0" in text:
        raise ValueError("this program cannot stand inside a script element")
    return Markup(text)  # noqa: S704 - our own file, and Vega's, checked above
