"""What one training reached, as the JSON beside this file: what it answered wrong is kept, so that rows are paired by image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.verdict import Interval

FOLDER = Path(__file__).parent / "results"
DIGITS = 16
"""Of an image's sha256, by which it is known from run to run."""


class RunResult(Value):
    """One training, judged on its test images."""

    schema_: Literal["edgecnn.benchmark-accuracy/2"] = Field(default="edgecnn.benchmark-accuracy/2", alias="schema")
    study: str
    seed: int
    division: int | None
    network: str
    images: Mapping[str, int]
    """By role."""
    resolution_px: int
    epochs: int
    weights: str
    transfer: str
    """What was learned anew: of auto, with its sentence."""
    pixels: str | None
    """Content digest of the test pixels; None if another tool made its own from the same images."""
    top1: Interval
    wrong: tuple[str, ...]
    """The images that were answered wrong, by the beginning of their sha256, sorted, copies each for itself."""
    train_key: str | None
    """Key of the trained network in the store; None if another tool trained it."""
    cpu_s: float | None = None
    """Processor seconds from reading the images to the fp32 kit; None if the store had the trained network."""
    measured_at: str
    machine: str
    versions: Mapping[str, str]

    @property
    def accuracy(self) -> float:
        """Share of the reported images that were answered right, 0…1."""
        return 1 - len(self.wrong) / self.images["test"]


def write(result: Value, path: Path) -> None:
    """As indented JSON, in one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(result.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")
    beside.replace(path)


def read_all(folder: Path) -> list[RunResult]:
    """Every finished training."""
    return [RunResult.model_validate_json(file.read_bytes()) for file in sorted(folder.glob("*.json"))]
