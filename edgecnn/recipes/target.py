"""A target: ``DEVICE[:RUNTIME]``, where DEVICE is a name or the path of a device file."""

from __future__ import annotations

import os


def split_target(text: str) -> tuple[str, str | None]:
    """Return the device's name or path, and the runtime or None.

    A folder's name may hold a colon, so a text that ends like a device file is a path as a whole.
    """
    name, colon, runtime = text.rpartition(":")
    return (name, runtime) if colon and not is_path(runtime) else (text, None)


def is_path(name: str) -> bool:
    """Whether a device is named by its file's path."""
    return name.endswith(".toml") or "/" in name or os.sep in name
