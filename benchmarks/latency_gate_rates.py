"""How often a gate on the ratio of two latencies errs, by resampling recorded processes of one and the same model.

    python -m benchmarks.latency_gate_rates

``tests/judging/runs/recorded_runs.json`` holds medians of real processes of two copies of one file, interleaved on a machine of
two cores that others kept busy, so that the true ratio is 1. A resampled race is N rounds that really followed each other;
which copy is the new one is drawn round by round, as the order of a race is; a regression is the new one's times multiplied.
What the machine did stays in them: nothing is assumed of its noise. The verdict is the interval's alone; what a gate knows of
other work or throttling only takes verdicts away, so that it errs no more often than this.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.dependence import runs_interval
from edgecnn.judging.intervals import ratio_interval

RECORDED = Path(__file__).resolve().parents[1] / "tests" / "judging" / "runs" / "recorded_runs.json"
TWINS = ("a", "a-twin")
BOUND = 1.03
"""Of the gate: new / old at most."""
JUST_PAST = 1.0001
"""Times the bound: the smallest regression that a PASS would be wrong about, and the hardest to see."""
ROUNDS = (8, 16, 32)
DRAWS = 10_000


@dataclass(frozen=True)
class Rates:
    """Shares of resampled races, 0…1."""

    rounds: int
    draws: int
    covered: float
    """Whose interval holds the true ratio."""
    false_pass: float
    """PASS although the new one is just past the bound."""
    same_fail: float
    """FAIL although both are the same file."""
    same_pass: float
    slow_5: float
    """FAIL of 5 % slower."""
    slow_5_pass: float
    slow_10: float
    width: float
    """Median of high / low: how much the machine let be seen."""


def recorded_pairs(path: Path = RECORDED) -> list[NDArray[np.float64]]:
    """Medians in ms, (rounds, 2), of each recording."""
    misses = []
    for recording in json.loads(path.read_text(encoding="utf-8"))["recordings"]:
        column = {name: index for index, name in enumerate(recording["columns"])}
        rounds = 1 + max(run[column["round"]] for run in recording["runs"])
        pair = np.full((rounds, 2), np.nan)
        for run in recording["runs"]:
            if run[column["kit"]] in TWINS:
                pair[run[column["round"]], TWINS.index(run[column["kit"]])] = run[column["median_ns"]] / 1e6
        misses.append(pair)
    return misses


def verdict(new: Sequence[float], old: Sequence[float], bound: float = BOUND) -> str:
    """PASS where the whole interval is inside the bound, FAIL where it is outside, else UNSURE."""
    ratio = ratio_interval(new, old)
    if ratio is None:
        return "UNSURE"
    return "PASS" if ratio.high <= bound else "FAIL" if ratio.low > bound else "UNSURE"


def rates(pairs: Sequence[NDArray[np.float64]], rounds: int, draws: int = DRAWS, seed: int = 7) -> Rates:
    """Every question put to the same resampled races."""
    random = np.random.default_rng(seed)
    windows = [pair[start : start + rounds] for pair in pairs for start in range(len(pair) - rounds + 1)]
    verdicts: dict[float, list[str]] = {BOUND * JUST_PAST: [], 1.0: [], 1.05: [], 1.10: []}
    covered, widths = [], []
    for pick in random.integers(0, len(windows), draws):
        swap, window = random.random(rounds) < 0.5, windows[pick]
        new, old = np.where(swap, window[:, 1], window[:, 0]), np.where(swap, window[:, 0], window[:, 1])
        interval = ratio_interval(new, old)
        assert interval is not None
        covered.append(interval.low <= 1 <= interval.high)
        widths.append(interval.high / interval.low)
        for factor, outcome in verdicts.items():
            outcome.append(verdict(new * factor, old))

    def share(factor: float, word: str) -> float:
        return verdicts[factor].count(word) / draws

    return Rates(
        rounds=rounds,
        draws=draws,
        covered=float(np.mean(covered)),
        false_pass=share(BOUND * JUST_PAST, "PASS"),
        same_fail=share(1.0, "FAIL"),
        same_pass=share(1.0, "PASS"),
        slow_5=share(1.05, "FAIL"),
        slow_5_pass=share(1.05, "PASS"),
        slow_10=share(1.10, "FAIL"),
        width=float(np.median(widths)),
    )


def p50_misses(series: NDArray[np.float64], rounds: int) -> tuple[float, float]:
    """Shares of the windows of so many rounds whose interval of p50 lies above the recording's median, and below it."""
    intervals = [runs_interval(list(series[start : start + rounds])) for start in range(len(series) - rounds + 1)]
    known, truth = [interval for interval in intervals if interval is not None], float(np.median(series))
    return float(np.mean([interval.low > truth for interval in known])), float(
        np.mean([interval.high < truth for interval in known])
    )


def follows(series: NDArray[np.float64]) -> float:
    """Correlation of a process's log time with that of the next: 0 where each is as slow as it is by itself."""
    logs = np.log(series)
    return float(np.corrcoef(logs[:-1], logs[1:])[0, 1])


def main() -> None:
    columns = ["rounds", "interval high / low", "covers 1", "just past the bound: PASS", "same: FAIL", "same: PASS"]
    columns += ["5 % slower: FAIL", "5 % slower: PASS", "10 % slower: FAIL"]
    print(f"{DRAWS:,} resampled races a row, gate: ratio at most {BOUND}; intervals at least 98 %.\n")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    pairs = recorded_pairs()
    for rounds in ROUNDS:
        one = rates(pairs, rounds)
        shares = (one.covered, one.false_pass, one.same_fail, one.same_pass, one.slow_5, one.slow_5_pass, one.slow_10)
        print(f"| {rounds} | {one.width:.2f} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |")
    print("\nThe interval of p50 of so many rounds against the median of the whole recording: above it, below it.\n")
    print("| recording | kit | a process and the next | 8 rounds | 16 | 24 |\n|" + " --- |" * 6)
    for number, pair in enumerate(pairs, 1):
        for name, series in zip(TWINS, pair.T, strict=True):
            missed = [p50_misses(series, rounds) for rounds in (8, 16, 24)]
            shown = " | ".join(f"{100 * above:.0f} %, {100 * below:.0f} %" for above, below in missed)
            print(f"| {number} | {name} | {follows(series):.2f} | {shown} |")


if __name__ == "__main__":
    main()
