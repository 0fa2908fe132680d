"""What a bundle says of photographs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value


class LabelShare(Value):
    """One label and its softmax probability, 0…1."""

    label: str
    probability: float


class Predicted(Value):
    """One photograph; the most probable label first."""

    file: str
    labels: tuple[LabelShare, ...]


class Unreadable(Value):
    """A file that is no picture, or a damaged one."""

    file: str
    because: str


class Predictions(Value):
    """``edgecnn predict BUNDLE PHOTOS --json``, schema edgecnn.predictions/1."""

    schema_: Literal["edgecnn.predictions/1"] = Field(default="edgecnn.predictions/1", alias="schema")
    bundle: str
    name: str
    version: int
    candidate: str
    """Whose kit answered."""
    kit: str
    """sha256 of its manifest."""
    knobs: dict[str, str]
    predictions: tuple[Predicted, ...]
    unreadable: tuple[Unreadable, ...]
