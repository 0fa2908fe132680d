"""Where a user's own device files lie, so that a target may name them as it names shipped ones."""

from __future__ import annotations

import os
import re
from pathlib import Path

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""As ``Device.name`` has it."""


def own_folder() -> Path:
    """``edgecnn/devices`` in $XDG_CONFIG_HOME, else in ~/.config; a relative one is ignored, as XDG demands."""
    told = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = told if told.is_absolute() else Path(os.path.expanduser("~/.config"))  # noqa: PTH111 - raises where nobody has a home
    return base / "edgecnn" / "devices"


def own_file(name: str) -> Path | None:
    """The user's file of this name; None where there is none."""
    path = own_folder() / f"{name}.toml"
    return path if NAME.fullmatch(name) and path.is_file() else None


def own_names() -> tuple[str, ...]:
    """Names of the user's files, in alphabetical order; what is in one is looked at when it is asked for."""
    return tuple(sorted(path.stem for path in own_folder().glob("*.toml") if NAME.fullmatch(path.stem)))
