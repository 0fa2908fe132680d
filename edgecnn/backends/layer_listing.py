"""``layers.json`` of a traced session: what each runtime that lists its own layers leaves, each entry in its own words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.errors.measuring import TraceUnreadable


def listed_layers(path: Path) -> Sequence[Mapping[str, Any]]:
    """The layers that a traced session wrote down, one object each.

    Raises:
        TraceUnreadable: the file is missing, is no JSON, or holds no layer.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TraceUnreadable(path=path, why=str(error)) from error
    if not entries:
        raise TraceUnreadable(path=path, why="it holds no layer")
    return entries
