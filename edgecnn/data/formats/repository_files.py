"""JSON files next to a model in a Hugging Face repository: their location, and the class names in one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgecnn.store.disk import json_object

CONFIG: Final = "config.json"


def repository_file(model: Path, name: str) -> Path | None:
    """Return the file with this name next to a model, or above a folder ``onnx`` that contains the model; None if there is none.

    For a link, as in the cache of Hugging Face, look next to the link first, then next to its target.
    """
    folders = (model.parent, Path(os.path.realpath(model)).parent)
    places = [place for folder in folders for place in ((folder, folder.parent) if folder.name == "onnx" else (folder,))]
    return next((place / name for place in places if (place / name).is_file()), None)


def names_in_config(file: Path) -> tuple[str, ...] | None:
    """Return the names of at least two classes in a ``config.json``, in output order; None if there are none.

    ``id2label`` of transformers, unless its names are numbers (``LABEL_0``); ``label_names`` of timm.
    """
    config = json_object(file) or {}
    stated = _names_by_index(config.get("id2label")) or config.get("label_names")
    if not isinstance(stated, list) or len(stated) < 2 or not all(isinstance(name, str) and name.strip() for name in stated):
        return None
    names = tuple(str(name) for name in stated)
    are_numbers = all(name == f"LABEL_{place}" for place, name in enumerate(names))
    return None if are_numbers or len(set(names)) < len(names) or not all(map(str.isprintable, names)) else names


def _names_by_index(table: Mapping[str, Any] | object) -> list[Any] | None:
    """Return the names of 0, 1, 2, …; None if one is missing."""
    if not isinstance(table, Mapping):
        return None
    return [table.get(str(place)) for place in range(len(table))]
