"""An ensemble beside its members: what each costs, and what putting them together gains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.verdict import Interval


class EnsembleRow(Value):
    """One network, in float32."""

    name: str
    folder: str | None
    """Of the member's build; None of the ensemble."""
    parameters: NonNegativeInt
    """Numbers in the weights of the ONNX file, in which norms may be folded."""
    macs: NonNegativeInt
    """Multiply-adds for one image."""
    size_bytes: PositiveInt
    """Of the ONNX file."""
    accuracy_top1: Interval | None
    """0…1, on the images of the role ``choose``; None where the builds do not share these, or they have no labels."""


class Ensemble(Value):
    """Schema edgecnn.ensemble/1."""

    schema_: Literal["edgecnn.ensemble/1"] = Field(default="edgecnn.ensemble/1", alias="schema")
    file: str
    images: NonNegativeInt
    """That were answered; 0 where no accuracy is known."""
    whole: EnsembleRow
    """``parameters`` and ``macs`` are the members' sums."""
    members: tuple[EnsembleRow, ...]
    gain_pp: Interval | None
    """Of the ensemble over its best member on the same images, in percentage points; paired."""
    best: str | None
    """That member."""
    command: str
    """Builds the file, with its preprocessing stated."""
