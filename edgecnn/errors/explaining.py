"""Failures of explaining a finished build."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class UnknownCandidate(EdgecnnError):
    """Raised when a candidate is asked about that a build neither made nor refused."""

    ref = "unknown-candidate"

    def __init__(self, *, folder: Path, candidate: str, known: Sequence[str]) -> None:
        near = get_close_matches(candidate, known, n=1)
        super().__init__(
            what=f"{folder} says nothing of a candidate {candidate!r}",
            because=f"it speaks of {', '.join(known)}",
            hint=f"did you mean {near[0]}?" if near else "name one of these",
        )
