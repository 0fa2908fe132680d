"""What a kind of file from elsewhere is to the tests that change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.mutations import Mutation


class Kind(NamedTuple):
    """One kind of file."""

    file: str
    """Its name, below a folder of its own."""
    seeds: Callable[[Path], Sequence[bytes]]
    """Right files, made in an empty folder."""
    mutated: Mutation
    read: Callable[[Path], object]
    """Returns, or raises what may be raised of a bad file. Raises ``Accepted`` where a changed file was taken for right."""
