"""Which images belong together: what ``data.group_by`` finds in a list's column, or in each path."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.data import path_search
from edgecnn.errors.data.groups import GroupPatternInvalid, GroupPatternTooSlow, NoGroupFound

LIMIT_S = 20.0
"""100,000 paths take about 0.1 s."""


def groups_by_path(by: str, source: Path, paths: Sequence[str], column: Mapping[str, str] | None) -> Mapping[str, str]:
    """Path to group, of those paths that have one.

    Args:
        by: a regular expression, or what ``column`` is called.
        source: what is named in errors.
        paths: of all files, as seen from the data folder.
        column: each path's cell; None where the data has no such column.

    Raises:
        GroupPatternInvalid, GroupPatternTooSlow: of a regular expression.
        NoGroupFound: no path has a group.
    """
    found = column.items() if column is not None else zip(paths, _searched(by, paths), strict=True)
    groups = {path: group for path, group in found if group}
    if not groups and paths:
        raise NoGroupFound(by=by, source=source, example=paths[0], column=column is not None)
    return groups


def _searched(pattern: str, paths: Sequence[str]) -> list[str | None]:
    program = [sys.executable, "-I", "-S", path_search.__file__]
    asked = json.dumps({"pattern": pattern, "paths": paths})
    try:
        done = subprocess.run(program, input=asked, capture_output=True, encoding="utf-8", check=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise GroupPatternTooSlow(pattern=pattern, paths=len(paths), limit_s=LIMIT_S) from error
    answer = json.loads(done.stdout)
    if "problem" in answer:
        raise GroupPatternInvalid(pattern=pattern, because=answer["problem"])
    found: list[str | None] = answer["found"]
    return found
