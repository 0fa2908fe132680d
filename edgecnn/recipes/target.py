"""How a target is written: ``DEVICE[:RUNTIME]``, where DEVICE is a name or the path of a device file."""

from __future__ import annotations

import os


def split_target(text: str) -> tuple[str, str | None]:
    """The device's name or path, and what is said of its runtime; None where nothing is.

    A folder's name may hold a colon, so that a text which ends as a device file does is a path as a whole.
    """
    name, colon, runtime = text.rpartition(":")
    return (name, runtime) if colon and not is_path(runtime) else (text, None)


def is_path(name: str) -> bool:
    """Whether a device is given by its file's path rather than by its name."""
    return name.endswith(".toml") or "/" in name or os.sep in name
