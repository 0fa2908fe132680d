"""Failures of asking a bundle about photographs."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class NoPhotos(EdgecnnError):
    """Raised when a folder that is named holds no file."""

    ref = "no-photos"

    def __init__(self, *, folder: Path) -> None:
        super().__init__(what=f"{folder}: holds no photographs", hint="name files, or a folder of them")


class NoPhotoReadable(EdgecnnError):
    """Raised when not one of the files is a picture."""

    ref = "no-photo-readable"

    def __init__(self, *, count: int, file: str, because: str) -> None:
        none = "it cannot be read as a picture" if count == 1 else f"none of {count:,} files can be read as a picture"
        super().__init__(what=none, because=f"{file}: {because}")


class TwoFormsAsked(EdgecnnError):
    """Raised when the answers are asked for in two forms at once."""

    ref = "two-forms-asked"

    def __init__(self) -> None:
        super().__init__(what="--csv and --json are two forms of one answer", hint="ask for one of them")
