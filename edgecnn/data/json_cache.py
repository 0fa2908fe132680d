"""Small JSON files of the cache: whole or absent, so that an interrupted or concurrent run never leaves half of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgecnn.store.failures import named_failures
from edgecnn.store.whole_file import write_text_atomically


def write_text(path: Path, text: str) -> None:
    """Write a whole file by one rename.

    Raises:
        StoreFull: no space.
        StoreUnusable: no permission.
    """
    with named_failures(path.parent, "listing the images"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, text)


def write_json(path: Path, value: Any) -> None:
    """``write_text`` of a value as JSON."""
    write_text(path, json.dumps(value, separators=(",", ":")))


def read_json(path: Path) -> Any:
    """What a file of the cache holds, or None where it is absent or damaged: it is then made anew."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
