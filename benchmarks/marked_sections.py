"""A page whose tables are made from results: between ``<!-- NAME -->`` and ``<!-- end NAME -->`` stands what was made."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path


def renew(page: Path, sections: Mapping[str, str]) -> None:
    """Put each section between its marks.

    Raises:
        SystemExit: the page lacks one of the marks; it stays as it is.
    """
    text = page.read_text(encoding="utf-8")
    for name, section in sections.items():
        text = put(text, name, section)
    page.write_text(text, encoding="utf-8")


def put(text: str, name: str, section: str) -> str:
    """A page with one section renewed.

    Raises:
        SystemExit: the page has no such mark.
    """
    start, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        sys.exit(f"the page has no place for {name}")
    return pattern.sub(lambda _: f"{start}\n{section}\n{end}", text)
