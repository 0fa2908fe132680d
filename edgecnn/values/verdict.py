"""Bounds, intervals and the four words of judgement."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, Field

from edgecnn.values.base import Value


class Verdict(StrEnum):
    """PASS and FAIL need the whole interval on one side; for UNSURE the interval contains the bound; MISSING was not measured."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNSURE = "UNSURE"
    MISSING = "MISSING"


class Fidelity(StrEnum):
    """The origin of a figure."""

    MEASURED = "measured"
    PREDICTED = "predicted"
    EMULATED = "emulated"
    DEFINED = "by-definition"
    """A kit compared with itself: the figure is known without a measurement."""
    MISSING = "missing"


class Interval(Value):
    """An estimate with its bounds; ``confidence`` is two-sided, 0…1, and 0 for an estimate without an interval."""

    estimate: float
    low: float
    high: float
    confidence: float

    @property
    def alone(self) -> Interval:
        """Return the estimate without an interval."""
        return self.model_copy(update={"low": self.estimate, "high": self.estimate, "confidence": 0.0})

    @property
    def inverse(self) -> Interval:
        """Return the interval of the inverse ratio, which is exact, since intervals of ratios are computed on logarithms."""
        return self.model_copy(update={"estimate": 1 / self.estimate, "low": 1 / self.high, "high": 1 / self.low})


IMAGES_PER_S: Final = "images_per_s"
"""Another form of ``p50_ms``: ``min images_per_s = 20`` is ``max p50_ms = 50``, for single images one after another."""
CHANCE: Final = "chance"
"""Origin of the bound that a network has to beat to be shown to have learned."""


Estimate = Annotated[Interval, AfterValidator(lambda interval: interval.alone)]
"""Confidence of a candidate or setting that was selected among several, for which no level holds; older reports' levels are
dropped."""


class StatedBound(NamedTuple):
    """A bound in the unit in which it was stated."""

    side: Literal["max", "min"]
    metric: str
    """A metric, or ``images_per_s``."""
    bound: float


GateOrigin = Literal["default", "recipe", "build", "command line", "chance"]
"""Where a gate comes from. ``build``: from the command line of the call that wrote the report of a finished build.
``command line``: from the present call."""


class ReplacedBound(Value):
    """A bound that a later statement of the same metric replaced, in the unit in which it was stated."""

    side: Literal["max", "min"]
    metric: str
    bound: float
    stated_by: GateOrigin


class Gate(Value):
    """A bound on one metric. ``side`` says whether it is the largest or the smallest allowed value."""

    metric: str
    side: Literal["max", "min"]
    bound: float
    images_per_s: float | None = Field(default=None, exclude_if=lambda rate: rate is None)
    """The number that was stated, if the bound of ``p50_ms`` was stated in images per second."""
    required: Literal["always", "when-measured", "advisory"]
    """``advisory``: FAIL counts, UNSURE and MISSING do not. ``when-measured``: MISSING does not count."""
    stated_by: GateOrigin = "default"
    replaces: ReplacedBound | None = Field(default=None, exclude_if=lambda replaced: replaced is None)
    """The bound of the recipe, or of the build, that this gate replaces in this call."""

    @property
    def is_stated(self) -> bool:
        """Whether a recipe or a command line stated the gate, unlike the default gate and the check against chance."""
        return self.stated_by not in ("default", CHANCE)

    @property
    def stated(self) -> StatedBound:
        """The bound in the unit in which it was stated, for people and for command lines."""
        if self.images_per_s is not None:
            return StatedBound("min", IMAGES_PER_S, self.images_per_s)
        return StatedBound(self.side, self.metric, self.bound)


class GateResult(Value):
    """The result of a gate for one candidate."""

    gate: Gate
    candidate: str
    verdict: Verdict
    figure: Interval | None
    fidelity: Fidelity
    reason: str
    """One sentence with the figures."""
    images_to_settle: int | None = None
    """For an UNSURE accuracy gate: about how many new test images, judged alone, would decide it in 80 % of cases. Judging them
    together with the earlier images would be a second judgement."""
    rounds_to_settle: int | None = None
    """For an UNSURE gate on a race: about how many rounds would decide it; None if too many would be needed."""
    largest_of: int | None = None
    """The figure is the largest of this many runs. It has no error rate: of n + 1 independent runs with different values, the
    last is the largest with a probability of 1 / (n + 1)."""
    kit_failed: bool = Field(default=False, exclude_if=lambda failed: not failed)
    """Whether the candidate's kit failed; its MISSING figures then count regardless of the gate's requirement."""
