"""Check the names of a bundle's files: valid, and distinct on every disk."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edgecnn.errors.bundle import bundle_entry_refused

_NAME_BYTES_MAX: Final = 1024
_PART_BYTES_MAX: Final = 255


def name_fault(name: str) -> str:
    """Return why a name is not allowed in a bundle, or an empty text."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        return "would leave the bundle's folder"
    if not name.isprintable():
        return "has unprintable characters in its name"
    if len(os.fsencode(name)) > _NAME_BYTES_MAX or any(len(os.fsencode(part)) > _PART_BYTES_MAX for part in parts):
        return "has a name that is too long"
    return ""


def require_distinct(path: Path, names: Iterable[str]) -> None:
    """Raise BundleEntryRefused if two names differ only by case or Unicode form, which makes them one file on some disks.

    ``path``: of the bundle. ``names``: of its files; their folders count too.
    """
    spelt = dict[str, tuple[str, str]]()
    for name in names:
        for end in (*(index for index, sign in enumerate(name) if sign == "/"), len(name)):
            folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name[:end]).casefold())
            part, other = spelt.setdefault(folded, (name[:end], name))
            if part != name[:end]:
                raise bundle_entry_refused(
                    path=path, entry=name, because=f"differs from {ascii(other)[:200]} only by case or Unicode form"
                )
