"""The shipped folders: inside the wheel, or at the root of a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: Literal["devices", "pipelines", "baselines"]) -> Path:
    """Return a folder of shipped TOML and JSON files.

    An editable install has no package data, because hatchling's ``force-include`` applies to wheels only. Then the folder is at
    the root of the checkout.
    """
    packaged = _PACKAGE / "_resources" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
