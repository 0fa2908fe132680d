"""A gate, a population of builds whose true figure is known, and how often the gate is wrong about builds drawn of it.

A regression is drawn exactly at the bound, where a PASS is wrong about the least that a gate forbids and hardest to see, and
beyond it; an improvement inside it, where FAIL would be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgecnn.judging.gates import bound_of, judge
from edgecnn.render.sentences import error_rates
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, GateResult, Verdict
from tests.judging.made import a_gate

Drawn = Callable[[np.random.Generator, float], CandidateFacts]
"""Of a true figure, what a build of it was seen to do."""
Judged = Callable[[np.random.Generator, float], GateResult]
MANY = 10_000
"""Draws of what is drawn fast."""


@dataclass(frozen=True)
class Regression:
    """How a build is drawn and judged whose true figure is so and so."""

    gate: Gate
    what: str
    """The population."""
    judged: Judged
    beyond: float
    """A true figure past the bound."""
    inside: float
    """One that keeps it."""
    draws: int = 1_000


@dataclass(frozen=True)
class Rates:
    """Shares of drawn builds, 0…1."""

    passed_at: float
    """PASS at the bound."""
    passed_beyond: float
    failed_at: float
    """FAIL at the bound."""
    failed_inside: float
    printed: float
    """The error rate that stands below such a gate."""


def upper_gate(metric: str, bound: float) -> Gate:
    """``--max metric=bound``."""
    return a_gate(metric, bound)


def lower_gate(metric: str, bound: float) -> Gate:
    """``--min metric=bound``."""
    return a_gate(metric, bound, side="min")


def judging(gate: Gate, drawn: Drawn) -> Judged:
    """By the function that judges a build."""
    return lambda random, true: judge(gate, drawn(random, true))


def printed_rate(result: GateResult) -> float:
    """What is printed below the gates, or in the reason of a ratio, 0…1."""
    match = re.search(r"α\)? ([\d.]+) %", error_rates([result]) or result.reason)
    assert match is not None, f"no rate is printed of {result.gate.metric}"
    return float(match[1]) / 100


def rates(case: Regression, draws: int | None = None, seed: int = 7) -> Rates:
    """``draws``: of each true figure; unset, as many as the case has."""
    random, count = np.random.default_rng(seed), draws or case.draws

    def share(true: float, verdict: Verdict) -> float:
        return sum(case.judged(random, true).verdict is verdict for _ in range(count)) / count

    at = case.gate.bound
    return Rates(
        passed_at=share(at, Verdict.PASS),
        passed_beyond=share(case.beyond, Verdict.PASS),
        failed_at=share(at, Verdict.FAIL),
        failed_inside=share(case.inside, Verdict.FAIL),
        printed=printed_rate(case.judged(random, at)),
    )


COLUMNS = (
    "gate",
    "drawn of",
    "builds",
    "printed rate",
    "at the bound: PASS",
    "beyond: PASS",
    "at the bound: FAIL",
    "inside: FAIL",
)


def row(case: Regression, measured: Rates) -> str:
    """Of the table in docs/reference/error-rates.md."""

    def shown(share: float) -> str:
        return f"{100 * share:.1f} %"

    cells = (
        f"`{bound_of(case.gate)}`",
        case.what,
        f"{case.draws:,}",
        f"{100 * measured.printed:.3g} %",
        shown(measured.passed_at),
        f"{shown(measured.passed_beyond)} (at {case.beyond:g})",
        shown(measured.failed_at),
        f"{shown(measured.failed_inside)} (at {case.inside:g})",
    )
    return f"| {' | '.join(cells)} |"
