"""How often a gate errs, by simulated regressions through the function that judges builds.

    python -m benchmarks.gate_rates

A regression is drawn exactly at the bound, where a PASS is wrong about the least that a gate forbids and hardest to see, and
beyond it; an improvement beyond it, where FAIL would be wrong. Images are drawn one by one: right or wrong in both networks, lost
or gained (a drop), right or wrong (top-1), answered alike or not (agreement). Processes have medians of their own, each off the
true one by a normal deviate of its logarithm, which is what two quiet processes of one kit differ by here; machines that others
keep busy are resampled from recordings by ``latency_gate_rates``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgecnn.judging.gates import judge
from edgecnn.judging.intervals import median_interval
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, Verdict
from tests.judging.made import a_latency, an_accuracy, facts

DRAWS = 10_000
ONE_IN_TWENTY, ONE_IN_A_HUNDRED = 0.05, 0.01
"""The rates that are printed below the gates of accuracy, and of latency."""
Drawn = Callable[[np.random.Generator, float], CandidateFacts]


@dataclass(frozen=True)
class Regression:
    """A gate, and how a build is drawn whose true figure is so and so."""

    gate: Gate
    printed: float
    what: str
    drawn: Drawn
    beyond: float
    """A true figure past the bound."""
    inside: float
    """One that keeps it."""


def of_drop(images: int, discordant: float) -> Drawn:
    """``discordant``: share of images that exactly one of two networks gets right, at a drop of 1 pp."""

    def drawn(random: np.random.Generator, drop_pp: float) -> CandidateFacts:
        lost = (discordant + drop_pp / 100) / 2
        counts = random.multinomial(images, [lost, max(0.0, discordant - lost), 1 - discordant])
        return facts(test=an_accuracy(int(counts[0]), int(counts[1]), images))

    return drawn


def of_top1(images: int) -> Drawn:
    """Right or wrong."""
    return lambda random, share: facts(test=an_accuracy(0, 0, images, right=int(random.binomial(images, share))))


def of_p50(processes: int, spread: float) -> Drawn:
    """``spread``: standard deviation of the logarithm of a process's median."""

    def drawn(random: np.random.Generator, ms: float) -> CandidateFacts:
        medians = ms * np.exp(random.normal(0.0, spread, processes))
        return facts(latency=a_latency(median_interval(list(medians)), runs=processes))

    return drawn


def cases() -> list[Regression]:
    """Small and large test sets; few and many processes."""
    drop = Gate(metric="drop_pp", side="max", bound=1.0, required="always")
    top1 = Gate(metric="top1", side="min", bound=0.75, required="always")
    p50 = Gate(metric="p50_ms", side="max", bound=10.0, required="always")
    found = [
        Regression(drop, ONE_IN_TWENTY, f"{images:,} images, {share:.0%} differ", of_drop(images, share), 2.0, 0.0)
        for images, share in ((300, 0.04), (2_000, 0.03), (10_000, 0.03), (50_000, 0.02))
    ]
    found += [Regression(top1, ONE_IN_TWENTY, f"{images:,} images", of_top1(images), 0.73, 0.77) for images in (300, 10_000)]
    found += [
        Regression(p50, ONE_IN_A_HUNDRED, f"{each} processes, spread {spread:.0%}", of_p50(each, spread), 10.5, 9.5)
        for each, spread in ((8, 0.03), (16, 0.03), (16, 0.10))
    ]
    return found


def rates(case: Regression, draws: int = DRAWS, seed: int = 7) -> tuple[float, float, float, float]:
    """Shares: PASS at the bound, PASS beyond it, FAIL at the bound, FAIL inside."""
    random = np.random.default_rng(seed)

    def share(true: float, verdict: Verdict) -> float:
        return sum(judge(case.gate, case.drawn(random, true)).verdict is verdict for _ in range(draws)) / draws

    at, passed, failed = case.gate.bound, Verdict.PASS, Verdict.FAIL
    return share(at, passed), share(case.beyond, passed), share(at, failed), share(case.inside, failed)


def main() -> None:
    print(f"{DRAWS:,} simulated builds a figure.\n")
    columns = ("gate", "drawn of", "printed rate", "at the bound: PASS", "beyond: PASS", "at the bound: FAIL", "inside: FAIL")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for case in cases():
        gate = f"{case.gate.metric} {'≤' if case.gate.side == 'max' else '≥'} {case.gate.bound:g}"
        at, beyond, fails, inside = rates(case)
        ends = f"{100 * beyond:.1f} % (at {case.beyond:g})", f"{100 * inside:.1f} % (at {case.inside:g})"
        shown = f"{100 * at:.1f} % | {ends[0]} | {100 * fails:.1f} % | {ends[1]}"
        print(f"| `{gate}` | {case.what} | {100 * case.printed:g} % | {shown} |")


if __name__ == "__main__":
    main()
