"""Failures of data in IDX files, the form that MNIST is published in."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class IdxUnusable(EdgecnnError):
    """Raised when an IDX file is none, is damaged, or says what its neighbour contradicts."""

    ref = "idx-unusable"

    def __init__(self, *, file: Path, because: str) -> None:
        super().__init__(
            what=f"{file}: cannot be used as an IDX file",
            because=because,
            hint="as MNIST has it: images are bytes of 3 dimensions (count, rows, columns), labels bytes of one (count)",
        )


class IdxIncomplete(EdgecnnError):
    """Raised when a folder has some of the IDX files, and one that belongs to them is not there."""

    ref = "idx-incomplete"

    def __init__(self, *, found: Path, missing: str) -> None:
        super().__init__(
            what=f"{found.parent}: has {found.name} but no {missing}",
            hint=f"put {missing} beside it, as it is or as {missing}.gz",
        )


class ClassNamesUnusable(EdgecnnError):
    """Raised when the file that names the labels of IDX files does not."""

    ref = "class-names-unusable"

    def __init__(self, *, file: Path, because: str) -> None:
        super().__init__(
            what=f"{file}: cannot be used as the names of the classes",
            because=because,
            hint="its first line should name label 0, its second label 1, and so on; without the file, labels are names",
        )
