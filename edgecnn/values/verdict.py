"""Bounds, intervals and the four words of judgement."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from edgecnn.values.base import Value


class Verdict(StrEnum):
    """PASS and FAIL need the whole interval; UNSURE straddles the bound; MISSING was not measured."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNSURE = "UNSURE"
    MISSING = "MISSING"


class Fidelity(StrEnum):
    """Where a figure comes from."""

    MEASURED = "measured"
    PREDICTED = "predicted"
    EMULATED = "emulated"
    DEFINED = "by-definition"
    """A kit compared with itself: the figure is known without a measurement."""
    MISSING = "missing"


class Interval(Value):
    """An estimate with its bounds; ``confidence`` is that of the two-sided interval, 0…1, and 0 of an estimate without one."""

    estimate: float
    low: float
    high: float
    confidence: float

    @property
    def alone(self) -> Interval:
        """The estimate, where no interval of it is known."""
        return self.model_copy(update={"low": self.estimate, "high": self.estimate, "confidence": 0.0})

    @property
    def inverse(self) -> Interval:
        """Of a ratio, that of the other over this one: exact, since a ratio's interval is taken on logarithms."""
        return self.model_copy(update={"estimate": 1 / self.estimate, "low": 1 / self.high, "high": 1 / self.low})


CHANCE: Final = "chance"
"""States the bound that a network has to beat to be shown to have learned."""


Estimate = Annotated[Interval, AfterValidator(lambda interval: interval.alone)]
"""Of one candidate or setting that was selected among several: no level holds of it, and one of an older report is dropped."""


class Gate(Value):
    """A bound on one metric. ``side`` says whether the bound is the largest or the smallest allowed."""

    metric: str
    side: Literal["max", "min"]
    bound: float
    required: Literal["always", "when-measured", "advisory"]
    """``advisory``: FAIL counts, UNSURE and MISSING do not. ``when-measured``: MISSING does not count."""
    stated_by: Literal["default", "recipe", "command line", "chance"] = "default"


class GateResult(Value):
    """A gate, held against what is known about one candidate."""

    gate: Gate
    candidate: str
    verdict: Verdict
    figure: Interval | None
    fidelity: Fidelity
    reason: str
    """One sentence with the figures."""
    images_to_settle: int | None = None
    """For an UNSURE accuracy gate: about how many new test images, judged alone, would settle it in 80 % of cases. To judge them
    together with those already judged is a second look."""
    rounds_to_settle: int | None = None
    """For an UNSURE gate on what a race measured: about how many rounds would settle it; None where too many would."""
    largest_of: int | None = None
    """The figure is the largest of so many runs: no error rate is known, and of n + 1 independent runs whose values are all
    different, the last is the largest with a chance of 1 / (n + 1)."""
    kit_failed: bool = Field(default=False, exclude_if=lambda failed: not failed)
    """The candidate's kit failed: a MISSING figure of it counts, whatever the gate requires."""
