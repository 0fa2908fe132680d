"""What the side questions come to: an ensemble, ten crops, a search for a scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

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
    difference_pp: Interval | None
    """Of the ensemble over its best member on the same images, in percentage points; paired."""
    best: str | None
    """That member."""
    command: str
    """Builds the file, with its preprocessing stated."""


class TenCrop(Value):
    """Schema edgecnn.ten-crop/1. Of the float network, on the images of the role ``report``; no kit answers so."""

    schema_: Literal["edgecnn.ten-crop/1"] = Field(default="edgecnn.ten-crop/1", alias="schema")
    build: str
    network: str
    images: PositiveInt
    single_top1: Interval
    """0…1, of the centre crop: what kits are shown."""
    ten_top1: Interval
    """0…1, of the mean of the probabilities of four corners, the centre, and their mirror images."""
    difference_pp: Interval
    """Of ten views over one on the same images, in percentage points; paired."""
    gained: NonNegativeInt
    """Images that only ten views get right."""
    lost: NonNegativeInt
    """Images that only the centre gets right."""
    macs: NonNegativeInt
    """Multiply-adds for one image as kits are shown it."""
    ten_macs: NonNegativeInt
    without_room: NonNegativeInt
    """Images that are no larger than the crop once they are resized: there the ten views are two."""


BudgetName = Literal["macs", "params", "memory"]


class ScalePoint(Value):
    """One scaled network and what it costs: counted, not measured."""

    depth: float
    width: float
    resolution: PositiveInt
    """Pixels."""
    parameters: NonNegativeInt
    macs: NonNegativeInt
    memory_bytes: NonNegativeInt
    """Weights and the most that activations take at once, in float32, one image."""
    imbalance: NonNegativeFloat
    """How far depth, width and resolution lie apart on the compound rule, in steps of φ; 0 on the rule itself."""
    inside: bool
    """Of all budgets."""

    @property
    def scale(self) -> str:
        """As ``--scale`` takes it."""
        return f"depth={self.depth:g},width={self.width:g},resolution={self.resolution}"


class ScaleSearch(Value):
    """Schema edgecnn.scale-search/1."""

    schema_: Literal["edgecnn.scale-search/1"] = Field(default="edgecnn.scale-search/1", alias="schema")
    arch: str
    budgets: Mapping[BudgetName, int]
    """Multiply-adds, parameters and bytes, each at most."""
    from_target: str | None = None
    """The device whose memory is one of the budgets."""
    on_rule: ScalePoint | None
    """The largest network on the compound rule that is inside; its multipliers are the rule's, rounded."""
    on_rule_phi: float | None
    best: ScalePoint
    frontier: tuple[ScalePoint, ...]
    """Networks inside all budgets that no other is at least as deep, wide and fine as, the best first."""
    others: tuple[ScalePoint, ...]
    """What else was looked at."""
    rule: str
    """What best means, in a sentence."""
