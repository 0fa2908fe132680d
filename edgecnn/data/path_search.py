"""A separate program that searches every path of a list for a regular expression. It reads JSON on stdin and writes JSON to
stdout.

Python's ``re`` can backtrack for years over one short path, as ``(a+)+b`` does, and cannot be interrupted inside its process.
Nothing of edgecnn is imported, so the program starts in a few milliseconds.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence


def matches_in(pattern: str, paths: Sequence[str]) -> list[str | None]:
    """Return for each path the first group in parentheses, or the whole match of a pattern without groups; None if empty."""
    compiled = re.compile(pattern)
    group = min(1, compiled.groups)
    return [(match[group] or None) if match else None for match in map(compiled.search, paths)]


def main() -> None:
    """Answer ``{"pattern": …, "paths": […]}``."""
    query = json.load(sys.stdin)
    try:
        answer: dict[str, object] = {"found": matches_in(query["pattern"], query["paths"])}
    except (re.error, ValueError, OverflowError, RecursionError, MemoryError) as error:
        answer = {"problem": str(error) or type(error).__name__}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
