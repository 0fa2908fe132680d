"""A step is a value, and its key is a digest of its kind, settings and inputs. It knows no device and no recipe."""

from __future__ import annotations

import hashlib
import json
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, NewType, Protocol, runtime_checkable

from edgecnn.errors.store import unstable_value
from edgecnn.values.base import Value

Role = str


class Progress(Protocol):
    """Receives a stage's progress. The renderer decides what a person sees."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Report that ``done`` of ``total`` units of ``what`` are finished."""

    def note(self, text: str) -> None:
        """Report one sentence for the record of this run."""


@runtime_checkable
class Plotting(Protocol):
    """An optional addition to ``Progress``: shows or draws the figures of each epoch. Training does not depend on it."""

    def begin(self, step_id: str) -> None:
        """The following figures belong to this step of a build."""

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Show the figures of an epoch; after a resumption, those of earlier epochs come again."""


@runtime_checkable
class Pacing(Protocol):
    """An optional addition to ``Progress``: shows how far a whole build is."""

    def part(self, name: str, number: int, parts: int, seconds_left: float, *, complete: bool) -> None:
        """Part ``number`` of ``parts``, from 1, begins. Without ``complete``, some of the remaining time is unknown."""


Key = NewType("Key", str)
"""64 hexadecimal digits of SHA-256."""


class Stage(Value):
    """One kind of step. Every field except ``inputs`` is a setting and part of the key.

    ``revision`` is raised by hand when the code makes other bytes from the same settings; ``tests/revisions.lock`` detects a
    missing increase.
    """

    kind: ClassVar[str]
    revision: ClassVar[int]
    resumable: ClassVar[bool] = False
    """Whether ``make`` resumes from what an interrupted call left in ``out``; otherwise ``out`` starts empty."""

    inputs: Mapping[Role, Key] = {}

    @property
    def tools(self) -> tuple[str, ...]:
        """Distributions whose versions influence the bytes of this stage."""
        return ()

    @abstractmethod
    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the artifact's files into the folder ``out``; ``input_paths`` maps each input's role to its folder."""

    def payload(self, versions: Mapping[str, str]) -> dict[str, Any]:
        """Everything that decides the bytes: the content of the key and of the record."""
        return {
            "kind": self.kind,
            "revision": self.revision,
            "settings": self.model_dump(mode="json", exclude={"inputs"}),
            "inputs": dict(self.inputs),
            "tools": {name: versions[name] for name in sorted(self.tools)},
        }

    def key(self, versions: Mapping[str, str]) -> Key:
        """The identity of this stage's artifact with these tool versions."""
        return digest_of(self.payload(versions))


def canonical_json(value: Any) -> str:
    """Return JSON with sorted names and no spaces.

    Two processes on two machines must compute the same key from the same request. A lenient fallback (``repr``, pickle) would
    silently break that, so there is none.

    Raises UnstableValue: for anything but None, bool, int, finite float, str, enums of str, mappings with str names, sequences.
    """
    return json.dumps(_stable(value, "value"), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(value: Any) -> Key:
    """Return the SHA-256 of the canonical JSON of a value."""
    return Key(hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest())


def _stable(value: Any, where: str) -> Any:
    if isinstance(value, Enum):
        return _stable(value.value, where)
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _stable(inner, f"{where}.{name}") for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_stable(inner, f"{where}[{index}]") for index, inner in enumerate(value)]
    raise unstable_value(where=where, value=value)
