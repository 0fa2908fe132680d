"""Replay of recorded processes through the rule that chooses what ships: how much slower than the best the chosen one is.

    python -m benchmarks.choice_replay [--draws 2000]

Fields of candidates whose true costs are stated run with the noise of processes that were really timed (``record_runs.py``): a
draw begins somewhere in a recording and goes on through it, so that what hung together in time hangs together here. Regret is
the true cost of whoever was chosen over the least, minus one.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.judging.regret import ALIKE, ENOUGH, LOOKS, estimate, lead_of

RECORDED = (
    Path(__file__).parent.parent / "tests" / "judging" / "runs" / "recorded_runs.json",
    Path(__file__).parent / "choice_recorded.json",
)
"""Processes of two machines, by ``record_runs.py``: an AMD EPYC, and an Intel Xeon beside other work."""
FIELDS: Mapping[str, Sequence[float]] = {
    "five, clear": (1.0, 1.16, 1.31, 1.99, 2.0),
    "five, close": (1.0, 1.03, 1.06, 1.1, 1.5),
    "two, int8 1.20 x bf16": (1.0, 1.2),
    "twins": (1.0, 1.0, 1.3),
    "ten near": (1.0, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8),
}
"""True costs, times the least."""
SLOW_ONES = {"as recorded": 0.0, "5 % of processes 5 x": 0.05}

Noise = Sequence[float]
"""Of each process of a recording, in the order in which they ran: the log of its median over the estimate of its file."""
Draw = Callable[[int, int], float]
"""Candidate and round to a cost."""


class Outcome(NamedTuple):
    """What a rule chose, after how many processes."""

    chosen: int
    runs: int


def recordings() -> list[Noise]:
    """Of every machine and hour that is recorded."""
    noises: list[Noise] = []
    for recording in (one for path in RECORDED for one in json.loads(path.read_text(encoding="utf-8"))["recordings"]):
        by_kit: dict[str, list[float]] = {}
        for _, _, kit, ns, *_ in recording["runs"]:
            by_kit.setdefault(kit, []).append(ns)
        middle = {kit: estimate(times) for kit, times in by_kit.items()}
        noises.append([math.log(ns / middle[kit]) for _, _, kit, ns, *_ in recording["runs"]])
    return noises


def drawn(field: Sequence[float], noise: Noise, slow: float, draw: random.Random) -> Draw:
    """Costs of one race, the same whenever they are asked for: neighbours in a round are neighbours of the recording."""
    start, seed = draw.randrange(len(noise)), draw.random()

    def cost(candidate: int, number: int) -> float:
        order = random.Random(f"{seed} {number}").sample(range(len(field)), len(field))
        at = noise[(start + number * len(field) + order[candidate]) % len(noise)]
        late = 5.0 if random.Random(f"{seed} {candidate} {number}").random() < slow else 1.0
        return field[candidate] * math.exp(at) * late

    return cost


def choose_by_expected_regret(count: int, cost: Draw) -> Outcome:
    """The rule of builds, by the functions that builds call."""
    costs: dict[str, dict[int, float]] = {str(candidate): {} for candidate in range(count)}
    racing, begin, runs = frozenset(costs), 0, 0
    for end in LOOKS:
        for number in range(begin, end):
            for name in racing:
                costs[name][number] = cost(int(name), number)
                runs += 1
        lead, begin = lead_of(costs), end
        if lead.regret <= ENOUGH:
            break
        racing = lead.still_in
    return Outcome(int(lead.name), runs)


def choose_by_median(count: int, cost: Draw) -> Outcome:
    """What a plain rival does."""
    medians = [statistics.median(cost(candidate, number) for number in range(10)) for candidate in range(count)]
    return Outcome(medians.index(min(medians)), 10 * count)


def choose_by_mean(rounds: int) -> Callable[[int, Draw], Outcome]:
    def rule(count: int, cost: Draw) -> Outcome:
        means = [statistics.fmean(math.log(cost(candidate, number)) for number in range(rounds)) for candidate in range(count)]
        return Outcome(means.index(min(means)), rounds * count)

    return rule


RULES: Mapping[str, Callable[[int, Draw], Outcome]] = {
    "expected regret": choose_by_expected_regret,
    "median of ten": choose_by_median,
    "log mean of 24": choose_by_mean(24),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    noises = recordings()
    print(f"{'field':24} {'noise':22} {'rule':18} regret %   worse than {100 * (ALIKE - 1):g} %  processes")
    for name, field in FIELDS.items():
        for what, slow in SLOW_ONES.items():
            for rule_name, rule in RULES.items():
                draw = random.Random(f"{name} {what}")
                outcomes = [rule(len(field), drawn(field, draw.choice(noises), slow, draw)) for _ in range(draws)]
                regrets = [field[outcome.chosen] / min(field) - 1 for outcome in outcomes]
                missed = statistics.fmean(regret > ALIKE - 1 for regret in regrets)
                runs = statistics.fmean(outcome.runs for outcome in outcomes)
                mean = 100 * statistics.fmean(regrets)
                print(f"{name:24} {what:22} {rule_name:18} {mean:8.2f} {100 * missed:8.1f} %   {runs:8.1f}")


if __name__ == "__main__":
    main()
