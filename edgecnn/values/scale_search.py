"""The largest network of a family inside budgets, and the frontier around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from edgecnn.values.base import Value

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
