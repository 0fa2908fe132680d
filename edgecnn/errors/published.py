"""Failures of published data sets, named as ``torchvision:NAME``."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode


class UnknownPublishedData(EdgecnnError):
    """Raised when a name behind ``torchvision:`` is no data set of one class an image."""

    ref = "unknown-published-data"

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        folded = {each.casefold(): each for each in known}
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        super().__init__(
            what=f"torchvision:{ascii(name)[1:-1][:100]} is no data set that is known here",
            because=f"known are {', '.join(known)}",
            hint=f"did you mean torchvision:{folded[near[0]]}?" if near else "name a folder with a sub-folder a class",
        )


class PublishedDataUnavailable(EdgecnnError):
    """Raised when a published data set is neither here nor to be had."""

    ref = "published-data-unavailable"
    exit_code = ExitCode.MISSING

    def __init__(self, *, name: str, copies: Path, because: str) -> None:
        super().__init__(
            what=f"torchvision:{name} is not in {copies} and could not be downloaded",
            because=because,
            hint="put torchvision's own copy there, or say with EDGECNN_TORCHVISION where it is",
        )


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
