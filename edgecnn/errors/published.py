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
