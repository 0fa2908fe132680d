"""Of processes: each has figures of its own, off the true ones by a normal deviate of their logarithm.

That is what two quiet processes of one kit differ by here; machines that others keep busy are resampled from recordings by
``latency_gate_rates``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from benchmarks.gate_rates.regression import MANY, Drawn, Judged, Regression, judging, upper_gate
from edgecnn.judging.dependence import runs_interval, share_of_runs_below
from edgecnn.judging.ratio import PairedRace, judge_ratio, look, unpaired_finding
from edgecnn.judging.resources import energy
from edgecnn.judging.stopping import INTERIM_ROUNDS
from edgecnn.runner.runs.figures import TAIL_SHARE
from edgecnn.values.profile import EnergyReading, RunEnergy, Stretch
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, GateResult
from tests.judging.made import a_latency, a_race, facts

SAMPLES = 20
"""The fewest of which a run has a median."""


def figures_of(random: np.random.Generator, true: float, spread: float, processes: int) -> list[float]:
    """One a process; ``spread``: standard deviation of its logarithm."""
    return [float(figure) for figure in true * np.exp(random.normal(0.0, spread, processes))]


def p50_case(processes: int, spread: float) -> Drawn:
    """The middle process's median."""

    def drawn(random: np.random.Generator, ms: float) -> CandidateFacts:
        return facts(latency=a_latency(runs_interval(figures_of(random, ms, spread, processes)), runs=processes))

    return drawn


def tail_case(metric: str, processes: int, spread: float, *, middle: bool) -> Drawn:
    """Of ``p90_ms`` or ``p99_ms`` the true figure is that of the ``middle`` process, or what three of four keep theirs within."""
    above = 0.0 if middle else spread * float(ndtri(TAIL_SHARE))

    def drawn(random: np.random.Generator, ms: float) -> CandidateFacts:
        tails = figures_of(random, ms * np.exp(-above), spread, processes)
        figures: dict[str, Any] = {
            metric: runs_interval(tails),
            "tails_within_ms": {metric: share_of_runs_below(tails, TAIL_SHARE)},
        }
        return facts(latency=a_latency(None, runs=processes, **figures))

    return drawn


def energy_case(processes: int, spread: float) -> Drawn:
    """What an image takes in the middle process, in mJ: 100 images a second."""
    second = Stretch(began_unix_ns=0, seconds=1.0, clock_s=1.0)

    def drawn(random: np.random.Generator, mj: float) -> CandidateFacts:
        race = a_race([1.0] * processes, samples=SAMPLES)
        runs = []
        for run, figure in zip(race.runs, figures_of(random, mj, spread, processes), strict=True):
            reading = EnergyReading(meter="external", covers="the board", idle_j=1.0, idle_s=1.0, work_j=figure / 10, work_s=1.0)
            read = RunEnergy(images=100, idle=second, work=second, readings=(reading,), absent={})
            runs.append(run.model_copy(update={"energy": read, "samples_ns": ()}))
        return facts(energy=energy(race.model_copy(update={"runs": tuple(runs)})))

    return drawn


def ratio_case(gate: Gate, spread: float) -> Judged:
    """Two builds raced with the looks of ``judge --against``, of which the first that decides does."""

    def judged(random: np.random.Generator, ratio: float) -> GateResult:
        head, base = (figures_of(random, ms, spread, INTERIM_ROUNDS[-1]) for ms in (10 * ratio, 10.0))
        races, done = list[PairedRace](), 0
        for rounds in INTERIM_ROUNDS:
            sides = (a_race(ms[done:rounds], samples=SAMPLES, race=f"race-{done}") for ms in (base, head))
            races.append(PairedRace(base=next(sides), head=next(sides)))
            done = rounds
            verdict = look(races, gate, INTERIM_ROUNDS, "here")
            if verdict.decided:
                break
        return judge_ratio(gate, verdict.finding, "x")

    return judged


def days_case(gate: Gate, days: int, between: float) -> Judged:
    """A present run against recorded ones, ``baseline compare``; ``between``: what one day and the next differ by."""

    def judged(random: np.random.Generator, ratio: float) -> GateResult:
        middles = figures_of(random, 10.0, between, days + 1)
        middles[0] *= ratio
        today, *before = (a_race(figures_of(random, ms, 0.01, 8), samples=SAMPLES) for ms in middles)
        return judge_ratio(gate, unpaired_finding(today, before), "x")

    return judged


def cases() -> list[Regression]:
    """Few and many processes."""
    p50, mj, ratio = upper_gate("p50_ms", 10.0), upper_gate("energy_mj", 10.0), upper_gate("latency_ratio", 1.03)
    days = "recorded days that differ by 1 %"
    regressions = [
        Regression(p50, f"{count} processes, spread {100 * spread:g} %", judging(p50, p50_case(count, spread)), 10.5, 9.5, MANY)
        for count, spread in ((16, 0.03), (16, 0.10))
    ]
    for metric, count in (("p90_ms", 17), ("p99_ms", 17), ("p99_ms", 24)):
        gate, what = upper_gate(metric, 10.0), f"{count} processes, spread 10 %"
        three, middle = (judging(gate, tail_case(metric, count, 0.1, middle=which)) for which in (False, True))
        regressions += [Regression(gate, f"{what}: of three of four", three, 11.0, 8.0, 2_000)]
        regressions += [Regression(gate, f"{what}: of the middle one", middle, 11.0, 9.0, 2_000)]
    regressions += [Regression(mj, "16 runs, spread 3 %", judging(mj, energy_case(16, 0.03)), 10.5, 9.5)]
    regressions += [Regression(ratio, "10 to 48 rounds, spread 3 %", ratio_case(ratio, 0.03), 1.08, 0.98)]
    return [*regressions, *(Regression(ratio, f"{number} {days}", days_case(ratio, number, 0.01), 1.2, 0.9) for number in (3, 5))]
