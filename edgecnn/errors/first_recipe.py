"""Failures of ``edgecnn init``."""

from __future__ import annotations

import shlex
from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class RecipeThere(EdgecnnError):
    """Raised when the file to write is there already: somebody may have changed it."""

    ref = "recipe-there"

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path} is there already", hint=f"edgecnn build {shlex.quote(str(path))} builds it; --out FILE writes another"
        )


class RecipeUnwritable(EdgecnnError):
    """Raised when the recipe cannot be written."""

    ref = "recipe-unwritable"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} cannot be written", because=because, hint="--out FILE names another place")
